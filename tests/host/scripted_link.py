"""A link whose one call does what a test says."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import cast

import anyio

from mm_plugin.exceptions import StatusCode
from mm_plugin.transport.link import (
    CallFailure,
    FailureKind,
    HostLink,
    HTTPCall,
    RequestHead,
    ResponseHead,
    ResponsePart,
)

UNREACHABLE = CallFailure("nobody there", kind=FailureKind.UNREACHABLE, code=StatusCode.UNAVAILABLE)
REFUSED = CallFailure("stopping", kind=FailureKind.REFUSED, code=StatusCode.UNAVAILABLE)
LOST = CallFailure("connection lost", kind=FailureKind.LOST, code=StatusCode.UNAVAILABLE)
NO_STATUS = CallFailure("status 42", code=StatusCode.OUT_OF_RANGE)


class ScriptedCall:
    """A call at the host's end: a head and these pieces, or a failure; its uploads fail."""

    def __init__(self, head: ResponseHead | CallFailure, pieces: tuple[bytes, ...]) -> None:
        self._head = head
        self._pieces = list(pieces)

    async def send(self, data: bytes) -> None:
        await anyio.lowlevel.checkpoint()
        raise CallFailure("gone", kind=FailureKind.LOST)

    async def finish(self) -> None:
        await anyio.lowlevel.checkpoint()

    async def abort(self) -> None:
        await anyio.lowlevel.checkpoint()

    async def receive_head(self) -> ResponseHead:
        await anyio.lowlevel.checkpoint()
        if isinstance(self._head, CallFailure):
            raise self._head
        return self._head

    async def receive(self) -> ResponsePart | None:
        await anyio.lowlevel.checkpoint()
        return ResponsePart(self._pieces.pop(0)) if self._pieces else None


class ScriptedLink:
    """A link whose one call is scripted, or which cannot be opened."""

    def __init__(self, outcome: ResponseHead | CallFailure, *pieces: bytes, opens: bool = True) -> None:
        self._outcome, self._pieces, self._opens = outcome, pieces, opens

    @asynccontextmanager
    async def open_http(self, head: RequestHead) -> AsyncGenerator[HTTPCall]:
        if not self._opens:
            assert isinstance(self._outcome, CallFailure)
            raise self._outcome
        yield ScriptedCall(self._outcome, self._pieces)


def scripted(outcome: ResponseHead | CallFailure, *pieces: bytes) -> HostLink:
    """A scripted link where the rest of a link is not used."""
    return cast("HostLink", ScriptedLink(outcome, *pieces))
