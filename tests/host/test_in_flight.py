"""What is under way when a plugin is stopped: hooks finish, new ones stay away, endless responses are cut."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import anyio
import httpx
import pytest
from google.protobuf.message import Message

from mm_plugin._proto.hooks_message_pb2 import MessageWillBePostedResponse
from mm_plugin._proto.services import hook_methods
from mm_plugin.hooks.names import HookName
from mm_plugin.host.hook_client import HookClient
from mm_plugin.host.in_flight import InFlightLink
from mm_plugin.host.running_plugin import RunningPlugin
from mm_plugin.host.state import PluginState
from mm_plugin.messages.manifest import load_manifest
from mm_plugin.messages.posts import Post
from mm_plugin.transport.link import CallFailure, FailureKind, HookCall, HTTPExchange, RequestHead, ResponseHead
from mm_plugin.transport.memory import memory_link
from tests.host.http_client import client_of, link_on_port
from tests.host.stubs import QUICK, NoAPI, StubPlugin, StubWire, write_bundle

GET = RequestHead(method="GET", url="/")


class SlowPlugin(StubPlugin):
    """Its MessageWillBePosted waits for the test."""

    def __init__(self) -> None:
        super().__init__(implements=["OnDeactivate", "MessageWillBePosted"])
        self.running = anyio.Event()
        self.release = anyio.Event()
        self.ended: list[str] = []

    async def handle_hook(self, call: HookCall) -> Message:
        if call.name == "MessageWillBePosted":
            self.running.set()
            try:
                await self.release.wait()
            except BaseException:
                self.ended.append("cancelled")
                raise
            self.ended.append("answered")
            return MessageWillBePostedResponse(rejection_reason="no")
        if call.name == "OnDeactivate":
            self.ended.append("OnDeactivate")
        return await super().handle_hook(call)


def hosted(stub: StubPlugin, folder: Path, *, drain_s: float) -> RunningPlugin:
    """Return a plugin that will run in this process, and whose stop waits so long."""
    bundle = write_bundle(folder)
    options = replace(QUICK, drain_s=drain_s)
    return RunningPlugin(bundle, load_manifest(bundle), NoAPI(), wire=StubWire(stub).wire, options=options)


@asynccontextmanager
async def screening(
    stub: SlowPlugin, folder: Path, *, drain_s: float
) -> AsyncGenerator[tuple[RunningPlugin, HookClient, list[str]]]:
    """Run a plugin whose hook is under way and asked to stop; yield it, its hooks, and where the answer will be."""
    plugin, rejections = hosted(stub, folder, drain_s=drain_s), list[str]()
    plugin.begin()
    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(plugin.run)
            await plugin.wait_settled()
            hooks = plugin.hooks
            assert hooks is not None

            async def post() -> None:
                rejections.append((await hooks.message_will_be_posted(Post(message="x"))).rejection)

            tasks.start_soon(post)
            await stub.running.wait()
            plugin.ask_stop()
            yield plugin, hooks, rejections
            await plugin.wait_over()


async def test_a_stop_waits_for_the_hook_under_way(tmp_path: Path) -> None:
    """The plugin gets no further hook, the one that runs is answered, then comes OnDeactivate."""
    stub = SlowPlugin()
    async with screening(stub, tmp_path, drain_s=20) as (plugin, hooks, rejections):
        while plugin.state is not PluginState.STOPPING:
            await plugin.wait_change()
        assert plugin.hooks is None
        await anyio.wait_all_tasks_blocked()
        assert (await hooks.message_will_be_posted(Post(message="y"))).rejection == ""  # as if it did not run
        assert stub.ended == []
        stub.release.set()
    assert rejections == ["no"]
    assert stub.ended == ["answered", "OnDeactivate"]


async def test_a_hook_that_does_not_end_is_waited_for_only_so_long(tmp_path: Path) -> None:
    """OnDeactivate comes all the same."""
    stub = SlowPlugin()
    async with screening(stub, tmp_path, drain_s=0.1):
        pass
    assert stub.ended[0] == "OnDeactivate"


# -- HTTP -------------------------------------------------------------------------------------------------------------


class HTTPPlugin(StubPlugin):
    """Begins its response, if it has a head for it, and goes on when the test says so."""

    def __init__(self, head: ResponseHead | None) -> None:
        super().__init__()
        self.head = head
        self.running = anyio.Event()
        self.release = anyio.Event()

    async def handle_http(self, exchange: HTTPExchange) -> None:
        if self.head is not None:
            await exchange.respond(self.head)
            await exchange.write(b"begun", flush=True)
        self.running.set()
        await self.release.wait()
        if self.head is None:
            await exchange.respond(ResponseHead(status=200))
        await exchange.write(b"done")
        await exchange.finish()


@asynccontextmanager
async def served(plugin: StubPlugin) -> AsyncGenerator[InFlightLink]:
    plugin_end, host_end = memory_link(NoAPI())
    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:
            await tasks.start(plugin_end.serve, plugin)
            yield InFlightLink(host_end)
            tasks.cancel_scope.cancel()


async def get(link: InFlightLink, bodies: list[bytes]) -> None:
    """Append what came; without ``done`` at its end where it broke off."""
    body = b""
    try:
        async with link.open_http(GET) as call:
            await call.finish()
            await call.receive_head()
            while (part := await call.receive()) is not None:
                body += part.data
    except CallFailure:
        pass
    bodies.append(body)


async def test_a_request_without_an_answer_yet_is_waited_for() -> None:
    """What is asked for later is refused."""
    plugin, bodies = HTTPPlugin(None), list[bytes]()
    async with served(plugin) as link, anyio.create_task_group() as tasks:
        tasks.start_soon(get, link, bodies)
        await plugin.running.wait()
        async with anyio.create_task_group() as stop:

            async def drain() -> None:
                await link.drain(within_s=20)

            stop.start_soon(drain)
            await anyio.wait_all_tasks_blocked()
            with pytest.raises(CallFailure) as caught:
                async with link.open_http(GET):
                    pass
            assert caught.value.kind is FailureKind.UNREACHABLE
            plugin.release.set()
    assert bodies == [b"done"]


@pytest.mark.parametrize("content_type", ["text/event-stream; charset=utf-8", "application/x-ndjson"])
async def test_a_response_of_which_nothing_more_comes_is_cut(content_type: str) -> None:
    """An event stream at once, any other once it has been quiet for a moment."""
    plugin = HTTPPlugin(ResponseHead(status=200, headers=(("Content-Type", content_type),)))
    bodies: list[bytes] = []
    async with served(plugin) as link, anyio.create_task_group() as tasks:
        tasks.start_soon(get, link, bodies)
        await plugin.running.wait()
        await anyio.wait_all_tasks_blocked()
        begun_at = anyio.current_time()
        await link.drain(within_s=20)
        assert anyio.current_time() - begun_at < 5
    assert bodies == [b"begun"]


@pytest.mark.parametrize(
    ("content_type", "level"), [("text/event-stream; charset=utf-8", "DEBUG"), ("application/x-ndjson", "WARNING")]
)
async def test_only_a_response_that_lost_something_is_warned_of(
    content_type: str, level: str, caplog: pytest.LogCaptureFixture
) -> None:
    """That an event stream ends with its plugin is normal: each reload does it. Another response is cut off."""
    caplog.set_level("DEBUG", "mm_plugin.host")
    plugin = HTTPPlugin(ResponseHead(status=200, headers=(("Content-Type", content_type),)))
    async with (
        served(plugin) as link,
        link_on_port(link) as port,
        client_of(port) as client,
        client.stream("GET", "/plugins/p/") as answer,
    ):
        await plugin.running.wait()
        await link.drain(within_s=20)
        with pytest.raises(httpx.RemoteProtocolError):
            await answer.aread()
    (record,) = [record for record in caplog.records if record.name == "mm_plugin.host.gateway"]
    assert record.levelname == level
    assert "the plugin is being stopped" in record.getMessage()


async def test_nothing_under_way_costs_no_time() -> None:
    """A drain without work ends in the same moment."""
    async with served(StubPlugin({"MessageHasBeenPosted": lambda _: {}})) as link:
        name = HookName.MessageHasBeenPosted
        await link.call_hook(name, hook_methods()[name].request())
        begun_at = anyio.current_time()
        await link.drain(within_s=20)
        assert anyio.current_time() - begun_at < 1
