"""Floods and other unfriendly peers: the connection ends in time, and memory stays bounded."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mm_plugin.wire.http2 import Config, Connection, ConnectionClosed, ErrorCode, Role
from tests.wire.http2.raw_frames import (
    ACK,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    HEADERS,
    PING,
    PRIORITY,
    REQUEST,
    REQUEST_BLOCK,
    RESPONSE_BLOCK,
    SETTINGS,
    TRAILERS_BLOCK,
    client,
    frame,
    frames_of,
    goaway,
    goaway_code,
    request,
    rst_stream,
    server,
    settings,
    window_update,
)

WHOLE = END_HEADERS | END_STREAM
LIMIT = Config().idle_frames

FLOODS: dict[str, Callable[[int], bytes]] = {
    "rapid reset": lambda n: request(2 * n + 1) + rst_stream(2 * n + 1),
    "resets that we are made to send": lambda n: request(2 * n + 1) + window_update(2 * n + 1, 0),
    "malformed requests": lambda n: request(2 * n + 1, WHOLE, b"\x88"),
    "requests into a closed door": lambda n: request(2 * n + 1, END_HEADERS, REQUEST_BLOCK),
    "PING": lambda _: frame(PING, 0, 0, bytes(8)),
    "PING ACK": lambda _: frame(PING, ACK, 0, bytes(8)),
    "SETTINGS": lambda _: settings(window=100),
    "SETTINGS ACK": lambda _: frame(SETTINGS, ACK),
    "PRIORITY": lambda _: frame(PRIORITY, 0, 3, bytes(5)),
    "WINDOW_UPDATE": lambda _: window_update(0, 1),
    "WINDOW_UPDATE of a stream": lambda n: (request() if n == 0 else b"") + window_update(1, 1),
    "empty DATA": lambda n: (request() if n == 0 else b"") + frame(DATA, 0, 1),
    "DATA on a finished stream": lambda n: (request(1, WHOLE) if n == 0 else b"") + frame(DATA, 0, 1),
    "CONTINUATION": lambda n: request(2 * n + 1, 0) + frame(CONTINUATION, END_HEADERS, 2 * n + 1, b""),
    "extension frames": lambda _: frame(0x42, 0, 0, b"x"),
    "GOAWAY": lambda _: goaway(0, 0, b"again and again"),
}


@pytest.mark.parametrize("flood", FLOODS)
def test_flood_ends_the_connection(flood: str) -> None:
    """Frames that bring nothing end in ENHANCE_YOUR_CALM within the budget, with bounded output and state."""
    make = FLOODS[flood]
    connection = server(Config(concurrent_streams=50))
    for number in range(LIMIT + 60):
        events = connection.receive(make(number))
        if connection.terminated:
            assert events
            assert isinstance(events[-1], ConnectionClosed)
            assert events[-1].code == ErrorCode.ENHANCE_YOUR_CALM
            break
    else:
        pytest.fail("the flood was taken to its end")
    assert connection.output_octets < LIMIT * 40
    assert len(connection.streams) <= 50
    assert len(connection._closed._recent) + len(connection._closed._before) <= 2 * 256
    assert goaway_code(frames_of(connection.take())) == ErrorCode.ENHANCE_YOUR_CALM


def test_large_settings_frames_cost_more() -> None:
    """A SETTINGS frame stuffed with values is charged by its length."""
    connection = server()
    stuffed = frame(SETTINGS, payload=settings(window=5)[9:] * 2730)
    for _ in range(7):
        connection.receive(stuffed)
    assert connection.terminated


def test_calls_redeem_what_honest_peers_spend() -> None:
    """Ten thousand calls with two WINDOW_UPDATEs and a PING each are no flood."""
    connection = server()
    for number in range(10_000):
        stream_id = 2 * number + 1
        connection.receive(request(stream_id, WHOLE) + frame(PING, 0, 0, bytes(8)))
        connection.send_response(connection.streams[stream_id], RESPONSE_BLOCK, b"body", TRAILERS_BLOCK)
        connection.receive(window_update(0, 4) + window_update(stream_id, 4))
        connection.take()
    assert not connection.terminated
    assert connection.streams == {}


def test_a_large_download_is_no_flood() -> None:
    """A peer that gives credit for every frame of a 40 MB body may do so."""
    connection = server()
    connection.receive(request(1, WHOLE))
    stream = connection.streams[1]
    connection.send_headers(stream, RESPONSE_BLOCK)
    for _ in range(600):
        connection.send_data(stream, bytes(65_536))
        while stream.queued_octets or connection.output_octets:
            for sent in frames_of(connection.take()):
                if sent.kind == DATA:
                    size = len(sent.payload)
                    connection.receive(window_update(0, size) + window_update(1, size))
    assert not connection.terminated


def test_a_large_upload_is_no_flood() -> None:
    """DATA that carries octets costs nothing."""
    connection = server()
    connection.receive(request(1))
    for _ in range(5000):
        connection.receive(frame(DATA, 0, 1, bytes(100)))
        connection.consumed(connection.streams[1], 100)
    assert not connection.terminated


def test_dribbled_windows_are_a_flood() -> None:
    """A peer that lets a body out octet by octet makes one frame of each (CVE-2019-9511), and is stopped."""
    connection = server(None, window=0)
    connection.receive(request(1, WHOLE))
    connection.send_headers(connection.streams[1], RESPONSE_BLOCK)
    connection.send_data(connection.streams[1], bytes(60_000))
    for _ in range(LIMIT + 100):
        connection.receive(window_update(1, 1))
    assert connection.terminated


def test_renewed_budget() -> None:
    """An engine with a clock may forget what is long past, so keepalive PINGs go on for ever."""
    connection = server()
    for _ in range(10):
        connection.receive(frame(PING, 0, 0, bytes(8)) * (LIMIT - 1))
        connection.renew_budget()
    assert not connection.terminated


def test_endless_header_block_ends_the_connection() -> None:
    """Neither the octets nor the frames of one header block may go over their bounds."""
    many = server()
    many.receive(request(1, 0, b"") + frame(CONTINUATION, 0, 1) * 8)
    assert not many.terminated
    many.receive(frame(CONTINUATION, 0, 1))
    assert goaway_code(frames_of(many.take())) == ErrorCode.ENHANCE_YOUR_CALM
    long = server(Config(header_block_octets=1000))
    long.receive(request(1, 0, bytes(900)) + frame(CONTINUATION, 0, 1, bytes(101)))
    assert goaway_code(frames_of(long.take())) == ErrorCode.ENHANCE_YOUR_CALM
    single = server(Config(header_block_octets=1000))
    single.receive(request(1, END_HEADERS, bytes(1001)))
    assert goaway_code(frames_of(single.take())) == ErrorCode.ENHANCE_YOUR_CALM


def test_more_streams_than_allowed_are_refused_once_each() -> None:
    """Streams over the bound get one REFUSED_STREAM; what still comes on them is ignored."""
    connection = server(Config(concurrent_streams=2))
    assert len(connection.receive(request(1) + request(3))) == 2
    assert connection.receive(request(5) + frame(DATA, END_STREAM, 5, b"x") + request(7, WHOLE)) == []
    assert [(f.stream_id, f.payload[-1]) for f in frames_of(connection.take())] == [(5, 7), (7, 7)]
    connection.reset(connection.streams[1], ErrorCode.CANCEL)
    assert len(connection.receive(request(9))) == 1


def test_long_forgotten_streams_are_reset_not_fatal() -> None:
    """Late frames on a stream too old to remember end that stream only; a number never used ends the connection."""
    connection = server(Config(remembered_streams=4))
    connection.receive(request(1) + request(3))
    connection.reset(connection.streams[3], ErrorCode.CANCEL)
    for stream_id in range(7, 57, 2):
        connection.receive(request(stream_id))
        connection.reset(connection.streams[stream_id], ErrorCode.CANCEL)
    connection.take()
    assert connection.receive(request(3, WHOLE, TRAILERS_BLOCK) + frame(DATA, 0, 7, b"x")) == []
    assert [(f.stream_id, f.payload[-1]) for f in frames_of(connection.take())] == [(3, 5), (7, 5)]
    assert list(connection.streams) == [1]
    recent = server()
    recent.receive(request(5) + request(3))
    assert goaway_code(frames_of(recent.take())) == ErrorCode.PROTOCOL_ERROR


def test_client_survives_late_frames_of_many_cancelled_calls() -> None:
    """Cancelling a thousand streams whose answers are on the way is no flood by the server."""
    connection = client(None, streams=2000)
    streams = [connection.open_stream(REQUEST) for _ in range(1000)]
    for stream in streams:
        connection.reset(stream, ErrorCode.CANCEL)
    connection.take()
    for stream in streams:
        connection.receive(
            frame(HEADERS, END_HEADERS, stream.id, RESPONSE_BLOCK)
            + frame(DATA, 0, stream.id, b"late") * 4
            + frame(HEADERS, WHOLE, stream.id, TRAILERS_BLOCK)
            + rst_stream(stream.id)
        )
    assert not connection.terminated
    assert connection.take() == b""


def test_client_survives_the_reset_of_all_its_calls() -> None:
    """A server that ends two thousand calls at once, at their common deadline say, does not flood."""
    connection = client(None, streams=2000)
    streams = [connection.open_stream(REQUEST) for _ in range(2000)]
    for stream in streams:
        connection.receive(rst_stream(stream.id))
    assert not connection.terminated
    assert not connection.streams


def test_server_that_floods_its_client() -> None:
    """A client's budget is the same: endless informational heads end the connection."""
    connection = client()
    connection.open_stream(REQUEST)
    for _ in range(LIMIT + 10):
        connection.receive(frame(HEADERS, END_HEADERS, 1, b"\x48\x03103"))
    assert connection.terminated


def test_nothing_is_kept_before_the_first_octets() -> None:
    """A connection that has seen nothing holds a greeting and no more."""
    assert Connection(Role.SERVER).output_octets < 64
