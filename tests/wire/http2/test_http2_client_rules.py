"""What a client must accept and refuse from its server."""

from __future__ import annotations

import pytest

from mm_plugin.exceptions import LocalProtocolError
from mm_plugin.wire.http2 import (
    Config,
    Connection,
    ConnectionClosed,
    DataReceived,
    ErrorCode,
    InformationalReceived,
    ResponseReceived,
    Role,
    RoomChanged,
    Stream,
    StreamReset,
    TrailersReceived,
    encode,
)
from tests.wire.http2.raw_frames import (
    ACK,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    HEADERS,
    PADDED,
    PING,
    PREFACE,
    PUSH_PROMISE,
    REQUEST,
    REQUEST_BLOCK,
    RESPONSE,
    RESPONSE_BLOCK,
    RST_STREAM,
    SETTINGS,
    TRAILERS_BLOCK,
    client,
    frame,
    frames_of,
    goaway,
    goaway_code,
    kinds,
    rst_stream,
    settings,
    uint32,
    window_update,
)

E = ErrorCode
WHOLE = END_HEADERS | END_STREAM


def head(block: bytes = RESPONSE_BLOCK, flags: int = END_HEADERS, stream_id: int = 1) -> bytes:
    return frame(HEADERS, flags, stream_id, block)


def asked(config: Config | None = None, **peer_settings: int) -> tuple[Connection, Stream]:
    """A client whose first request, still open, is out."""
    connection = client(config, **peer_settings)
    stream = connection.open_stream(REQUEST)
    connection.take()
    return connection, stream


def test_greets_with_preface_settings_and_credit() -> None:
    """The client's first octets are the preface, SETTINGS that refuse push, and credit for the connection."""
    octets = Connection(Role.CLIENT).take()
    assert octets.startswith(PREFACE)
    first, second = frames_of(octets)
    assert first.kind == SETTINGS
    assert b"\x00\x02\x00\x00\x00\x00" in first.payload
    assert second.stream_id == 0


def test_request_frames() -> None:
    """A head, data and trailers go out as HEADERS, DATA and HEADERS with END_STREAM on the next odd stream."""
    connection = client()
    connection.open_stream(REQUEST, end_stream=True)
    stream = connection.open_stream(REQUEST_BLOCK)
    connection.send_data(stream, b"body")
    connection.send_trailers(stream, [(b"x", b"y")])
    assert frames_of(connection.take()) == [
        (HEADERS, WHOLE, 1, REQUEST_BLOCK),
        (HEADERS, END_HEADERS, 3, REQUEST_BLOCK),
        (DATA, 0, 3, b"body"),
        (HEADERS, WHOLE, 3, encode([(b"x", b"y")])),
    ]


def test_response_with_informational_head_data_and_trailers() -> None:
    """1xx heads come first, then the final head, data and trailers; the stream then waits for our end."""
    connection, stream = asked()
    events = connection.receive(
        head(encode([(b":status", b"103")]))
        + head()
        + frame(DATA, PADDED, 1, b"\x01abc\x00")
        + head(TRAILERS_BLOCK, WHOLE)
    )
    info, response, data, trailers = events
    assert isinstance(info, InformationalReceived)
    assert info.head.status == 103
    assert isinstance(response, ResponseReceived)
    assert (response.head, response.end_stream) == (stream.head, False)
    assert (response.head.status, list(response.head.fields)) == (200, RESPONSE)
    assert isinstance(data, DataReceived)
    assert (data.stream, data.data, data.credit_octets, data.end_stream) == (stream, b"abc", 5, False)
    assert isinstance(trailers, TrailersReceived)
    assert (stream.local_open, stream.remote_open) == (True, False)
    connection.send_data(stream, b"", end_stream=True)
    assert stream.closed
    assert connection.streams == {}


def test_trailers_only_response() -> None:
    """One HEADERS frame with END_STREAM is a whole response."""
    connection, stream = asked()
    (response,) = connection.receive(head(encode([*RESPONSE, (b"grpc-status", b"12")]), WHOLE))
    assert isinstance(response, ResponseReceived)
    assert response.end_stream
    assert response.head.get(b"grpc-status") == b"12"
    assert not stream.remote_open


def test_complete_response_then_no_error_reset_stops_the_request() -> None:
    """RST_STREAM with NO_ERROR after the whole response is reported as such (RFC 9113, section 8.1)."""
    connection, stream = asked()
    events = connection.receive(head(flags=WHOLE) + rst_stream(1, 0))
    assert events[1:] == [StreamReset(stream, E.NO_ERROR, by_peer=True), RoomChanged()]


