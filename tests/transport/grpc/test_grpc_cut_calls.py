"""Calls that the peer cuts while their handlers resist: what is still held for them, and what they meet."""

from __future__ import annotations

import gc

import anyio
import pytest

from mm_plugin.exceptions import StatusCode
from mm_plugin.transport.grpc.errors import GRPCStatusError
from mm_plugin.transport.grpc.handlers import Streaming
from mm_plugin.transport.grpc.streams import ServerStream
from mm_plugin.wire.grpc import frame
from mm_plugin.wire.grpc.framing import MessageReader
from mm_plugin.wire.http2 import ErrorCode, Role

from .conftest import Serve
from .raw_peers import STREAM, RawClient


def octets_held() -> int:
    """Count the octets that wait for takers, whatever waits for them."""
    gc.collect()
    readers = [found for found in gc.get_objects() if type(found) is MessageReader]
    return sum(reader.waiting_octets for reader in readers)


@pytest.mark.parametrize("complete", [False, True])
async def test_the_body_of_a_reset_call_is_dropped(serve: Serve, complete: bool) -> None:
    """A handler that resists its cancellation holds no body meanwhile, and learns at once that none comes."""
    begun, cut, read, ended = anyio.Event(), anyio.Event(), anyio.Event(), anyio.Event()
    met: list[GRPCStatusError] = []

    async def resist(stream: ServerStream[bytes, bytes]) -> None:
        begun.set()
        try:
            await anyio.sleep_forever()
        finally:
            with anyio.move_on_after(5, shield=True):
                cut.set()
                await read.wait()
                try:
                    await stream.recv_message()
                except GRPCStatusError as error:
                    met.append(error)
            ended.set()

    async with serve({STREAM: Streaming(resist, bytes, bytes)}) as served, await served.connect() as byte_stream:
        client = RawClient(Role.CLIENT, byte_stream)
        stream = await client.open(path=STREAM)
        client.http2.send_data(stream, frame(bytes(50_000)) + b"\0", end_stream=complete)
        await client.flush()
        with anyio.fail_after(5):
            await begun.wait()
            client.http2.reset(stream, ErrorCode.CANCEL)
            await client.flush()
            await cut.wait()
            assert octets_held() < 1_000
            read.set()
            await ended.wait()
    assert [error.code for error in met] == [StatusCode.CANCELLED]
