"""One HTTP/2 connection, sans-IO."""

from __future__ import annotations

from mm_plugin.wire.http2.config import Config, Role
from mm_plugin.wire.http2.errors import ErrorCode
from mm_plugin.wire.http2.events import Event
from mm_plugin.wire.http2.fields import Fields
from mm_plugin.wire.http2.stream import Stream

__all__ = ("Connection",)


class Connection:
    """One HTTP/2 connection, as server or client.

    Feed it with ``receive``, write what ``take`` gives. It never raises for what the peer sends.
    Sending on a stream that is closed (a reset may come at any time) or after ``terminated`` does nothing; sending
    after our own end, or data before a head, is a LocalProtocolError and changes nothing.

    Attributes:
        role: Which end we are.
        config: The bounds.
        streams: The open streams by number. After ``ConnectionClosed`` it still lists those that were open.
        output_octets: Octets that wait for ``take``.
        terminated: The connection is over: write what ``take`` gives, then close.
        draining: A GOAWAY was sent or received. A client opens no more streams; a server takes those that cross
            ``announce_shutdown`` and refuses those after ``goaway``.
    """

    role: Role
    config: Config
    streams: dict[int, Stream]
    output_octets: int
    terminated: bool
    draining: bool

    def __init__(self, role: Role, *, config: Config | None = None) -> None:
        raise NotImplementedError

    def receive(self, data: bytes) -> list[Event]:
        """Take octets from the peer and return what they mean, in order; b"" means nothing."""
        raise NotImplementedError

    def receive_eof(self) -> list[Event]:
        """The input ended: terminate, and return one ``ConnectionClosed`` (nothing if terminated before)."""
        raise NotImplementedError

    def take(self) -> bytes:
        """Return and forget all octets to write now; b"" if there are none."""
        raise NotImplementedError

    @property
    def room(self) -> int:
        """Client: how many more streams may be opened now; 0 when draining, terminated or on a server."""
        raise NotImplementedError

    def open_stream(self, head: bytes | Fields, *, end_stream: bool = False) -> Stream:
        """Client: open a stream with its request head (fields, or a block from ``encode``).

        Raises:
            LocalProtocolError: There is no room, or this is a server.
        """
        raise NotImplementedError

    def send_headers(self, stream: Stream, head: bytes | Fields, *, end_stream: bool = False) -> None:
        """Server: send a response head: 1xx, final, or with ``end_stream`` a response that is head only."""
        raise NotImplementedError

    def send_data(self, stream: Stream, data: bytes | memoryview, *, end_stream: bool = False) -> None:
        """Send or queue body octets; the core keeps ``data`` uncopied until it is written: do not change it.

        When ``stream.queued_octets`` reaches ``Config.stream_output_octets`` wait for ``StreamWritable``.
        """
        raise NotImplementedError

    def send_trailers(self, stream: Stream, trailers: bytes | Fields) -> None:
        """End our side with trailers, behind what is queued."""
        raise NotImplementedError

    def send_response(self, stream: Stream, head: bytes, data: bytes, trailers: bytes) -> None:
        """Server: send a whole response of ready blocks and one body, in one go where the windows allow it."""
        raise NotImplementedError

    def stop_request(self, stream: Stream) -> None:
        """Server: after our end was handed over, tell the client to stop sending its request.

        RST_STREAM with NO_ERROR goes out once our end is out; nothing where the request is complete (RFC 9113,
        section 8.1).
        """
        raise NotImplementedError

    def reset(self, stream: Stream, code: ErrorCode) -> None:
        """Close the stream both ways with RST_STREAM and drop what it has queued; no event. Closed: does nothing."""
        raise NotImplementedError

    def consumed(self, stream: Stream, octets: int) -> None:
        """Give the peer credit for body octets that the application has taken (``DataReceived.credit_octets``).

        Raises:
            LocalProtocolError: More than was received.
        """
        raise NotImplementedError

    def ping(self, payload: bytes) -> None:
        """Send a PING of 8 octets; ``PingAcknowledged`` answers."""
        raise NotImplementedError

    def announce_shutdown(self) -> None:
        """Server: say that a shutdown comes (GOAWAY with 2**31 - 1); streams are taken until ``goaway``."""
        raise NotImplementedError

    def goaway(self, code: ErrorCode = ErrorCode.NO_ERROR, text: str = "") -> None:
        """Send the final GOAWAY with the last stream taken; open streams go on, later ones are refused."""
        raise NotImplementedError

    def renew_budget(self) -> None:
        """Forget the work that brought nothing so far; for the engine's clock, say every ten seconds.

        Without it a peer that only sends keepalive PINGs would use up the budget in hours.
        """
        raise NotImplementedError