CONNECTION_FAULTS = {
    "SETTINGS not first": (None, E.PROTOCOL_ERROR),
    "HEADERS on an idle stream": (head(stream_id=3), E.PROTOCOL_ERROR),
    "HEADERS on an even stream": (head(stream_id=2), E.PROTOCOL_ERROR),
    "HEADERS on stream 0": (head(stream_id=0), E.PROTOCOL_ERROR),
    "DATA on an idle stream": (frame(DATA, 0, 3, b"x"), E.PROTOCOL_ERROR),
    "RST_STREAM on an idle stream": (rst_stream(3), E.PROTOCOL_ERROR),
    "WINDOW_UPDATE on an idle stream": (window_update(3, 1), E.PROTOCOL_ERROR),
    "ENABLE_PUSH from a server": (settings(push=1), E.PROTOCOL_ERROR),
    "PUSH_PROMISE": (frame(PUSH_PROMISE, END_HEADERS, 1, b"\0\0\0\2" + REQUEST_BLOCK), E.PROTOCOL_ERROR),
    "CONTINUATION alone": (frame(CONTINUATION, END_HEADERS, 1), E.PROTOCOL_ERROR),
    "HEADERS after a reset": (rst_stream(1) + head(), E.STREAM_CLOSED),
    "GOAWAY that raises its last stream": (goaway(1) + goaway(3), E.PROTOCOL_ERROR),
    "a bad header block": (head(b"\x80"), E.COMPRESSION_ERROR),
    "frame over the maximum size": (frame(DATA, 0, 1, bytes(16_385)), E.FRAME_SIZE_ERROR),
}


@pytest.mark.parametrize("case", CONNECTION_FAULTS)
def test_ends_the_connection(case: str) -> None:
    """A GOAWAY with the right code, one closing event; the open stream is still listed."""
    octets, code = CONNECTION_FAULTS[case]
    if octets is None:
        connection = Connection(Role.CLIENT)
        events = connection.receive(frame(PING, 0, 0, bytes(8)))
    else:
        connection, _ = asked()
        events = connection.receive(octets)
    closed = events[-1]
    assert isinstance(closed, ConnectionClosed)
    assert (closed.code, closed.by_peer) == (code, False)
    frames = frames_of(connection.take())
    assert goaway_code(frames) == code
    assert uint32(frames[-1]) == 0
    assert connection.room == 0


STREAM_FAULTS = {
    "DATA before the head": frame(DATA, 0, 1, b"x"),
    "trailers instead of a head": head(TRAILERS_BLOCK),
    "a request instead of a head": head(REQUEST_BLOCK),
    "an informational head that ends the stream": head(encode([(b":status", b"100")]), WHOLE),
    ":status 101": head(encode([(b":status", b"101")])),
    ":status of two digits": head(encode([(b":status", b"20")])),
    ":status that is no number": head(encode([(b":status", b"abc")])),
    ":status below 100": head(encode([(b":status", b"099")])),
    ":status beside another pseudo-header field": head(RESPONSE_BLOCK + b"\x84"),
    "a connection-specific field": head(RESPONSE_BLOCK + b"\x00\x07upgrade\x01x"),
    "a second head": head() + head(),
    "trailers without END_STREAM": head() + head(TRAILERS_BLOCK),
    "a body shorter than its content-length": head(encode([*RESPONSE, (b"content-length", b"2")]))
    + frame(DATA, END_STREAM, 1, b"x"),
    "a content-length without body": head(encode([*RESPONSE, (b"content-length", b"2")]), WHOLE),
    "WINDOW_UPDATE of 0": window_update(1, 0),
}


@pytest.mark.parametrize("case", STREAM_FAULTS)
def test_ends_the_stream(case: str) -> None:
    """RST_STREAM with PROTOCOL_ERROR, a StreamReset event, and room for another stream."""
    connection, stream = asked()
    events = connection.receive(STREAM_FAULTS[case])
    assert events[-2:] == [StreamReset(stream, E.PROTOCOL_ERROR, by_peer=False), RoomChanged()]
    assert [(f.kind, uint32(f)) for f in frames_of(connection.take())] == [(RST_STREAM, E.PROTOCOL_ERROR)]
    assert not connection.terminated
    assert connection.receive(head() + frame(DATA, END_STREAM, 1, b"late")) == []


