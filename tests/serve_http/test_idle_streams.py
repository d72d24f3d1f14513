"""A thousand idle event streams on one plugin, over its own socket: each is served, each costs little."""

from __future__ import annotations

import sys

import anyio
import pytest

from benchmarks.process import running_plugin
from mm_plugin.plugin.plugin import Plugin
from mm_plugin.serve_http.request import Request
from mm_plugin.serve_http.response import Response
from mm_plugin.serve_http.routing import route
from mm_plugin.transport.link import HostLink
from tests.serve_http.plugins import active
from tests.serve_http.served import get, read_answer

STREAMS = 1_000
#: What one stream may cost the plugin, tasks, buffers and all; measured are 30 kB.
STREAM_OCTETS = 64 * 1024


class Events(Plugin):
    """Holds streams open until it is told, and answers beside them."""

    def __init__(self) -> None:
        self.open = 0
        self.everyone, self.step = anyio.Event(), anyio.Event()

    @route("GET", "/events")
    async def events(self, request: Request, response: Response) -> None:
        async with response.events() as events:
            self.open += 1
            if self.open == STREAMS:
                self.everyone.set()
            try:
                await self.step.wait()
                await events.send("now")
                if request.query_string == "stays":
                    await anyio.sleep_forever()
            finally:
                self.open -= 1

    @route("GET", "/quick")
    async def quick(self, request: Request, response: Response) -> None:
        await response.text("quick")


async def listen(link: HostLink, target: str, seen: list[bytes]) -> None:
    """Open one stream, and note each piece."""
    async with link.open_http(get(target)) as call:
        await call.finish()
        await call.receive_head()
        while (part := await call.receive()) is not None:
            if part.data:
                seen.append(part.data)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("target", ["/events", "/events?stays"], ids=["that end", "whose clients go"])
async def test_a_thousand_idle_streams_get_their_events(target: str) -> None:
    """All are open at once, others are answered beside them, each gets its event; then all end, either way."""
    plugin = Events()
    seen: list[bytes] = []
    async with active(plugin) as link:
        async with anyio.create_task_group() as tasks:
            for _ in range(STREAMS):
                tasks.start_soon(listen, link, target, seen)
            await plugin.everyone.wait()
            async with link.open_http(get("/quick")) as call:
                await call.finish()
                assert (await read_answer(call)).body == b"quick"
            plugin.step.set()
            while len(seen) < STREAMS:
                await anyio.lowlevel.checkpoint()
            if plugin.open:
                tasks.cancel_scope.cancel()
        while plugin.open:
            await anyio.lowlevel.checkpoint()
        async with link.open_http(get("/quick")) as call:
            await call.finish()
            assert (await read_answer(call)).body == b"quick"
    assert seen == [b"data: now\n\n"] * STREAMS


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
@pytest.mark.timeout(60)
async def test_an_idle_stream_costs_little_memory(anyio_backend_name: str) -> None:
    """Of a thousand more streams a plugin grows by a bound for each."""
    async with running_plugin(anyio_backend_name) as plugin, anyio.create_task_group() as tasks:
        opened = 0
        everyone = anyio.Event()

        async def hold() -> None:
            nonlocal opened
            async with plugin.link.open_http(get("/hang")) as call:
                await call.finish()
                await call.receive_head()
                opened += 1
                if opened == STREAMS:
                    everyone.set()
                await anyio.sleep_forever()

        async with plugin.link.open_http(get("/event")) as call:
            await call.receive_head()
        before = plugin.memory_octets()
        for _ in range(STREAMS):
            tasks.start_soon(hold)
        await everyone.wait()
        grown = plugin.memory_octets() - before
        tasks.cancel_scope.cancel()
    assert grown < STREAMS * STREAM_OCTETS
