"""The gRPC transport on uvloop, an extra that is off by default; all else runs on asyncio's own loop and on Trio."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import anyio
import pytest
from anyio.lowlevel import current_token

from mm_plugin.transport.grpc.errors import GRPCStatusError
from mm_plugin.transport.grpc.handlers import CallInfo, Handler, Streaming, Unary
from mm_plugin.transport.grpc.streams import ServerStream
from mm_plugin.transport.link import FailureKind

from .conftest import serving

pytestmark = pytest.mark.skipif(find_spec("uvloop") is None, reason="uvloop is not installed")

ECHO, HANG, STREAM = "/t.T/Echo", "/t.T/Hang", "/t.T/Stream"


async def echo(request: bytes, info: CallInfo) -> bytes:
    return request


async def hang(request: bytes, info: CallInfo) -> bytes:
    await anyio.sleep_forever()
    return request


async def echo_stream(stream: ServerStream[bytes, bytes]) -> None:
    async for message in stream:
        await stream.send_message(message)


HANDLERS: dict[str, Handler] = {
    ECHO: Unary(echo, bytes, bytes),
    HANG: Unary(hang, bytes, bytes),
    STREAM: Streaming(echo_stream, bytes, bytes),
}


@pytest.mark.parametrize("carrier", ["tcp", "unix"])
def test_calls_on_uvloop(tmp_path: Path, carrier: str) -> None:
    """Calls of every kind, deadlines, a lost connection and a drain go as they do on the other loops."""

    async def play() -> None:
        assert type(current_token().native_token).__module__.startswith("uvloop")
        async with serving(HANDLERS, carrier, tmp_path) as served, served.channel() as channel:
            for octets in (0, 1, 70_000, 5_000_000):
                assert await channel.unary(ECHO, bytes(octets), bytes) == bytes(octets)
            with pytest.raises(GRPCStatusError) as caught:
                await channel.unary(HANG, b"", bytes, deadline=anyio.current_time() + 0.05)
            assert caught.value.kind is FailureKind.DEADLINE
            async with anyio.create_task_group() as tasks:
                for _ in range(100):
                    tasks.start_soon(channel.unary, ECHO, bytes(1_000), bytes)
            async with channel.open_stream(STREAM, bytes, bytes) as stream:
                for _ in range(50):
                    await stream.send_message(bytes(65_536))
                    assert await stream.recv_message() == bytes(65_536)
            await served.cut_connections()
            while channel.connected:
                await anyio.lowlevel.checkpoint()
            assert await channel.unary(ECHO, b"again", bytes) == b"again"
            assert await served.server.drain(grace_s=5) == 0

    with_uvloop = {"use_uvloop": True}
    anyio.run(play, backend="asyncio", backend_options=with_uvloop)
