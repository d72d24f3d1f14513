"""What of one plugin's is under way at the host, so that a stop lets it finish instead of cutting it.

Job:    count hooks and HTTP requests on the way to the plugin and back; at a stop take no more requests, wait for those
        worth waiting for, cut the others.
Layer:  host, around one plugin's link.
Errors: CallFailure for requests that come too late or are cut.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, TypeVar

import anyio

from mm_plugin import limits
from mm_plugin.exceptions import StatusCode
from mm_plugin.host.link_around import LinkAround
from mm_plugin.transport.link import CallFailure, FailureKind, HostLink, HTTPCall, RequestHead, ResponseHead

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from mm_plugin.transport.link import ResponsePart

__all__ = ("EventsEnded", "InFlightLink")

_T = TypeVar("_T")


class EventsEnded(CallFailure):
    """An event stream has ended because its plugin stops, as it must: it has no end of its own, and nothing is lost."""

    docs_code = "MMP225"


class InFlightLink(LinkAround):
    """A HostLink that knows what is under way on it.

    Args:
        link: The real one.
    """

    def __init__(self, link: HostLink) -> None:
        super().__init__(link)
        self._hooks = 0
        self._requests: set[_Request] = set()
        self._stopping = False
        self._less = anyio.Event()

    async def call_hook(self, name: str, request: Message, *, deadline: float | None = None) -> Message:
        """Call a hook; see HostLink."""
        self._hooks += 1
        try:
            return await super().call_hook(name, request, deadline=deadline)
        finally:
            self._hooks -= 1
            self._less.set()

    @asynccontextmanager
    async def open_http(self, head: RequestHead) -> AsyncGenerator[HTTPCall]:
        """Open one HTTP request; see HostLink.

        Raises:
            CallFailure: The plugin is being stopped.
        """
        if self._stopping:
            raise _stopped(FailureKind.UNREACHABLE)
        async with self._link.open_http(head) as call:
            request = _Request(call)
            self._requests.add(request)
            try:
                yield request
            finally:
                self._requests.discard(request)
                self._less.set()

    async def drain(self, *, within_s: float) -> None:
        """Take no more HTTP requests, and wait for hooks and requests under way; then cut the requests that are left.

        A response that has begun is worth waiting for while pieces of it come, an event stream never is: it has no
        end. Hooks that are left go on. Cancellation leaves everything as it is.

        Args:
            within_s: Longest wait in seconds.
        """
        self._stopping = True
        end = anyio.current_time() + within_s
        while (now := anyio.current_time()) < (until := min(end, self._wait_until())):
            self._less = anyio.Event()
            with anyio.move_on_after(until - now):
                await self._less.wait()
        for request in self._requests:
            request.cut()

    def _wait_until(self) -> float:
        """Return until when what is under way now is worth waiting for, should nothing happen."""
        if self._hooks:
            return float("inf")
        return max((request.worth_until for request in self._requests), default=0.0)


class _Request:
    """One HTTP request under way; see HTTPCall.

    Attributes:
        worth_until: Until when a stop waits for it, should no more of the response come.
    """

    def __init__(self, call: HTTPCall) -> None:
        self.worth_until = float("inf")
        self._call = call
        self._endless = False
        self._is_cut = False
        self._receiving: anyio.CancelScope | None = None

    async def send(self, data: bytes) -> None:
        """Send a piece of the request body."""
        await self._call.send(data)

    async def finish(self) -> None:
        """Say that the request body is complete."""
        await self._call.finish()

    async def abort(self) -> None:
        """Say that the request body ends here without being complete."""
        await self._call.abort()

    async def receive_head(self) -> ResponseHead:
        """Wait for the response's head."""
        head = await self._received(self._call.receive_head)
        self._endless = any(
            name.lower() == "content-type" and value.lower().startswith("text/event-stream")
            for name, value in head.headers
        )
        self._note_piece()
        return head

    async def receive(self) -> ResponsePart | None:
        """Wait for the next piece of the response body; None once it is complete."""
        part = await self._received(self._call.receive)
        self._note_piece()
        return part

    def cut(self) -> None:
        """Have whoever reads the response learn that it has broken off."""
        self._is_cut = True
        if self._receiving is not None:
            self._receiving.cancel()

    def _note_piece(self) -> None:
        self.worth_until = 0.0 if self._endless else anyio.current_time() + limits.host_quiet_response_s

    async def _received(self, receive: Callable[[], Awaitable[_T]]) -> _T:
        if not self._is_cut:
            with anyio.CancelScope() as self._receiving:
                return await receive()
        raise _stopped(FailureKind.LOST, EventsEnded if self._endless else CallFailure)


def _stopped(kind: FailureKind, failure: type[CallFailure] = CallFailure) -> CallFailure:
    return failure("the plugin is being stopped", kind=kind, code=StatusCode.UNAVAILABLE)