@pytest.mark.parametrize("status", [b"204", b"304"])
def test_length_of_a_response_that_has_no_body(status: bytes) -> None:
    """204 and 304 may announce the length of a body they do not send (RFC 9110, section 8.6)."""
    connection, _ = asked()
    block = encode([(b":status", status), (b"content-length", b"5")])
    assert kinds(connection.receive(head(block, WHOLE))) == ["ResponseReceived"]


def test_frames_of_a_stream_we_reset_are_ignored() -> None:
    """What was on its way when we reset is dropped, its connection credit is given, its table changes count."""
    connection, stream = asked()
    connection.reset(stream, E.CANCEL)
    connection.take()
    indexed = b"\x40\x01a\x01b"
    assert connection.receive(head(RESPONSE_BLOCK + indexed) + frame(DATA, 0, 1, b"x") + window_update(1, 5)) == []
    other = connection.open_stream(REQUEST)
    (response,) = connection.receive(head(RESPONSE_BLOCK + b"\xbe", stream_id=other.id))
    assert isinstance(response, ResponseReceived)
    assert response.head.get(b"a") == b"b"


def test_room_follows_the_peers_limit() -> None:
    """Room is what the server allows less what is open, and a change by the peer is reported once."""
    connection = Connection(Role.CLIENT)
    assert connection.room == 100
    assert connection.receive(settings(streams=2) + frame(SETTINGS, ACK)) == [RoomChanged()]
    stream = connection.open_stream(REQUEST)
    connection.open_stream(REQUEST)
    assert connection.room == 0
    with pytest.raises(LocalProtocolError):
        connection.open_stream(REQUEST)
    assert connection.receive(settings(streams=1)) == []
    assert connection.room == 0
    connection.reset(stream, E.CANCEL)
    assert connection.room == 0
    assert connection.receive(head(flags=WHOLE, stream_id=3) + rst_stream(3, 0))[-1] == RoomChanged()
    assert connection.room == 1


def test_own_bound_limits_room() -> None:
    """We never open more than our own bound, whatever the peer allows."""
    assert client(Config(concurrent_streams=3), streams=2**31).room == 3


def test_a_peer_that_names_no_limit() -> None:
    """Without SETTINGS_MAX_CONCURRENT_STREAMS there is none but our own (RFC 9113, section 6.5.2)."""
    connection = Connection(Role.CLIENT)
    assert not connection.greeted
    assert connection.receive(settings()) == [RoomChanged()]
    assert (connection.greeted, connection.room) == (True, Config().concurrent_streams)
    connection.open_stream(REQUEST)
    connection.receive(head(flags=0))
    assert connection.greeted


def test_wrong_use_changes_nothing() -> None:
    """What the protocol forbids us raises LocalProtocolError and leaves the stream as it was."""
    connection = client()
    stream = connection.open_stream(REQUEST, end_stream=True)
    connection.take()
    for wrong in (
        lambda: connection.send_data(stream, b"x"),
        lambda: connection.send_trailers(stream, TRAILERS_BLOCK),
        lambda: connection.send_headers(stream, RESPONSE_BLOCK),
        lambda: connection.ping(b"short"),
        lambda: connection.consumed(stream, 1),
        lambda: connection.open_stream([(b"Bad", b"name")]),
    ):
        with pytest.raises(LocalProtocolError):
            wrong()
    assert connection.take() == b""
    assert list(connection.streams) == [1]


def test_sending_on_a_reset_stream_is_dropped() -> None:
    """A reset may come at any time, so sending after it does nothing."""
    connection, stream = asked()
    assert kinds(connection.receive(rst_stream(1))) == ["StreamReset", "RoomChanged"]
    connection.send_data(stream, b"x", end_stream=True)
    connection.send_trailers(stream, TRAILERS_BLOCK)
    connection.reset(stream, E.CANCEL)
    connection.consumed(stream, 1)
    assert connection.take() == b""


@pytest.mark.parametrize("whole", [False, True])
def test_the_last_stream_number(whole: bool) -> None:
    """After stream 2**31 - 1 a client drains: it needs a new connection (RFC 9113, section 5.1.1)."""
    connection = client()
    connection._last_id = 2**31 - 3
    assert (connection.room > 0, connection.draining) == (True, False)
    stream = connection.send_request(REQUEST_BLOCK, b"body") if whole else connection.open_stream(REQUEST_BLOCK)
    assert stream.id == 2**31 - 1
    assert (connection.room, connection.draining) == (0, True)
