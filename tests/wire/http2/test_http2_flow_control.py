"""Flow control both ways (RFC 9113, sections 5.2 and 6.9)."""

from __future__ import annotations

import pytest

from mm_plugin.exceptions import LocalProtocolError
from mm_plugin.wire.http2 import Config, Connection, DataReceived, ErrorCode, Role, Stream, StreamReset, StreamWritable
from tests.wire.http2.raw_frames import (
    ACK,
    DATA,
    END_HEADERS,
    END_STREAM,
    HEADERS,
    PADDED,
    PREFACE,
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
    server,
    settings,
    uint32,
    window_update,
)

WHOLE = END_HEADERS | END_STREAM


def answering(count: int = 1, **peer_settings: int) -> tuple[Connection, list[Stream]]:
    """A server with complete requests whose response heads are out."""
    connection = server(None, **peer_settings)
    for stream_id in range(1, 2 * count, 2):
        connection.receive(request(stream_id, WHOLE))
        connection.send_headers(connection.streams[stream_id], RESPONSE_BLOCK)
    connection.take()
    return connection, list(connection.streams.values())


def sizes(octets: bytes) -> list[tuple[int, int]]:
    """Stream and size of each DATA frame."""
    return [(f.stream_id, len(f.payload)) for f in frames_of(octets) if f.kind == DATA]


def test_data_is_cut_to_the_peers_frame_size() -> None:
    """No DATA frame is longer than the peer's MAX_FRAME_SIZE."""
    connection, (stream,) = answering()
    connection.send_data(stream, bytes(40_000))
    assert sizes(connection.take()) == [(1, 16_384), (1, 16_384), (1, 7_232)]
    connection.receive(settings(frame=20_000))
    connection.take()
    connection.send_data(stream, memoryview(bytes(20_000)))
    assert sizes(connection.take()) == [(1, 20_000)]


def test_data_waits_for_the_streams_window() -> None:
    """What the window holds back is queued, trailers behind it; the stream stays open until they are out."""
    connection, (stream,) = answering(window=10)
    connection.send_data(stream, b"0123456789abcde")
    connection.send_trailers(stream, TRAILERS_BLOCK)
    assert sizes(connection.take()) == [(1, 10)]
    assert (stream.queued_octets, stream.local_open, stream.ending) == (5, True, True)
    with pytest.raises(LocalProtocolError):
        connection.send_data(stream, b"x")
    connection.receive(window_update(1, 4))
    assert frames_of(connection.take()) == [(DATA, 0, 1, b"abcd")]
    connection.receive(window_update(1, 100))
    assert frames_of(connection.take()) == [(DATA, 0, 1, b"e"), (HEADERS, WHOLE, 1, TRAILERS_BLOCK)]
    assert stream.closed
    assert connection.streams == {}


def test_end_of_stream_goes_with_the_last_octets() -> None:
    """END_STREAM of queued data is on its last frame, and only there."""
    connection, (stream,) = answering(window=4)
    connection.send_data(stream, b"abcdef", end_stream=True)
    connection.receive(window_update(1, 9))
    assert frames_of(connection.take()) == [(DATA, 0, 1, b"abcd"), (DATA, END_STREAM, 1, b"ef")]
    assert stream.closed


def test_an_end_without_data_needs_no_window() -> None:
    """An empty DATA frame with END_STREAM passes a closed window; trailers do, too."""
    connection, (first, second) = answering(2, window=0)
    connection.send_data(first, b"")
    connection.send_data(first, b"", end_stream=True)
    connection.send_trailers(second, TRAILERS_BLOCK)
    assert [(f.kind, f.stream_id) for f in frames_of(connection.take())] == [(DATA, 1), (HEADERS, 3)]


def test_streams_take_turns_at_the_connections_window() -> None:
    """When only the connection's window holds streams back, each sends one frame in its turn."""
    connection, streams = answering(3, window=2**20)
    connection.send_data(streams[0], bytes(65_535))
    connection.take()
    for stream in streams:
        connection.send_data(stream, bytes(20_000))
    assert connection.take() == b""
    connection.receive(window_update(0, 50_000))
    assert sizes(connection.take()) == [(1, 16_384), (3, 16_384), (5, 16_384), (1, 848)]
    connection.receive(window_update(0, 50_000))
    assert sizes(connection.take()) == [(3, 3_616), (5, 3_616), (1, 2_768)]


def test_a_stream_without_window_does_not_hold_back_others() -> None:
    """A stream that waits for its own window is not in the turn."""
    connection, (first, second) = answering(2, window=5)
    connection.send_data(first, b"0123456789")
    connection.send_data(second, b"01234")
    assert sizes(connection.take()) == [(1, 5), (3, 5)]


