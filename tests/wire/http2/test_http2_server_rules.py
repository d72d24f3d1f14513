"""What a server must refuse, case by case: the generic and HTTP/2 cases that h2spec checks, and some more."""

from __future__ import annotations

import pytest

from mm_plugin.wire.http2 import (
    Connection,
    ConnectionClosed,
    DataReceived,
    ErrorCode,
    RequestReceived,
    Role,
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
    PRIORITIZED,
    PRIORITY,
    PUSH_PROMISE,
    REQUEST,
    REQUEST_BLOCK,
    RESPONSE_BLOCK,
    RST_STREAM,
    SETTINGS,
    TRAILERS_BLOCK,
    WINDOW_UPDATE,
    frame,
    frames_of,
    goaway_code,
    kinds,
    request,
    rst_stream,
    server,
    settings,
    uint32,
    window_update,
)

E = ErrorCode
WHOLE = END_HEADERS | END_STREAM


def without(*names: bytes) -> list[tuple[bytes, bytes]]:
    return [field for field in REQUEST if field[0] not in names]


CONNECTION_FAULTS = {
    "frame over the maximum size": (request() + frame(DATA, 0, 1, bytes(16_385)), E.FRAME_SIZE_ERROR),
    "DATA on stream 0": (frame(DATA, 0, 0, b"x"), E.PROTOCOL_ERROR),
    "DATA on an idle stream": (frame(DATA, 0, 1, b"x"), E.PROTOCOL_ERROR),
    "DATA with padding longer than itself": (request() + frame(DATA, PADDED, 1, b"\x02x"), E.PROTOCOL_ERROR),
    "DATA padded without pad length": (request() + frame(DATA, PADDED, 1), E.FRAME_SIZE_ERROR),
    "HEADERS on stream 0": (frame(HEADERS, END_HEADERS, 0, REQUEST_BLOCK), E.PROTOCOL_ERROR),
    "HEADERS on an even stream": (request(2), E.PROTOCOL_ERROR),
    "HEADERS on a smaller stream": (request(5) + request(3), E.PROTOCOL_ERROR),
    "HEADERS with padding longer than itself": (frame(HEADERS, END_HEADERS | PADDED, 1, b"\xffx"), E.PROTOCOL_ERROR),
    "HEADERS too short for its priority": (frame(HEADERS, END_HEADERS | PRIORITIZED, 1, b"1234"), E.FRAME_SIZE_ERROR),
    "HEADERS on a stream the peer reset": (request() + rst_stream(1) + request(), E.STREAM_CLOSED),
    "PRIORITY on stream 0": (frame(PRIORITY, 0, 0, bytes(5)), E.PROTOCOL_ERROR),
    "PRIORITY of a wrong size, idle": (frame(PRIORITY, 0, 3, bytes(4)), E.FRAME_SIZE_ERROR),
    "PRIORITY on itself, idle": (frame(PRIORITY, 0, 3, b"\0\0\0\3\0"), E.PROTOCOL_ERROR),
    "RST_STREAM on stream 0": (rst_stream(0), E.PROTOCOL_ERROR),
    "RST_STREAM on an idle stream": (rst_stream(1), E.PROTOCOL_ERROR),
    "RST_STREAM of a wrong size": (request() + frame(RST_STREAM, 0, 1, bytes(3)), E.FRAME_SIZE_ERROR),
    "SETTINGS on a stream": (frame(SETTINGS, 0, 1), E.PROTOCOL_ERROR),
    "SETTINGS of a wrong size": (frame(SETTINGS, 0, 0, bytes(5)), E.FRAME_SIZE_ERROR),
    "SETTINGS ACK with a payload": (frame(SETTINGS, ACK, 0, bytes(6)), E.FRAME_SIZE_ERROR),
    "ENABLE_PUSH of 2": (settings(push=2), E.PROTOCOL_ERROR),
    "INITIAL_WINDOW_SIZE of 2**31": (settings(window=2**31), E.FLOW_CONTROL_ERROR),
    "MAX_FRAME_SIZE under 2**14": (settings(frame=16_383), E.PROTOCOL_ERROR),
    "MAX_FRAME_SIZE of 2**24": (settings(frame=2**24), E.PROTOCOL_ERROR),
    "a setting that lifts a window over 2**31 - 1": (
        request() + window_update(1, 2**31 - 1 - 65_535) + settings(window=65_536),
        E.FLOW_CONTROL_ERROR,
    ),
    "PUSH_PROMISE": (request() + frame(PUSH_PROMISE, END_HEADERS, 1, b"\0\0\0\2" + REQUEST_BLOCK), E.PROTOCOL_ERROR),
    "PING on a stream": (frame(PING, 0, 1, bytes(8)), E.PROTOCOL_ERROR),
    "PING of a wrong size": (frame(PING, 0, 0, bytes(7)), E.FRAME_SIZE_ERROR),
    "GOAWAY on a stream": (frame(7, 0, 1, bytes(8)), E.PROTOCOL_ERROR),
    "GOAWAY of a wrong size": (frame(7, 0, 0, bytes(7)), E.FRAME_SIZE_ERROR),
    "WINDOW_UPDATE of 0": (window_update(0, 0), E.PROTOCOL_ERROR),
    "WINDOW_UPDATE of a wrong size": (frame(WINDOW_UPDATE, 0, 0, bytes(3)), E.FRAME_SIZE_ERROR),
    "WINDOW_UPDATE over 2**31 - 1": (window_update(0, 2**31 - 1), E.FLOW_CONTROL_ERROR),
    "WINDOW_UPDATE on an idle stream": (window_update(1, 1), E.PROTOCOL_ERROR),
    "CONTINUATION alone": (frame(CONTINUATION, END_HEADERS, 1, b""), E.PROTOCOL_ERROR),
    "CONTINUATION after END_HEADERS": (request() + frame(CONTINUATION, END_HEADERS, 1, b""), E.PROTOCOL_ERROR),
    "CONTINUATION of another stream": (request(1, 0) + frame(CONTINUATION, END_HEADERS, 3, b""), E.PROTOCOL_ERROR),
    "a header block interrupted by PRIORITY": (request(1, 0) + frame(PRIORITY, 0, 1, bytes(5)), E.PROTOCOL_ERROR),
    "a header block interrupted by an extension": (request(1, 0) + frame(0x20, 0, 1), E.PROTOCOL_ERROR),
    "a header block interrupted by HEADERS": (request(1, 0) + request(3), E.PROTOCOL_ERROR),
    "an index of 0": (request(1, END_HEADERS, b"\x80"), E.COMPRESSION_ERROR),
    "an index beyond the table": (request(1, END_HEADERS, b"\xbe"), E.COMPRESSION_ERROR),
    "a block cut short": (request(1, END_HEADERS, b"\x00\x05ab"), E.COMPRESSION_ERROR),
}


