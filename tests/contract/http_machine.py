"""A ServeHTTP call over a real link as a rule-based machine: the rules of ``tests/wire/serve_http``, the same model.

Each rule is a wish that one of four tasks carries out in its own time: both directions at the host and at the plugin.
What may be wished follows from the model alone, never from what has arrived, so that examples can be repeated.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import anyio
from anyio.abc import TaskGroup
from anyio.from_thread import BlockingPortal
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from mm_plugin import limits
from mm_plugin.exceptions import RequestBodyAbortedError
from mm_plugin.transport.link import CallFailure, HostLink, HTTPCall, HTTPExchange, RequestHead, ResponseHead

#: Lengths around every bound there is.
LENGTHS = (0, 1, 100, limits.http_chunk_octets - 1, limits.http_chunk_octets, limits.http_chunk_octets + 1, 150_000)
#: What may be under way in one direction: what the two ends of a stream hold, and a piece in each hand.
UNDER_WAY_OCTETS = limits.http2_stream_window_octets + limits.http2_stream_output_octets + 4 * max(LENGTHS)
Wish = Callable[[], Awaitable[None]]


class _ResponseOver(Exception):  # noqa: N818 - no error
    """The handler has ended the response, or is to return without having done so."""


class Wishes:
    """What one task has to do, in order."""

    def __init__(self) -> None:
        self._add, self._next = anyio.create_memory_object_stream[Wish](math.inf)

    def add(self, wish: Wish) -> None:
        self._add.send_nowait(wish)

    def close(self) -> None:
        self._add.close()
        self._next.close()

    async def fulfil(self) -> None:
        async for wish in self._next:
            await wish()


@dataclass
class Direction:
    """One body on its way, as its receiver sees it."""

    taken: int = 0  # octets that the sender got rid of
    got: bytes = b""
    longest: int = 0
    whole: bool = False
    broken: bool = False
    ended: anyio.Event = field(default_factory=anyio.Event)


class Call:
    """One call on the event loop: four tasks that do what they are told, and what they have seen."""

    def __init__(self) -> None:
        self.up, self.down = Direction(), Direction()
        self.host_sends, self.host_reads, self.plugin_reads, self.plugin_writes = (Wishes() for _ in range(4))
        self.entered = 0
        self.statuses: list[int] = []
        self.handler_over, self.client_over = anyio.Event(), anyio.Event()
        self.client = anyio.CancelScope()
        self.host: HTTPCall | None = None
        self.exchange: HTTPExchange | None = None

    async def handle(self, exchange: HTTPExchange) -> None:
        """Be the plugin: return once the response has been ended."""
        self.exchange = exchange
        self.entered += 1
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self.plugin_reads.fulfil)
                try:
                    await self.plugin_writes.fulfil()
                except _ResponseOver:
                    tasks.cancel_scope.cancel()
        finally:
            self.handler_over.set()

    async def run_client(self, link: HostLink, url: str) -> None:
        """Be the host, until the response has ended or the client goes."""
        try:
            with self.client:
                async with (
                    link.open_http(RequestHead(method="POST", url=url)) as self.host,
                    anyio.create_task_group() as tasks,
                ):
                    tasks.start_soon(self.host_sends.fulfil)
                    tasks.start_soon(self.host_reads.fulfil)
                    await self.down.ended.wait()
                    tasks.cancel_scope.cancel()
        finally:
            self.client_over.set()

    async def send(self, data: bytes) -> None:
        assert self.host is not None
        try:
            await self.host.send(data)
            self.up.taken += len(data)
        except CallFailure:
            pass  # the task that reads hears of it too

    async def end_upload(self, whole: bool) -> None:
        assert self.host is not None
        try:
            await (self.host.finish() if whole else self.host.abort())
        except CallFailure:
            pass

    async def read_up(self) -> None:
        """Take a piece at the plugin; after the end it stays ended."""
        assert self.exchange is not None
        if self.up.broken:
            return
        try:
            piece = await self.exchange.receive()
        except RequestBodyAbortedError:
            self.up.broken = True
            self.up.ended.set()
            return
        assert not (piece and self.up.whole), "a piece after the end"
        self._got(self.up, piece, whole=not piece)

    async def read_down(self) -> None:
        """Take the head or a piece at the host; after the end it stays ended."""
        assert self.host is not None
        if self.down.broken:
            return
        try:
            if not self.statuses:
                self.statuses.append((await self.host.receive_head()).status)
                return
            part = await self.host.receive()
        except CallFailure:
            self.down.broken = True
            self.down.ended.set()
            return
        assert part is None or not self.down.whole, "a piece after the end"
        assert part is None or part.data or part.flush, "a piece that says nothing"
        if part is None and not self.down.whole:
            assert await self.host.receive() is None
        self._got(self.down, b"" if part is None else part.data, whole=part is None)

    async def write(self, data: bytes, flush: bool) -> None:
        assert self.exchange is not None
        await self.exchange.write(data, flush=flush)
        self.down.taken += len(data)

    async def respond(self, status: int) -> None:
        assert self.exchange is not None
        await self.exchange.respond(ResponseHead(status=status))

    async def end_response(self, how: str) -> None:
        assert self.exchange is not None
        if how == "finish":
            await self.exchange.finish()
        elif how == "abort":
            await self.exchange.abort("wished")
        raise _ResponseOver  # "leave": the handler returns without an end

    @staticmethod
    def _got(direction: Direction, data: bytes, *, whole: bool) -> None:
        direction.got += data
        direction.longest = max(direction.longest, len(data))
        direction.whole = whole
        if whole:
            direction.ended.set()


@dataclass
class Ground:
    """Where the machines of one test run: one link, one event loop in a thread."""

    portal: BlockingPortal
    link: HostLink
    tasks: TaskGroup
    is_chunked: bool
    calls: dict[str, Call]


class LinkMachine(RuleBasedStateMachine):
    """Any order of wishes that the rules allow, through tasks and sockets."""

    ground: Ground  # set by the test in a subclass

    @initialize()
    def start(self) -> None:
        # What each side did, as the model remembers it.
        self.upload = "open"  # open, whole, broken
        self.answer = "none"  # none, open, whole, broken
        self.sent_up = self.sent_down = b""
        self.gone = False
        self.status = 0
        self.url = f"/{len(self.ground.calls)}"
        self.call = self.ground.portal.call(self._open)

    async def _open(self) -> Call:
        call = self.ground.calls[self.url] = Call()
        self.ground.tasks.start_soon(call.run_client, self.ground.link, self.url)
        return call

    def wish(self, wishes: Wishes, wish: Callable[..., Awaitable[None]], *arguments: object) -> None:
        async def fulfil() -> None:
            await wish(*arguments)

        self.ground.portal.call(wishes.add, fulfil)

    # -- the host's wishes

    @precondition(lambda self: self.upload == "open")
    @rule(length=st.sampled_from(LENGTHS))
    def host_sends(self, length: int) -> None:
        data = bytes([len(self.sent_up) % 251]) * length
        self.sent_up += data
        self.wish(self.call.host_sends, self.call.send, data)

    @precondition(lambda self: self.upload == "open")
    @rule(whole=st.booleans())
    def host_ends(self, whole: bool) -> None:
        self.upload = "whole" if whole else "broken"
        self.wish(self.call.host_sends, self.call.end_upload, whole)

    @rule(count=st.integers(1, 8))
    def host_reads(self, count: int) -> None:
        for _ in range(count):
            self.wish(self.call.host_reads, self.call.read_down)

    @precondition(lambda self: not self.gone)
    @rule(once_in=st.integers(1, 8))
    def client_goes(self, once_in: int) -> None:
        if once_in < 8:
            return  # else few examples come to an end of their own
        self.gone = True
        self.ground.portal.call(self.call.client.cancel)

    # -- the plugin's wishes

    @rule(count=st.integers(1, 8))
    def plugin_reads(self, count: int) -> None:
        for _ in range(count):
            self.wish(self.call.plugin_reads, self.call.read_up)

    @precondition(lambda self: self.answer == "none")
    @rule(status=st.integers(200, 999))
    def plugin_responds(self, status: int) -> None:
        self.status, self.answer = status, "open"
        self.wish(self.call.plugin_writes, self.call.respond, status)

    @precondition(lambda self: self.answer == "open")
    @rule(length=st.sampled_from(LENGTHS), flush=st.booleans())
    def plugin_writes(self, length: int, flush: bool) -> None:
        data = bytes([len(self.sent_down) % 241]) * length
        self.sent_down += data
        self.wish(self.call.plugin_writes, self.call.write, data, flush)

    @precondition(lambda self: self.answer == "open")
    @rule(once_in=st.integers(1, 4))
    def plugin_finishes(self, once_in: int) -> None:
        if once_in < 4:
            return  # else few answers have a body
        self.answer = "whole"
        self.wish(self.call.plugin_writes, self.call.end_response, "finish")

    @precondition(lambda self: self.answer in ("none", "open"))
    @rule(how=st.sampled_from(["abort", "leave", "", "", "", ""]))
    def plugin_breaks_off(self, how: str) -> None:
        if not how:
            return
        self.answer = "broken"
        self.wish(self.call.plugin_writes, self.call.end_response, how)

    # -- the network

    @rule(steps=st.integers(1, 30))
    def time_passes(self, steps: int) -> None:
        self.ground.portal.call(_pass_time, steps)

    # -- what always holds

    @invariant()
    def bodies_are_prefixes_in_order(self) -> None:
        if hasattr(self, "call"):
            assert self.sent_up.startswith(self.call.up.got)
            assert self.sent_down.startswith(self.call.down.got)
            assert self.call.statuses in ([], [self.status])
            assert self.call.entered <= 1

    @invariant()
    def whole_means_whole(self) -> None:
        if not hasattr(self, "call"):
            return
        up, down = self.call.up, self.call.down
        assert not up.whole or (self.upload == "whole" and up.got == self.sent_up)
        assert not down.whole or (self.answer == "whole" and down.got == self.sent_down)
        assert not up.broken or self.upload == "broken" or self.answer in ("whole", "broken") or self.gone

    @invariant()
    def what_is_under_way_is_bounded(self) -> None:
        if not hasattr(self, "call"):
            return
        down = self.call.down
        assert down.taken - len(down.got) <= UNDER_WAY_OCTETS
        up = self.call.up
        if self.answer not in ("whole", "broken"):  # after the end the rest of the body is thrown away
            assert up.taken - len(up.got) <= UNDER_WAY_OCTETS
        if self.ground.is_chunked:
            assert max(up.longest, down.longest) <= limits.http_chunk_octets

    def teardown(self) -> None:
        """Once nothing more is wanted, both sides end, and each saw how the other did."""
        if not hasattr(self, "call"):
            return
        early = self.answer in ("whole", "broken")
        if self.upload == "open":
            self.host_ends(whole=True)
        self.ground.portal.call(self._read_on)
        if not (early or self.gone):
            self.ground.portal.call(_within, self.call.up.ended.wait)
            assert self.call.up.whole == (self.upload == "whole")
            if self.answer == "none":
                self.plugin_responds(200)
            self.plugin_finishes(once_in=4)
        self.ground.portal.call(_within, self.call.client_over.wait)
        if self.call.entered:
            self.ground.portal.call(_within, self.call.handler_over.wait)
        self.bodies_are_prefixes_in_order()
        self.whole_means_whole()
        self.what_is_under_way_is_bounded()
        assert self.gone or self.call.down.whole == (self.answer == "whole")
        assert self.gone or self.call.down.broken == (self.answer == "broken")
        self.ground.portal.call(self._close)

    async def _read_on(self) -> None:
        """Have both readers take whatever comes, to the end."""

        async def to_the_end(direction: Direction, read: Wish) -> None:
            while not direction.ended.is_set():
                await read()

        self.call.host_reads.add(lambda: to_the_end(self.call.down, self.call.read_down))
        self.call.plugin_reads.add(lambda: to_the_end(self.call.up, self.call.read_up))

    async def _close(self) -> None:
        for wishes in (self.call.host_sends, self.call.host_reads, self.call.plugin_reads, self.call.plugin_writes):
            wishes.close()


async def _pass_time(steps: int) -> None:
    for _ in range(steps):
        await anyio.lowlevel.checkpoint()


async def _within(wait: Callable[[], Awaitable[object]]) -> None:
    with anyio.fail_after(10):
        await wait()
