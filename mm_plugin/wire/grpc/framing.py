"""Length-prefixed messages of gRPC: octets to whole messages, and back. Internal.

Job:    find the messages in a stream's body; put the prefix before one of ours.
Layer:  wire (sans-IO).
Input:  the body's octets, cut anywhere.
Output: messages in order, each with its compressed flag; nothing is decompressed here.
Errors: FramingError, always with the fault; messages that came before it are still handed out.
See:    grpc/grpc: doc/PROTOCOL-HTTP2.md, section "Length-Prefixed-Message".
"""

from __future__ import annotations

from enum import Enum, unique
from struct import Struct
from typing import Any, NamedTuple, NoReturn

from mm_plugin import limits
from mm_plugin.exceptions import RemoteProtocolError, StatusCode

__all__ = (
    "PREFIX_OCTETS",
    "FramingError",
    "FramingFault",
    "Message",
    "MessageReader",
    "frame",
    "prefix",
    "whole_message",
)

_PREFIX = Struct(">BI")

#: Octets before every message: one flag and four of length.
PREFIX_OCTETS = 5

_SMALL_OCTETS = 1_024  # a piece below is copied to others like it, until they are as long as a frame
_GATHERED_OCTETS = 16_384
_KEPT_PART = limits.kept_view_part
_CUT_AHEAD = 16  # messages cut out before they are asked for: few enough that tiny ones cost nothing to speak of


@unique
class FramingFault(Enum):
    """What is wrong with a body, and the status code that says so."""

    TOO_LARGE = StatusCode.RESOURCE_EXHAUSTED, "the message is over the limit"
    BAD_FLAG = StatusCode.INTERNAL, "the compressed flag is neither 0 nor 1"
    NOT_GZIP = StatusCode.INTERNAL, "the compressed message is not in gzip's format"
    TRUNCATED = StatusCode.INTERNAL, "the body ends inside a message"
    # doc/statuscodes.md: any other number of messages than the method has is UNIMPLEMENTED.
    MISSING = StatusCode.UNIMPLEMENTED, "the body holds no message where one belongs"
    SURPLUS = StatusCode.UNIMPLEMENTED, "the body holds more than the one message that belongs there"

    def __init__(self, code: StatusCode, text: str) -> None:
        self.code = code
        self.text = text


class FramingError(RemoteProtocolError):
    """A body is not the messages it should be; its call is over, the connection lives.

    Attributes:
        fault: What is wrong.
        code: The status code that says the same.
    """

    docs_code = "MMP203"

    def __init__(self, fault: FramingFault, details: str = "") -> None:
        super().__init__(f"{fault.text}{': ' if details else ''}{details}")
        self.fault = fault
        self.code = fault.code


class Message(NamedTuple):
    """One message as it stood on the wire."""

    data: bytes
    compressed: bool


def frame(message: bytes, *, compressed: bool = False) -> bytes:
    """Return ``message`` with its prefix.

    Raises:
        OverflowError: The message is over 4 GiB, which the prefix cannot say.
    """
    return prefix(message, compressed=compressed) + message


def prefix(message: bytes, *, compressed: bool = False) -> bytes:
    """Return the prefix of ``message``, for who sends both without copying the message.

    Raises:
        OverflowError: The message is over 4 GiB, which the prefix cannot say.
    """
    if len(message) > 0xFFFFFFFF:
        raise OverflowError(f"a gRPC message holds at most 4294967295 octets, this one has {len(message)}")
    return _PREFIX.pack(compressed, len(message))


def whole_message(octets: bytes | bytearray, start: int, end: int, limit_octets: int) -> bytes | None:
    """Return the message that ``octets[start:end]`` is; the quick way where one DATA frame holds it all.

    Args:
        octets: What holds the piece of a body.
        start: Where the piece starts in it.
        end: Where it ends.
        limit_octets: Longest message taken.

    Returns:
        A copy; None where the piece is anything but one message that is not compressed and within the limit.
    """
    if end - start < PREFIX_OCTETS:
        return None
    flag, length = _PREFIX.unpack_from(octets, start)
    start += PREFIX_OCTETS
    if flag or length != end - start or length > limit_octets:
        return None
    return octets[start:end] if type(octets) is bytes else bytes(memoryview(octets)[start:end])


_NONE: list[Message] = []


