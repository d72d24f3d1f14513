"""What ``Connection.receive`` reports.

Events come in the order of the wire. Heads are shared and immutable; streams are the live objects.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

from mm_plugin.wire.http2.errors import ErrorCode
from mm_plugin.wire.http2.fields import Head
from mm_plugin.wire.http2.stream import Stream

__all__ = (
    "ConnectionClosed",
    "DataReceived",
    "Event",
    "GoAwayReceived",
    "InformationalReceived",
    "PingAcknowledged",
    "RequestReceived",
    "ResponseReceived",
    "RoomChanged",
    "StreamReset",
    "StreamWritable",
    "TrailersReceived",
)


@dataclass(slots=True)
class RequestReceived:
    """Server: a new stream; its head is ``stream.head``. ``end_stream``: no body, no trailers follow."""

    stream: Stream
    end_stream: bool


@dataclass(slots=True)
class ResponseReceived:
    """Client: the final response head, also ``stream.head``. ``end_stream`` makes it a trailers-only response."""

    stream: Stream
    head: Head
    end_stream: bool


@dataclass(slots=True)
class InformationalReceived:
    """Client: a 1xx head; the final one is still to come."""

    stream: Stream
    head: Head


@dataclass(slots=True)
class DataReceived:
    """A piece of body: ``octets[start:end]``; it may be empty only together with ``end_stream``.

    Give ``credit_octets`` (the piece with its padding) to ``Connection.consumed`` once the application has taken
    the piece; until then it counts against the stream's window. The connection's credit was given on receipt.

    ``octets`` is what ``Connection.receive`` was given, or a frame that two reads had cut: nothing is copied here, and
    it stays as it is. Who keeps a view of it keeps all of that alive, and rather copies a piece that is only a small
    part of it.
    """

    stream: Stream
    octets: bytes | bytearray = field(repr=False)
    start: int
    end: int
    credit_octets: int
    end_stream: bool

    @property
    def data(self) -> bytes:
        """A copy of the piece."""
        return bytes(memoryview(self.octets)[self.start : self.end])


@dataclass(slots=True)
class TrailersReceived:
    """Trailers; the peer sends no more on this stream."""

    stream: Stream
    head: Head


@dataclass(slots=True)
class StreamReset:
    """The stream is closed both ways, what it had queued is dropped.

    ``by_peer``: it came as RST_STREAM, or as a GOAWAY that left the stream out (REFUSED_STREAM: the peer has not
    looked at it, so the call may be tried again). Otherwise we reset it because the peer broke a rule on it.
    A server's NO_ERROR after a complete response only asks to stop sending the request.
    """

    stream: Stream
    code: ErrorCode
    by_peer: bool


@dataclass(slots=True)
class StreamWritable:
    """The stream's queue had reached half of ``Config.stream_output_octets`` and is below it again."""

    stream: Stream


@dataclass(slots=True)
class PingAcknowledged:
    """The peer answered a ``Connection.ping``."""

    payload: bytes


@dataclass(slots=True)
class GoAwayReceived:
    """The peer takes no new streams (RFC 9113, section 6.8).

    ``last_stream_id`` 2**31 - 1 announces a shutdown; the final GOAWAY follows. Client: the streams above
    ``last_stream_id`` were reset with REFUSED_STREAM, each with its own event after this one. ``text`` is the
    peer's debug data.
    """

    last_stream_id: int
    code: ErrorCode
    text: str


@dataclass(slots=True)
class RoomChanged:
    """Client: ``Connection.room`` is not what it was before this ``receive``.

    What our own calls do to the room (opening, resetting, sending the last frame) is not reported.
    """


@dataclass(slots=True)
class ConnectionClosed:
    """The connection is over: ``terminated`` is True, this is the last event, nothing more can be sent or received.

    Streams that were open are still in ``Connection.streams`` and get no event of their own. ``by_peer``: the input
    ended (``receive_eof``); otherwise the peer broke a rule and a GOAWAY with ``code`` waits in ``take``.
    """

    code: ErrorCode
    text: str
    by_peer: bool


Event: TypeAlias = (
    RequestReceived
    | ResponseReceived
    | InformationalReceived
    | DataReceived
    | TrailersReceived
    | StreamReset
    | StreamWritable
    | PingAcknowledged
    | GoAwayReceived
    | RoomChanged
    | ConnectionClosed
)
