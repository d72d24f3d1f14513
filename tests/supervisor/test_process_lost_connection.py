"""A stop whose host closes its connection at once, as go-plugin's does: hooks under way keep their grace."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import anyio
from google.protobuf.message import Message

from mm_plugin._proto.api_kv_pb2 import KVSetRequest, KVSetResponse
from mm_plugin._proto.services import hook_methods
from mm_plugin.transport.goplugin.host_end import open_host_link
from mm_plugin.transport.grpc.api_end import open_api_server
from mm_plugin.transport.link import CallFailure, HostLink
from mm_plugin.wire.http2 import Connection, Role, encode
from tests.supervisor.test_process import COOKIE, Running, started


class KV:
    """Answers KVSet, and remembers what came."""

    def __init__(self) -> None:
        self.values: list[bytes] = []

    async def handle_api(self, method: str, request: Message, *, deadline: float | None) -> Message:
        assert isinstance(request, KVSetRequest)
        self.values.append(request.value)
        return KVSetResponse()


@asynccontextmanager
async def connected(plugin: Running) -> AsyncIterator[HostLink]:
    """Connect as a host, which a test may close at any moment."""
    async with open_host_link(plugin.handshake) as link:
        yield link


async def call(link: HostLink, name: str) -> None:
    with suppress(CallFailure):
        await link.call_hook(name, hook_methods()[name].request())


async def heard(plugin: Running, text: bytes) -> None:
    while text not in plugin.stderr:  # noqa: ASYNC110 - it comes from another process
        await anyio.sleep(0.01)


async def test_a_blocking_hook_finishes_with_the_api(anyio_backend: str) -> None:
    """It ends in its thread as if nothing had happened, then on_deactivate runs, and the exit code is 0."""
    async with open_api_server(kv := KV()) as target:
        env = {**COOKIE, "MATTERMOST_PLUGIN_API_TARGET": target}
        async with started(anyio_backend, env=env) as plugin, anyio.create_task_group() as tasks:
            await plugin.hook("OnActivate")
            async with connected(plugin) as link:
                tasks.start_soon(call, link, "MessageHasBeenPosted")
                await heard(plugin, b"hook begun")
                await link.ask_stop()
                await link.aclose()
            assert await plugin.process.wait() == 0
    messages = plugin.messages()
    assert kv.values == [b"0", b"1", b"2"]
    assert messages.index("hook done") < messages.index("deactivated")


async def test_a_stop_and_the_end_of_its_connection_come_at_once(anyio_backend: str) -> None:
    """Octets that hold a hook's call are followed by others that ask for the stop, and by the end, in one piece."""
    async with open_api_server(kv := KV()) as target:
        env = {**COOKIE, "MATTERMOST_PLUGIN_API_TARGET": target}
        async with started(anyio_backend, env=env) as plugin:
            await plugin.hook("OnActivate")
            host, port = plugin.handshake.address.rsplit(":", 1)
            http2 = Connection(Role.CLIENT)
            async with await anyio.connect_tcp(host, int(port)) as connection:
                await connection.send(unary(http2, hook_methods()["MessageHasBeenPosted"].path))
                await heard(plugin, b"hook begun")
                await connection.send(unary(http2, "/plugin.GRPCController/Shutdown"))
            assert await plugin.process.wait() == 0
    assert len(kv.values) == 3
    assert "hook done" in plugin.messages()


def unary(http2: Connection, path: str) -> bytes:
    """Return the octets of a call with an empty message."""
    head = [
        (b":method", b"POST"),
        (b":scheme", b"http"),
        (b":path", path.encode()),
        (b":authority", b"test"),
        (b"te", b"trailers"),
        (b"content-type", b"application/grpc"),
    ]
    http2.send_request(encode(head), bytes(5))
    return http2.take()


async def test_a_hook_that_hangs_costs_no_more_than_the_time_of_the_stop(anyio_backend: str) -> None:
    """It is cancelled at the end of its grace, and on_deactivate has its turn."""
    async with started(anyio_backend) as plugin, anyio.create_task_group() as tasks:
        await plugin.hook("OnActivate")
        async with connected(plugin) as link:
            tasks.start_soon(call, link, "ChannelHasBeenCreated")
            await heard(plugin, b"hanging")
            asked_at = anyio.current_time()
            await link.ask_stop()
            await link.aclose()
        assert await plugin.process.wait() == 0
        assert anyio.current_time() - asked_at < 2
    assert "deactivated" in plugin.messages()


async def test_a_thread_that_returns_within_the_time_of_the_stop_was_not_left_behind(anyio_backend: str) -> None:
    """Blocking work that ends after its cancellation, with time left, is an orderly end: exit code 0, no record."""
    async with started(anyio_backend, "late-thread") as plugin:
        await plugin.hook("OnActivate")
        await plugin.shut_down()
        assert await plugin.process.wait() == 0
    assert "ended late" in plugin.messages()
    assert b"left a thread behind" not in plugin.stderr
