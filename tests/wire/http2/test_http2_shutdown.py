"""The end of a connection: GOAWAY both ways, end of input, requests stopped early, PING."""

from __future__ import annotations

import pytest

from mm_plugin.exceptions import LocalProtocolError
from mm_plugin.wire.http2 import (
    ConnectionClosed,
    ErrorCode,
    GoAwayReceived,
    PingAcknowledged,
    RoomChanged,
    StreamReset,
)
from tests.wire.http2.raw_frames import (
    ACK,
    DATA,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HEADERS,
    PING,
    REQUEST,
    RESPONSE_BLOCK,
    RST_STREAM,
    TRAILERS_BLOCK,
    client,
    frame,
    frames_of,
    goaway,
    kinds,
    request,
    server,
    settings,
    uint32,
    window_update,
)

E = ErrorCode
WHOLE = END_HEADERS | END_STREAM
LARGEST = 2**31 - 1


def test_server_goes_away_in_two_steps() -> None:
    """Streams that cross the announcement are taken; after the final GOAWAY they are refused, open ones go on."""
    connection = server()
    connection.receive(request(1))
    connection.announce_shutdown()
    assert (connection.draining, connection.terminated) == (True, False)
    assert [uint32(f) for f in frames_of(connection.take())] == [LARGEST]
    assert kinds(connection.receive(request(3))) == ["RequestReceived"]
    connection.goaway()
    assert [(f.kind, f.payload) for f in frames_of(connection.take())] == [(GOAWAY, b"\0\0\0\3" + bytes(4))]
    connection.goaway()
    connection.announce_shutdown()
    assert connection.take() == b""
    assert connection.receive(request(5)) == []
    assert [(f.kind, uint32(f)) for f in frames_of(connection.take())] == [(RST_STREAM, E.REFUSED_STREAM)]
    assert kinds(connection.receive(frame(DATA, END_STREAM, 1, b"x"))) == ["DataReceived"]
    connection.send_response(connection.streams[1], RESPONSE_BLOCK, b"x", TRAILERS_BLOCK)
    assert list(connection.streams) == [3]


def test_client_hears_goaway() -> None:
    """Streams the server has not looked at end as REFUSED_STREAM by the peer, to be tried again; others go on."""
    connection = client()
    first, second, third = (connection.open_stream(REQUEST) for _ in range(3))
    connection.take()
    events = connection.receive(goaway(LARGEST, 0))
    assert events == [GoAwayReceived(LARGEST, E.NO_ERROR, ""), RoomChanged()]
    assert connection.draining
    with pytest.raises(LocalProtocolError):
        connection.open_stream(REQUEST)
    events = connection.receive(goaway(1, 11, b"slow down"))
    assert events == [
        GoAwayReceived(1, E.ENHANCE_YOUR_CALM, "slow down"),
        StreamReset(second, E.REFUSED_STREAM, by_peer=True),
        StreamReset(third, E.REFUSED_STREAM, by_peer=True),
    ]
    assert list(connection.streams.values()) == [first]
    assert connection.receive(frame(HEADERS, WHOLE, 3, RESPONSE_BLOCK)) == []
    assert kinds(connection.receive(frame(HEADERS, WHOLE, 1, RESPONSE_BLOCK))) == ["ResponseReceived"]
    assert connection.take() == b""


def test_server_hears_goaway() -> None:
    """A client that goes away may still finish its calls; its last stream means nothing to a server."""
    connection = server()
    connection.receive(request(1))
    assert connection.receive(goaway(0, 0, b"\xff")) == [GoAwayReceived(0, E.NO_ERROR, "\N{REPLACEMENT CHARACTER}")]
    assert connection.draining
    assert list(connection.streams) == [1]
    assert kinds(connection.receive(request(1, WHOLE, TRAILERS_BLOCK))) == ["TrailersReceived"]


def test_unknown_error_codes() -> None:
    """A code we do not know counts as INTERNAL_ERROR (RFC 9113, section 7)."""
    connection = server()
    events = connection.receive(request() + frame(RST_STREAM, 0, 1, b"\xff\xff\xff\xff"))
    assert events[1:] == [StreamReset(events[1].stream, E.INTERNAL_ERROR, by_peer=True)]  # type: ignore[union-attr]


def test_end_of_input() -> None:
    """The end of input terminates, leaves the open streams listed, and makes all further sending void."""
    connection = server(None, window=1)
    connection.receive(request(1, WHOLE) + request(3)[:20])
    stream = connection.streams[1]
    connection.send_headers(stream, RESPONSE_BLOCK)
    connection.send_data(stream, b"12")
    connection.take()
    (closed,) = connection.receive_eof()
    assert isinstance(closed, ConnectionClosed)
    assert (closed.code, closed.by_peer) == (E.NO_ERROR, True)
    assert connection.streams == {1: stream}
    connection.send_data(stream, b"3")
    connection.send_trailers(stream, TRAILERS_BLOCK)
    connection.consumed(stream, 1)
    connection.reset(stream, E.CANCEL)
    connection.ping(bytes(8))
    connection.announce_shutdown()
    connection.goaway()
    assert connection.take() == b""
    assert connection.receive(request(3)) == []


def test_stop_request_once_the_response_is_out() -> None:
    """A server that has answered early asks the client to stop, behind the queued end and not before."""
    connection = server(None, window=0)
    connection.receive(request(1) + request(3) + request(5, WHOLE))
    queued, at_once, complete = connection.streams.values()
    with pytest.raises(LocalProtocolError):
        connection.stop_request(queued)
    connection.send_headers(queued, RESPONSE_BLOCK)
    connection.send_data(queued, b"x")
    connection.send_trailers(queued, TRAILERS_BLOCK)
    connection.stop_request(queued)
    connection.send_headers(at_once, RESPONSE_BLOCK, end_stream=True)
    connection.stop_request(at_once)
    connection.send_headers(complete, RESPONSE_BLOCK, end_stream=True)
    connection.stop_request(complete)
    resets = [f for f in frames_of(connection.take()) if f.kind == RST_STREAM]
    assert [(f.stream_id, uint32(f)) for f in resets] == [(3, E.NO_ERROR)]
    connection.receive(window_update(1, 1))
    assert [(f.kind, f.stream_id) for f in frames_of(connection.take())] == [(DATA, 1), (HEADERS, 1), (RST_STREAM, 1)]
    assert connection.streams == {}
    assert connection.receive(frame(DATA, END_STREAM, 1, b"late")) == []
    assert not connection.terminated


def test_ping() -> None:
    """Our PING goes out, its answer is reported, an answer too many is not."""
    connection = client()
    connection.ping(b"12345678")
    assert frames_of(connection.take()) == [(PING, 0, 0, b"12345678")]
    answer = frame(PING, ACK, 0, b"12345678")
    assert connection.receive(answer + answer) == [PingAcknowledged(b"12345678")]


def test_output_is_counted() -> None:
    """output_octets is what take() will give, through every kind of frame."""
    connection = server()
    connection.receive(request(1) + settings(window=5) + frame(PING, 0, 0, bytes(8)) + window_update(1, 0))
    connection.receive(request(3))
    connection.send_response(connection.streams[3], RESPONSE_BLOCK, b"x" * 30_000, TRAILERS_BLOCK)
    connection.goaway(E.INTERNAL_ERROR, "x" * 1000)
    expected = connection.output_octets
    assert len(connection.take()) == expected > 0
    assert (connection.output_octets, connection.take()) == (0, b"")