def test_lowered_setting_makes_windows_negative() -> None:
    """A lower INITIAL_WINDOW_SIZE counts against what was sent; credit first fills the hole (section 6.9.2)."""
    connection, (stream,) = answering(window=100)
    connection.send_data(stream, bytes(80))
    connection.receive(settings(window=10))
    assert stream.send_window == -70
    connection.take()
    connection.send_data(stream, b"x" * 7)
    connection.receive(window_update(1, 70))
    assert connection.take() == b""
    connection.receive(window_update(1, 3))
    assert sizes(connection.take()) == [(1, 3)]
    connection.receive(settings(window=20))
    assert [f.kind for f in frames_of(connection.take())] == [SETTINGS, DATA]
    assert stream.send_window == 6


def test_window_closed_by_a_setting_while_in_line() -> None:
    """A stream whose own window was lowered while it waited for the connection's sends nothing until it has credit."""
    connection, (first, second) = answering(2, window=2**20)
    connection.send_data(first, bytes(65_535))
    connection.send_data(first, b"first")
    connection.send_data(second, b"second")
    connection.receive(settings(window=3))
    connection.take()
    connection.receive(window_update(0, 100))
    assert sizes(connection.take()) == [(3, 3)]
    connection.receive(window_update(1, 65_535))
    assert sizes(connection.take()) == [(1, 3)]


def test_window_changes_within_one_settings_frame_act_once() -> None:
    """Only the last INITIAL_WINDOW_SIZE of a frame is applied, so a full frame cannot multiply our work."""
    connection, (stream,) = answering()
    both = settings(window=2**31 - 1)[9:] + settings(window=7)[9:]
    connection.receive(frame(SETTINGS, payload=both))
    assert stream.send_window == 7
    assert not connection.terminated


def test_writable_when_the_queue_falls_below_half() -> None:
    """StreamWritable comes once, when a queue that had reached half of its bound is below it again."""
    connection = server(Config(stream_output_octets=1000), window=0)
    connection.receive(request(1, WHOLE))
    stream = connection.streams[1]
    connection.send_headers(stream, RESPONSE_BLOCK)
    connection.send_data(stream, bytes(400))
    assert connection.receive(window_update(1, 1)) == []
    connection.send_data(stream, bytes(601))
    assert stream.queued_octets == 1000
    assert connection.receive(window_update(1, 500)) == []
    assert connection.receive(window_update(1, 1)) == [StreamWritable(stream)]
    assert connection.receive(window_update(1, 100)) == []


def test_reset_drops_the_queue_and_leaves_the_turn() -> None:
    """A reset stream's data is gone and does not use up window."""
    connection, (first, second) = answering(2, window=2**20)
    connection.send_data(first, bytes(65_535 + 10))
    connection.send_data(second, b"second")
    connection.take()
    connection.reset(first, ErrorCode.CANCEL)
    assert first.queued_octets == 0
    connection.receive(window_update(0, 100))
    assert [(f.kind, f.stream_id, len(f.payload)) for f in frames_of(connection.take())] == [
        (RST_STREAM, 1, 4),
        (DATA, 3, 6),
    ]


def test_whole_response_in_one_go_or_queued() -> None:
    """send_response writes three frames where the windows allow it, and queues where they do not."""
    connection = server(window=4)
    connection.receive(request(1, WHOLE) + request(3, WHOLE))
    first, second = connection.streams.values()
    connection.send_response(first, RESPONSE_BLOCK, b"1234", TRAILERS_BLOCK)
    connection.send_response(second, RESPONSE_BLOCK, b"12345", TRAILERS_BLOCK)
    assert connection.output_octets == len(octets := connection.take())
    assert frames_of(octets) == [
        (HEADERS, END_HEADERS, 1, RESPONSE_BLOCK),
        (DATA, 0, 1, b"1234"),
        (HEADERS, WHOLE, 1, TRAILERS_BLOCK),
        (HEADERS, END_HEADERS, 3, RESPONSE_BLOCK),
        (DATA, 0, 3, b"1234"),
    ]
    assert first.closed
    connection.receive(window_update(3, 1))
    assert frames_of(connection.take()) == [(DATA, 0, 3, b"5"), (HEADERS, WHOLE, 3, TRAILERS_BLOCK)]
    assert connection.streams == {}
    with pytest.raises(LocalProtocolError):
        connection.send_response(first, RESPONSE_BLOCK, b"1", TRAILERS_BLOCK)


