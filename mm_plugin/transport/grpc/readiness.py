"""Waits for a socket to be readable without telling the selector anew each time, where the loop allows it. Internal.

AnyIO's ``wait_readable`` registers with asyncio's selector before each wait and unregisters after it: two system calls
and a good deal of Python for each read. Here the registration stands for as long as reads follow each other; it goes
when octets come that nobody waits for, since the selector would report them in every turn of the loop.

Layer:  transport/grpc, under sockets.py. Asks the loop behind AnyIO's token for ``add_reader``; a loop without it, such
        as Trio's, keeps to ``anyio.wait_readable``.
"""

from __future__ import annotations

import socket
from typing import Protocol, cast

import anyio
from anyio.lowlevel import current_token

from mm_plugin.transport.grpc.bodies import Bell

__all__ = ("Readiness",)


class _Loop(Protocol):
    def add_reader(self, descriptor: int, callback: object) -> object: ...

    def remove_reader(self, descriptor: int) -> object: ...


class Readiness:
    """Whether one socket can be read; for one waiting task at a time."""

    __slots__ = ("_bell", "_descriptor", "_loop", "_owned", "_stale", "_standing", "_waiting")

    def __init__(self, owned: socket.socket) -> None:
        self._owned = owned
        self._descriptor = owned.fileno()
        self._bell = Bell()
        self._loop: _Loop | None = None
        self._standing = False
        self._waiting = False
        self._stale = False  # a report may be one turn old: the octets have been read meanwhile

    async def wait(self) -> None:
        """Wait until the socket is readable or ``close`` was called; what a read then gives tells which.

        Cancellation loses nothing.
        """
        if self._loop is None:
            loop = cast("_Loop", current_token().native_token)
            if not hasattr(loop, "add_reader"):
                await anyio.wait_readable(self._owned)
                return
            self._loop = loop
        if not self._standing:
            try:
                self._loop.add_reader(self._descriptor, self._on_readable)
            except NotImplementedError:  # Windows' default loop
                await anyio.wait_readable(self._owned)
                return
            self._standing = True
        self._stale = False
        self._waiting = True
        try:
            await self._bell.wait()
        finally:
            self._waiting = False

    def _on_readable(self) -> None:
        if self._waiting:
            self._bell.ring()
        elif self._stale:
            self._take_away()
        else:
            self._stale = True

    def _take_away(self) -> None:
        if self._standing and self._loop is not None:
            self._standing = False
            self._loop.remove_reader(self._descriptor)

    def close(self) -> None:
        """Wake who waits in a standing registration; to be called before ``anyio.notify_closing``."""
        self._take_away()
        self._bell.ring()
