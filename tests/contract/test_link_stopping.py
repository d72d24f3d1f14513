"""A stop under way outlives the host's connection, over every link: hosts close as soon as they have asked."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import anyio
import pytest
from google.protobuf.message import Message

from mm_plugin._proto import api_user_pb2, hooks_message_pb2, post_pb2
from mm_plugin.transport.link import CallFailure, HookCall, HostLink, HTTPExchange, PluginLink, RequestHead
from tests.contract.conftest import OpenPair
from tests.contract.links import Plugin, Server

NAME = "MessageHasBeenPosted"
REQUEST = hooks_message_pb2.MessageHasBeenPostedRequest(post=post_pb2.Post(message="x"))
RESPONSE = hooks_message_pb2.MessageHasBeenPostedResponse()


class Slow:
    """A hook handler that waits for the test, and tells how it ended."""

    def __init__(self, then: Callable[[], Awaitable[object]] | None = None) -> None:
        self.running = anyio.Event()
        self.release = anyio.Event()
        self.over = anyio.Event()
        self.ended = ""
        self._then = then

    async def __call__(self, call: HookCall) -> Message:
        self.running.set()
        self.ended = "cancelled"
        try:
            await self.release.wait()
            if self._then is not None:
                await self._then()
            self.ended = "finished"
        finally:
            self.over.set()
        return RESPONSE


async def begin_stop(how: str, plugin: PluginLink, host: HostLink) -> None:
    if how == "asked":
        await host.ask_stop()
    else:  # a signal, of which the host knows nothing
        assert await plugin.drain(grace_s=0) == 1


async def lose(how: str, host: HostLink, call: anyio.CancelScope) -> None:
    if how == "closed":
        await host.aclose()
    else:  # what libraries do with the calls of a channel that is closed
        call.cancel()


@pytest.mark.parametrize("loss", ["closed", "call cancelled"])
@pytest.mark.parametrize("stop", ["asked", "drained"])
async def test_a_running_hook_goes_on_when_a_stop_is_under_way(open_link: OpenPair, stop: str, loss: str) -> None:
    """It has its grace and the API; the drain waits for it although nobody waits for its answer."""
    server = Server()
    outcomes: list[str] = []
    async with open_link(side := Plugin(), server) as (plugin, host):
        slow = Slow(lambda: plugin.call_api("GetUser", api_user_pb2.GetUserRequest(user_id="u")))
        side.on_hook = slow

        async def call(scope: anyio.CancelScope) -> None:
            with scope:
                try:
                    await host.call_hook(NAME, REQUEST)
                except CallFailure:
                    outcomes.append("failed")
                    return
            outcomes.append("cancelled" if scope.cancelled_caught else "answered")

        with anyio.fail_after(10):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(call, scope := anyio.CancelScope())
                await slow.running.wait()
                await begin_stop(stop, plugin, host)
                await lose(loss, host, scope)
            assert await plugin.drain(grace_s=0.1) == 1
            slow.release.set()
            assert await plugin.drain(grace_s=20) == 0
    assert outcomes == ["failed" if loss == "closed" else "cancelled"]
    assert slow.ended == "finished"
    assert len(server.calls) == 1


@pytest.mark.parametrize("loss", ["closed", "call cancelled"])
async def test_without_a_stop_a_lost_call_is_cancelled(open_link: OpenPair, loss: str) -> None:
    """Nobody needs the answer, and the plugin lives on."""
    slow = Slow()
    async with open_link(Plugin(on_hook=slow), Server()) as (_, host):

        async def call(scope: anyio.CancelScope) -> None:
            with scope:
                try:
                    await host.call_hook(NAME, REQUEST)
                except CallFailure:
                    pass

        with anyio.fail_after(10):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(call, scope := anyio.CancelScope())
                await slow.running.wait()
                await lose(loss, host, scope)
                await slow.over.wait()
    assert slow.ended == "cancelled"


async def test_closing_cuts_hooks_that_outlived_their_connection(open_link: OpenPair) -> None:
    """A handler that hangs costs the stop no more than its grace."""
    slow = Slow()
    async with open_link(Plugin(on_hook=slow), Server()) as (plugin, host):

        async def call() -> None:
            with pytest.raises(CallFailure):
                await host.call_hook(NAME, REQUEST)

        with anyio.fail_after(10):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(call)
                await slow.running.wait()
                await host.ask_stop()
                await host.aclose()
            await plugin.aclose()
    assert slow.ended == "cancelled"


async def test_http_requests_are_cut_with_their_connection(open_link: OpenPair) -> None:
    """Also in a stop: nobody reads what they would write, and streams may have no end."""
    running, over = anyio.Event(), anyio.Event()

    async def stream(exchange: HTTPExchange) -> None:
        running.set()
        try:
            await anyio.sleep_forever()
        finally:
            over.set()

    async with open_link(Plugin(on_http=stream), Server()) as (plugin, host):

        async def get() -> None:
            async with host.open_http(RequestHead(method="GET", url="/")) as call:
                await call.finish()
                with pytest.raises(CallFailure):
                    await call.receive_head()

        with anyio.fail_after(10):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(get)
                await running.wait()
                await host.ask_stop()
                await host.aclose()
                await over.wait()
            assert await plugin.drain(grace_s=20) == 0