class MessageReader:
    """Finds messages in octets that come in pieces: ``feed`` a piece, then call ``next_message`` until it is None.

    A message is copied once, out of the pieces it lies in, which are parts of something larger. A piece that would keep
    much more alive than it holds is not kept: what it completes is cut out at once, the rest is copied. A length over
    the limit is refused as soon as its prefix is there; after any fault nothing more is held.

    Args:
        limit_octets: Longest message taken.
    """

    __slots__ = ("_compressed", "_cut", "_fault", "_length", "_limit_octets", "_offset", "_pieces", "waiting_octets")

    def __init__(self, limit_octets: int) -> None:
        self._limit_octets = limit_octets
        #: Octets held that belong to no message cut out yet, without a prefix already read.
        self.waiting_octets = 0
        # Pieces as they came; small ones are gathered, so that many of them cost no more than their octets.
        # Lists, since idle streams are many and an empty deque takes 600 octets.
        self._pieces: list[bytearray | memoryview] = []
        self._cut: list[Message] = []  # cut out before they were asked for
        self._offset = 0  # in the first piece
        self._length = -1  # of the message whose prefix has been read
        self._compressed = False
        # What a FramingError says, not the error: one that is raised leads to frames that hold this reader.
        self._fault: tuple[FramingFault, str] | None = None

    def feed(self, octets: bytes | bytearray, start: int = 0, end: int | None = None) -> None:
        """Take the next piece of the body, ``octets[start:end]``; after a fault it is dropped.

        Args:
            octets: What holds the piece; it must stay as it is.
            start: Where the piece starts in it.
            end: Where it ends; None means all the rest.
        """
        if end is None:
            end = len(octets)
        size = end - start
        if self._fault is not None or not size:
            return
        pieces = self._pieces
        if not pieces and self._length < 0 and (size >= _SMALL_OCTETS or len(self._cut) < _CUT_AHEAD):
            message = whole_message(octets, start, end, self._limit_octets)
            if message is not None:
                self._cut.append(Message(message, compressed=False))
                return
        self.waiting_octets += size
        piece = memoryview(octets)[start:end]
        if not pieces or size >= _SMALL_OCTETS or 0 <= self._length <= self.waiting_octets:
            pieces.append(piece)
            if _wasteful(piece):
                self._cut_ahead()
        elif isinstance(last := pieces[-1], bytearray) and len(last) < _GATHERED_OCTETS:
            last += piece
        else:
            pieces.append(bytearray(piece))

    def next_message(self) -> Message | None:
        """Return the next whole message; None where more octets are needed.

        Raises:
            FramingError: The next prefix is wrong or over the limit; raised again by every later call.
        """
        if self._cut:
            return self._cut.pop(0)
        if self._fault is not None:
            raise FramingError(*self._fault)
        if self._length < 0:
            if self.waiting_octets < PREFIX_OCTETS:
                self._detach_rest()
                return None
            flag, length = _PREFIX.unpack(self._take(PREFIX_OCTETS))
            if flag > 1:
                self._give_up(FramingFault.BAD_FLAG, f"it is {flag}")
            if length > self._limit_octets:
                self._give_up(FramingFault.TOO_LARGE, f"{length} octets, the limit is {self._limit_octets}")
            self._length = length
            self._compressed = flag == 1
        if self.waiting_octets < self._length:
            self._detach_rest()
            return None
        data = self._take(self._length)
        self._length = -1
        return Message(data, self._compressed)

    def _take(self, octets: int) -> bytes:
        """Return and forget the first octets; there are as many."""
        self.waiting_octets -= octets
        pieces, offset, used = self._pieces, self._offset, 0
        parts: list[memoryview] = []
        while octets:
            piece = pieces[used]
            view = memoryview(piece)[offset : offset + octets]
            parts.append(view)
            octets -= len(view)
            offset += len(view)
            if offset == len(piece):
                used += 1
                offset = 0
        del pieces[:used]
        self._offset = offset
        return bytes(parts[0]) if len(parts) == 1 else b"".join(parts)

    def _cut_ahead(self) -> None:
        """Cut out the messages that the last piece, a wasteful one, completes, and copy what is left of it."""
        cut, self._cut = self._cut, _NONE
        try:
            while len(cut) < _CUT_AHEAD and (message := self.next_message()) is not None:
                cut.append(message)
        except FramingError:
            pass  # nothing is left then; it is raised again after the messages
        self._cut = cut
        self._detach_rest()
        if self._pieces and type(self._pieces[-1]) is memoryview and _wasteful(self._pieces[-1]):
            self._pieces[-1] = bytearray(self._pieces[-1])

    def _detach_rest(self) -> None:
        """Copy what is left of the first piece, where some of it is taken and the rest would be a wasteful one."""
        if self._offset and _wasteful(rest := memoryview(self._pieces[0])[self._offset :]):
            self._pieces[0] = bytearray(rest)
            self._offset = 0

    def finish(self) -> None:
        """Check that the body may end here; call it when ``next_message`` has nothing more.

        Raises:
            FramingError: It ends inside a message, or a fault was met before.
        """
        if self._fault is not None:
            raise FramingError(*self._fault)
        if self._length >= 0 or self.waiting_octets:
            self._give_up(FramingFault.TRUNCATED)

    def _give_up(self, fault: FramingFault, details: str = "") -> NoReturn:
        self._fault = fault, details
        self._pieces.clear()
        self._offset = self.waiting_octets = 0
        raise FramingError(fault, details)


def _wasteful(piece: memoryview) -> bool:
    """Return whether a piece would keep much more alive than it holds."""
    whole: Any = piece.obj
    return len(piece) < _KEPT_PART * len(whole)