@pytest.mark.parametrize("case", CONNECTION_FAULTS)
def test_ends_the_connection(case: str) -> None:
    """A GOAWAY with the right code and last stream, one closing event, and nothing after it."""
    octets, code = CONNECTION_FAULTS[case]
    connection = server()
    events = connection.receive(octets)
    assert isinstance(events[-1], ConnectionClosed)
    assert (events[-1].code, events[-1].by_peer) == (code, False)
    assert connection.terminated
    frames = frames_of(connection.take())
    assert goaway_code(frames) == code
    assert uint32(frames[-1]) == max((e.stream.id for e in events if isinstance(e, RequestReceived)), default=0)
    assert connection.receive(request(7)) == []
    assert connection.receive_eof() == []
    assert connection.take() == b""


def test_headers_on_a_stream_that_both_ended() -> None:
    """A second head on a finished stream is a connection error STREAM_CLOSED (RFC 9113, section 5.1)."""
    connection = server()
    connection.receive(request(1, WHOLE))
    connection.send_headers(connection.streams[1], RESPONSE_BLOCK, end_stream=True)
    assert kinds(connection.receive(request())) == ["ConnectionClosed"]
    assert goaway_code(frames_of(connection.take())) == E.STREAM_CLOSED


STREAM_FAULTS = {
    "DATA after END_STREAM": (request(1, WHOLE) + frame(DATA, 0, 1, b"x"), E.STREAM_CLOSED),
    "HEADERS after END_STREAM": (request(1, WHOLE) + request(1, WHOLE, TRAILERS_BLOCK), E.STREAM_CLOSED),
    "PRIORITY of a wrong size": (request() + frame(PRIORITY, 0, 1, bytes(6)), E.FRAME_SIZE_ERROR),
    "PRIORITY on itself": (request() + frame(PRIORITY, 0, 1, b"\x80\0\0\1\0"), E.PROTOCOL_ERROR),
    "WINDOW_UPDATE of 0": (request() + window_update(1, 0), E.PROTOCOL_ERROR),
    "WINDOW_UPDATE over 2**31 - 1": (request() + window_update(1, 2**31 - 1), E.FLOW_CONTROL_ERROR),
    "trailers without END_STREAM": (request() + request(1, END_HEADERS, TRAILERS_BLOCK), E.PROTOCOL_ERROR),
    "trailers with pseudo-header fields": (request() + request(1, WHOLE), E.PROTOCOL_ERROR),
    "a bad field in trailers": (request() + request(1, WHOLE, b"\x00\x01A\x01b"), E.PROTOCOL_ERROR),
    "a body longer than its content-length": (
        request(1, END_HEADERS, encode([*REQUEST, (b"content-length", b"1")])) + frame(DATA, 0, 1, b"xy"),
        E.PROTOCOL_ERROR,
    ),
    "a body shorter than its content-length": (
        request(1, END_HEADERS, encode([*REQUEST, (b"content-length", b"3")])) + frame(DATA, END_STREAM, 1, b"xy"),
        E.PROTOCOL_ERROR,
    ),
    "trailers before all of content-length": (
        request(1, END_HEADERS, encode([*REQUEST, (b"content-length", b"3")])) + request(1, WHOLE, TRAILERS_BLOCK),
        E.PROTOCOL_ERROR,
    ),
}