@pytest.mark.parametrize("credit", [0, 1, 4, 7, 20_000])
@pytest.mark.parametrize("size", [0, 1, 16_378, 16_379, 16_380, 40_000])
def test_prefix_goes_before_its_data(size: int, credit: int) -> None:
    """A prefix given apart arrives as if it stood before the data, in frames as long as the peer takes them."""
    body = bytes(number % 251 for number in range(size))
    connection = server(window=credit)
    connection.receive(request(1, WHOLE))
    (stream,) = connection.streams.values()
    connection.send_headers(stream, RESPONSE_BLOCK)
    connection.send_data(stream, body, prefix=b"12345", end_stream=True)
    assert stream.queued_octets == max(0, size + 5 - credit)
    connection.receive(window_update(1, 50_000))
    sent = [f for f in frames_of(connection.take()) if f.kind == DATA]
    assert b"".join(f.payload for f in sent) == b"12345" + body
    assert [f.flags for f in sent] == [0] * (len(sent) - 1) + [END_STREAM]
    if not credit:
        assert [len(f.payload) for f in sent[:-1]] == [16_384] * ((size + 4) // 16_384)


@pytest.mark.parametrize("most_octets", [1, 9, 10, 20_000, 30_000, 1_000_000])
def test_output_taken_in_parts_is_the_output(most_octets: int) -> None:
    """Output that is taken in parts loses and reorders nothing; no part is a whole piece longer than asked for."""
    whole, parted = server(window=50_000), server(window=50_000)
    for connection in (whole, parted):
        connection.receive(request(1, WHOLE))
        (stream,) = connection.streams.values()
        connection.send_response(stream, RESPONSE_BLOCK, bytes(40_000), TRAILERS_BLOCK, prefix=b"12345")
    parts: list[bytes] = []
    while parted.output_octets:
        before = parted.output_octets
        parts.append(parted.take(most_octets))
        assert min(most_octets, before) <= len(parts[-1]) < most_octets + 16_384
        assert parted.output_octets == before - len(parts[-1])
    assert parted.take(most_octets) == b""
    assert b"".join(parts) == whole.take()


def test_whole_request_in_one_go_or_queued() -> None:
    """send_request writes two frames where the windows allow it, and queues where they do not."""
    connection = Connection(Role.CLIENT)
    connection.receive(settings(window=4))
    connection.take()
    first, second = (connection.send_request(REQUEST_BLOCK, data) for data in (b"1234", b"12345"))
    assert connection.output_octets == len(octets := connection.take())
    assert frames_of(octets) == [
        (HEADERS, END_HEADERS, 1, REQUEST_BLOCK),
        (DATA, END_STREAM, 1, b"1234"),
        (HEADERS, END_HEADERS, 3, REQUEST_BLOCK),
        (DATA, 0, 3, b"1234"),
    ]
    assert (first.local_open, first.remote_open, second.local_open) == (False, True, True)
    connection.receive(window_update(3, 1))
    assert frames_of(connection.take()) == [(DATA, END_STREAM, 3, b"5")]
    for stream in (first, second):
        with pytest.raises(LocalProtocolError):
            connection.send_data(stream, b"1")


def test_a_whole_request_needs_room() -> None:
    """send_request refuses where open_stream does, and changes nothing."""
    connection = Connection(Role.CLIENT)
    connection.receive(settings(streams=1))
    connection.send_request(REQUEST_BLOCK, b"1")
    connection.take()
    for refusing in (connection, server()):
        with pytest.raises(LocalProtocolError):
            refusing.send_request(REQUEST_BLOCK, b"2")
    assert (list(connection.streams), connection.take()) == ([1], b"")


def test_whole_requests_use_up_the_connections_window() -> None:
    """Requests in one go count against the connection's window and their streams', too."""
    connection = Connection(Role.CLIENT)
    connection.receive(settings())
    connection.take()
    streams = [connection.send_request(REQUEST_BLOCK, bytes(16_000)) for _ in range(5)]
    assert sum(size for _, size in sizes(connection.take())) == 65_535
    assert [stream.send_window for stream in streams[:2]] == [65_535 - 16_000] * 2
    assert streams[4].queued_octets == 5 * 16_000 - 65_535


def test_whole_responses_use_up_the_connections_window() -> None:
    """Responses in one go count against the connection's window, too."""
    connection = server(window=2**20)
    for stream_id in range(1, 11, 2):
        connection.receive(request(stream_id, WHOLE))
        connection.send_response(connection.streams[stream_id], RESPONSE_BLOCK, bytes(16_000), TRAILERS_BLOCK)
    assert sum(size for _, size in sizes(connection.take())) == 65_535
    assert connection.streams[9].queued_octets == 5 * 16_000 - 65_535


def test_a_block_longer_than_a_frame_is_continued() -> None:
    """A long header block goes out as HEADERS with CONTINUATION frames, END_STREAM on the first."""
    connection = server()
    connection.receive(request(1, WHOLE))
    block = bytes(16_384 * 2 + 5)
    connection.send_headers(connection.streams[1], block, end_stream=True)
    frames = frames_of(connection.take())
    assert [(f.kind, f.flags, len(f.payload)) for f in frames] == [
        (HEADERS, END_STREAM, 16_384),
        (9, 0, 16_384),
        (9, END_HEADERS, 5),
    ]


# -- receiving --


def test_stream_credit_on_consumption_only() -> None:
    """The stream's window is given back in bulk when the application has consumed, never before."""
    connection = server(Config(stream_window_octets=100_000))
    connection.receive(request() + frame(DATA, 0, 1, bytes(16_384)) * 4)
    stream = connection.streams[1]
    assert connection.take() == b""
    connection.consumed(stream, 40_000)
    assert connection.take() == b""
    connection.consumed(stream, 20_000)
    (update,) = frames_of(connection.take())
    assert (update.kind, update.stream_id, uint32(update)) == (WINDOW_UPDATE, 1, 60_000)
    with pytest.raises(LocalProtocolError):
        connection.consumed(stream, 16_384 * 4 - 60_000 + 1)


def test_connection_credit_on_receipt() -> None:
    """Unread bodies use up their own streams' windows and nothing else."""
    connection = server(Config(connection_window_octets=100_000))
    credit = 100_000
    for stream_id in range(1, 81, 2):
        connection.receive(request(stream_id) + frame(DATA, 0, stream_id, bytes(16_000)))
        credit -= 16_000
        assert credit >= 0
        credit += sum(uint32(f) for f in frames_of(connection.take()) if f.kind == WINDOW_UPDATE and f.stream_id == 0)
    assert len(connection.streams) == 40


def test_padding_counts_and_is_given_back() -> None:
    """Padding uses the window; with data it is part of credit_octets, alone it is given back at once."""
    connection = server(Config(stream_window_octets=65_535))
    (_, data) = connection.receive(request() + frame(DATA, PADDED, 1, b"\x05abc" + bytes(5)))
    stream = connection.streams[1]
    assert isinstance(data, DataReceived)
    assert (data.stream, data.data, data.credit_octets, data.end_stream) == (stream, b"abc", 9, False)
    assert stream.recv_window == 65_535 - 9
    assert connection.receive(frame(DATA, PADDED, 1, b"\xff" + bytes(255)) * 200) == []
    assert stream.recv_window + stream.uncredited == 65_535 - 9


def test_data_over_the_streams_window_resets_it() -> None:
    """FLOW_CONTROL_ERROR ends the stream; the connection's credit is kept right."""
    connection = server(Config(stream_window_octets=20_000))
    events = connection.receive(request() + frame(DATA, 0, 1, bytes(16_384)) + frame(DATA, 0, 1, bytes(3_617)))
    assert events[-1] == StreamReset(events[-1].stream, ErrorCode.FLOW_CONTROL_ERROR, by_peer=False)  # type: ignore[union-attr]


def test_data_over_the_connections_window_ends_it() -> None:
    """A peer that ignores the connection's window is gone, even on streams that are closed."""
    connection = server(Config(connection_window_octets=65_535, stream_window_octets=2**20))
    connection._recv_window = 10
    assert kinds(connection.receive(request() + frame(DATA, 0, 1, bytes(11)))) == [
        "RequestReceived",
        "ConnectionClosed",
    ]
    assert goaway_code(frames_of(connection.take())) == ErrorCode.FLOW_CONTROL_ERROR


def test_a_small_window_is_in_force_once_acknowledged() -> None:
    """Until our SETTINGS are acknowledged the peer may use 65,535 octets; then the windows shrink, even below 0."""
    connection = Connection(Role.SERVER, config=Config(stream_window_octets=1000))
    body = frame(DATA, 0, 1, bytes(5000))
    connection.receive(PREFACE + settings() + request() + body)
    stream = connection.streams[1]
    connection.receive(frame(SETTINGS, ACK))
    assert stream.recv_window == -4000
    connection.take()
    connection.consumed(stream, 5000)
    assert [uint32(f) for f in frames_of(connection.take())] == [5000]
    assert stream.recv_window == 1000
    events = connection.receive(frame(DATA, 0, 1, bytes(1001)))
    assert kinds(events) == ["StreamReset"]
