"""Octets of an HTTP/2 stream to gRPC messages, for one taker. Internal.

Job:    hold what has arrived of a body, within the stream's window, and say what may be credited.
Layer:  transport/grpc, between the engine that feeds and the task that takes.
Errors: FramingError for a body that is not the messages it should be.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import copy

import anyio
from anyio.lowlevel import checkpoint_if_cancelled

from mm_plugin.wire.grpc import (
    PREFIX_OCTETS,
    FramingError,
    FramingFault,
    Message,
    MessageReader,
    decompress,
    whole_message,
)

__all__ = ("Bell", "MessageQueue", "UnaryBody")


class Bell:
    """Wakes every task that waits at that moment; a ring that nobody waits for is forgotten."""

    __slots__ = ("_event",)

    def __init__(self) -> None:
        self._event: anyio.Event | None = None

    def ring(self) -> None:
        """Wake who waits."""
        if self._event is not None:
            self._event.set()
            self._event = None

    async def wait(self) -> None:
        """Wait for the next ring; check the condition before and after."""
        if self._event is None:
            self._event = anyio.Event()
        await self._event.wait()


class UnaryBody:
    """Collects the one message of a unary request or response.

    Args:
        limit_octets: Longest message taken; a longer one is refused from its prefix.

    Attributes:
        gzip: The peer has said that it may compress its message.
        in_pieces: The message has come, or is coming, in more than one piece.
    """

    __slots__ = ("_limit_octets", "_message", "_reader", "gzip", "in_pieces")

    def __init__(self, limit_octets: int) -> None:
        self.gzip = False
        self.in_pieces = False
        self._limit_octets = limit_octets
        self._message: bytes | None = None
        self._reader: MessageReader | None = None

    def feed(self, octets: bytes | bytearray, start: int, end: int) -> None:
        """Take the next piece, ``octets[start:end]``, of something that stays as it is.

        Raises:
            FramingError: The body is not one message within the limit, or is compressed as nobody has agreed.
        """
        if self._reader is None:
            if self._message is None:
                # Nearly always: one whole message in one piece.
                self._message = whole_message(octets, start, end, self._limit_octets)
                if self._message is not None:
                    return
            self._reader = MessageReader(self._limit_octets)
            self.in_pieces = True
        self._reader.feed(octets, start, end)
        while (found := self._reader.next_message()) is not None:
            if self._message is not None:
                raise FramingError(FramingFault.SURPLUS)
            self._message = _plain(found, self.gzip, self._limit_octets)

    def finish(self) -> bytes:
        """Return the message, now that the body has ended, and keep it no longer.

        Raises:
            FramingError: There is none, or not the whole of it.
        """
        if self._reader is not None:
            self._reader.finish()
        message, self._message = self._message, None
        if message is None:
            raise FramingError(FramingFault.MISSING)
        return message


class MessageQueue:
    """The messages of one streaming body: fed by the engine, taken by one task at a time.

    Args:
        limit_octets: Longest message taken.
        credit: Called with the octets whose stream credit may go back to the peer: those of the messages taken, and
            all that has come while the taker waits, so that a message may be longer than the window.

    Attributes:
        gzip: The peer has said that it may compress its messages.
    """

    __slots__ = ("_bell", "_credit", "_ended", "_error", "_held_octets", "_limit_octets", "_reader", "_waiting", "gzip")

    def __init__(self, limit_octets: int, credit: Callable[[int], None]) -> None:
        self.gzip = False
        self._limit_octets = limit_octets
        self._reader = MessageReader(limit_octets)
        self._credit = credit
        self._held_octets = 0
        self._ended = False
        self._error: Exception | None = None
        self._bell = Bell()
        self._waiting = False

    def feed(self, octets: bytes | bytearray, start: int, end: int, credit_octets: int) -> None:
        """Take the next piece of the body, ``octets[start:end]``, of something that stays as it is."""
        self._reader.feed(octets, start, end)
        if self._waiting:
            self._credit(credit_octets)
            self._bell.ring()
        else:
            self._held_octets += credit_octets

    def end(self, error: Exception | None = None) -> None:
        """Say that no more will come: the body is complete, or ``error`` is what became of it."""
        if not self._ended:
            self._ended = True
            self._error = error
            self._credit = _dropped  # nobody sends any more; a call that gave its own method is set free
            self._bell.ring()

    def drop(self, error: Exception) -> None:
        """Forget what nobody will take any more: the stream is gone, and ``error`` is what a taker meets at once."""
        self._reader = MessageReader(self._limit_octets)
        self._ended = False  # a body that was complete is none any more
        self.end(error)

    async def receive(self) -> bytes | None:
        """Wait for the next message; None once the body has ended well, and ever after.

        Cancellation loses nothing.

        Raises:
            FramingError: The body is broken or too large; raised again by later calls.
            Exception: A copy of what ``end`` was given, after all that had arrived whole has been taken; or of what
                ``drop`` was given.
        """
        await checkpoint_if_cancelled()
        while True:
            found = self._reader.next_message()
            if found is not None:
                self._give_back(len(found.data) + PREFIX_OCTETS)
                return _plain(found, self.gzip, self._limit_octets)
            if self._ended:
                if self._error is not None:
                    raise copy(self._error)  # one that is raised leads to frames that hold this queue
                self._reader.finish()
                return None
            self._give_back(self._held_octets)
            self._waiting = True
            try:
                await self._bell.wait()
            finally:
                self._waiting = False

    def _give_back(self, octets: int) -> None:
        octets = min(octets, self._held_octets)
        if octets:
            self._held_octets -= octets
            self._credit(octets)


def _dropped(_octets: int) -> None:
    """Give no credit."""


def _plain(message: Message, gzip: bool, limit_octets: int) -> bytes:
    """Return a message's octets as they were before its sender compressed them.

    Raises:
        FramingError: It is compressed though nobody has said how, is no gzip, or is too large by itself.
    """
    if not message.compressed:
        return message.data
    if not gzip:
        raise FramingError(FramingFault.BAD_FLAG, "it is set, but no encoding that we know was named")
    return decompress(message.data, limit_octets)