@pytest.mark.parametrize("case", STREAM_FAULTS)
def test_ends_the_stream(case: str) -> None:
    """RST_STREAM with the right code, a StreamReset event, and the connection lives on."""
    octets, code = STREAM_FAULTS[case]
    connection = server()
    events = connection.receive(octets)
    reset = events[-1]
    assert isinstance(reset, StreamReset)
    assert (reset.stream.id, reset.code, reset.by_peer) == (1, code, False)
    assert reset.stream.closed
    assert not connection.streams
    (written,) = (f for f in frames_of(connection.take()) if f.kind == RST_STREAM)
    assert (written.stream_id, uint32(written)) == (1, code)
    assert kinds(connection.receive(frame(DATA, END_STREAM, 1, b"late") + request(3))) == ["RequestReceived"]


MALFORMED = {
    "upper-case name": b"\x00\x01X\x01b",
    "empty name": b"\x00\x00\x01b",
    "NUL in a value": b"\x00\x01x\x01\x00",
    "line end in a value": b"\x00\x01x\x03a\r\n",
    "blank before a value": b"\x00\x01x\x02 b",
    "tab after a value": b"\x00\x01x\x02b\t",
    "unknown pseudo-header field": b"\x00\x05:test\x01b",
    ":status in a request": b"\x88",
    ":method twice": b"\x83",
    "connection": b"\x00\x0aconnection\x05close",
    "transfer-encoding": b"\x00\x11transfer-encoding\x07chunked",
    "te": b"\x00\x02te\x04gzip",
    "bad content-length": b"\x00\x0econtent-length\x02-1",
    "two content-lengths": b"\x00\x0econtent-length\x011\x00\x0econtent-length\x012",
    "another host": b"\x00\x04host\x05other",
}


@pytest.mark.parametrize("case", MALFORMED)
def test_refuses_malformed_request(case: str) -> None:
    """A malformed head resets its stream, and the application never hears of it."""
    connection = server()
    assert connection.receive(request(1, WHOLE, REQUEST_BLOCK + MALFORMED[case])) == []
    (written,) = frames_of(connection.take())
    assert (written.kind, written.stream_id, uint32(written)) == (RST_STREAM, 1, E.PROTOCOL_ERROR)
    assert kinds(connection.receive(request(3))) == ["RequestReceived"]


@pytest.mark.parametrize(
    "fields",
    [
        without(b":method"),
        without(b":scheme"),
        without(b":path"),
        [*without(b":path"), (b":path", b"")],
        [*without(b":path", b":authority"), (b":authority", b"localhost"), (b":path", b"/")],
        [(b"x", b"y")],
        [(b":method", b"CONNECT"), (b":path", b"/"), (b":authority", b"a")],
        [(b":method", b"CONNECT")],
        [(b":method", b"GET"), (b":scheme", b"http"), (b":path", b"/"), (b":authority", b"user@a")],
    ],
)
def test_refuses_request_without_its_pseudo_fields(fields: list[tuple[bytes, bytes]]) -> None:
    """Missing, empty or misplaced pseudo-header fields make a request malformed (RFC 9113, section 8.3.1)."""
    connection = server()
    assert connection.receive(request(1, WHOLE, encode(fields))) == []
    assert [f.kind for f in frames_of(connection.take())] == [RST_STREAM]


def test_content_length_without_body_is_malformed() -> None:
    """A head that ends the stream must not announce a body."""
    connection = server()
    assert connection.receive(request(1, WHOLE, encode([*REQUEST, (b"content-length", b"1")]))) == []
    assert uint32(frames_of(connection.take())[0]) == E.PROTOCOL_ERROR


def test_stream_depending_on_itself_in_headers_is_refused() -> None:
    """HEADERS with a priority on its own stream resets it."""
    connection = server()
    octets = frame(HEADERS, WHOLE | PRIORITIZED, 1, b"\0\0\0\1\0" + REQUEST_BLOCK)
    assert connection.receive(octets) == []
    assert uint32(frames_of(connection.take())[0]) == E.PROTOCOL_ERROR


@pytest.mark.parametrize(
    "octets", [b"GET / HTTP/1.1\r\n\r\n", PREFACE + frame(PING, 0, 0, bytes(8)), PREFACE + frame(SETTINGS, ACK)]
)
def test_refuses_wrong_preface(octets: bytes) -> None:
    """The preface ends with SETTINGS, and nothing else will do (RFC 9113, section 3.4)."""
    connection = Connection(Role.SERVER)
    assert kinds(connection.receive(octets)) == ["ConnectionClosed"]
    assert goaway_code(frames_of(connection.take())) == E.PROTOCOL_ERROR


def test_first_output_is_settings() -> None:
    """A server greets with SETTINGS and credit for the connection."""
    first, second = frames_of(Connection(Role.SERVER).take())
    assert first.kind == SETTINGS
    assert (second.kind, second.stream_id) == (WINDOW_UPDATE, 0)


def test_accepts_all_shapes_of_a_request() -> None:
    """Padding, priority, CONTINUATION, extension frames and trailers together make one request."""
    connection = server()
    cut = len(REQUEST_BLOCK) // 2
    events = connection.receive(
        frame(HEADERS, PADDED | PRIORITIZED, 1, b"\x03" + b"\0\0\0\0\x10" + REQUEST_BLOCK[:cut] + bytes(3))
        + frame(CONTINUATION, 0, 1, b"")
        + frame(CONTINUATION, END_HEADERS, 1, REQUEST_BLOCK[cut:])
        + frame(0xBE, 0xFF, 1, b"extension")
        + frame(DATA, PADDED, 1, b"\x04body" + bytes(4))
        + frame(PRIORITY, 0, 9, bytes(5))
        + request(1, WHOLE, TRAILERS_BLOCK)
    )
    head, data, trailers = events
    assert isinstance(head, RequestReceived)
    assert list(head.stream.head.fields) == REQUEST
    assert isinstance(data, DataReceived)
    assert (data.stream, data.data, data.credit_octets, data.end_stream) == (head.stream, b"body", 9, False)
    assert isinstance(trailers, TrailersReceived)
    assert trailers.head.get(b"grpc-status") == b"0"
    assert not head.stream.remote_open


def test_reserved_bit_and_unknown_flags_and_settings_are_ignored() -> None:
    """What a later protocol may define must not disturb us (RFC 9113, sections 4.1 and 6.5.2)."""
    connection = server()
    assert connection.receive(frame(SETTINGS, 0, 0, b"\x00\xff\x00\x00\x00\x01")) == []
    assert [f.flags for f in frames_of(connection.take())] == [ACK]
    events = connection.receive(frame(HEADERS, WHOLE | 0x40, 0x80000001, REQUEST_BLOCK))
    assert [event.stream.id for event in events if isinstance(event, RequestReceived)] == [1]


def test_ping_is_answered_with_its_payload() -> None:
    """A PING comes back with ACK; an ACK nobody asked for does not."""
    connection = server()
    assert connection.receive(frame(PING, 0, 0, b"12345678") + frame(PING, ACK, 0, b"other678")) == []
    assert [(f.kind, f.flags, f.payload) for f in frames_of(connection.take())] == [(PING, ACK, b"12345678")]
