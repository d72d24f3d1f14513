"""What stands in the output while much waits: a little data, never more, so that everything else comes soon."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import settings as hypothesis_settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from mm_plugin.wire.http2 import Config, Connection, ErrorCode, Role, Stream, StreamWritable
from tests.wire.http2.raw_frames import (
    ACK,
    DATA,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HEADERS,
    PING,
    REQUEST_BLOCK,
    RESPONSE_BLOCK,
    RST_STREAM,
    TRAILERS_BLOCK,
    WINDOW_UPDATE,
    Frame,
    client,
    frame,
    frames_of,
    request,
    rst_stream,
    server,
    settings,
    uint32,
    window_update,
)

FRAME = 16_384
WHOLE = END_HEADERS | END_STREAM
HUGE = 2**31 - 1
BIG = bytes(2**20)
READY = 4 * FRAME


def wide_server(streams: int = 1, ready_octets: int = READY, **peer: int) -> tuple[Connection, list[Stream]]:
    """A server whose peer takes anything, with open requests."""
    connection = server(Config(ready_octets=ready_octets), window=HUGE, **peer)
    connection.receive(window_update(0, HUGE - 65_535))
    for number in range(streams):
        connection.receive(request(2 * number + 1))
    connection.take()
    return connection, list(connection.streams.values())


def wide_client(ready_octets: int = READY) -> Connection:
    connection = client(Config(ready_octets=ready_octets), window=HUGE)
    connection.receive(window_update(0, HUGE - 65_535))
    return connection


def data_frames(frames: list[Frame]) -> list[int]:
    return [found.stream_id for found in frames if found.kind == DATA]


def test_a_big_answer_waits_in_its_stream() -> None:
    """However wide the windows are: the output holds its bound and at most one frame more, at every moment."""
    connection, (stream,) = wide_server()
    connection.send_response(stream, RESPONSE_BLOCK, BIG, TRAILERS_BLOCK)
    taken = b""
    while connection.output_octets:
        assert connection.output_octets <= READY + FRAME + 200
        taken += connection.take(FRAME)
    frames = frames_of(taken)
    assert b"".join(found.payload for found in frames if found.kind == DATA) == BIG
    assert frames[0] == (HEADERS, END_HEADERS, 1, RESPONSE_BLOCK)
    assert frames[-1] == (HEADERS, WHOLE, 1, TRAILERS_BLOCK)


def test_a_big_request_waits_in_its_stream() -> None:
    """A client's, too."""
    connection = wide_client()
    stream = connection.send_request(REQUEST_BLOCK, BIG)
    assert connection.output_octets <= READY + FRAME + 200
    assert stream.queued_octets >= len(BIG) - READY - FRAME
    frames = frames_of(connection.take())
    assert b"".join(found.payload for found in frames if found.kind == DATA) == BIG
    assert frames[-1].flags == END_STREAM


def test_the_longest_frame_is_bounded() -> None:
    """A peer that takes frames of 16 MiB gets none that others would have to wait for."""
    connection, (stream,) = wide_server(frame=2**24 - 1)
    connection.send_response(stream, RESPONSE_BLOCK, BIG, TRAILERS_BLOCK)
    assert connection.output_octets <= 2 * READY
    assert max(len(found.payload) for found in frames_of(connection.take())) == READY


@pytest.mark.parametrize(
    ("blow", "kind"),
    [
        (frame(PING, 0, 0, b"12345678"), PING),
        (settings(), 4),
        (window_update(3, 0), RST_STREAM),
        (request(5, END_HEADERS, b"\x00\x00\x00"), RST_STREAM),
        (frame(DATA, 0, 3, bytes(FRAME)) * 8, WINDOW_UPDATE),
        (frame(DATA), GOAWAY),
    ],
)
def test_control_frames_come_before_waiting_data(blow: bytes, kind: int) -> None:
    """What answers a peer's frame comes after the data that is ready, and before all the rest of 1 MiB."""
    connection, (stream, _) = wide_server(2)
    connection._recv_window = 100_000
    connection.send_response(stream, RESPONSE_BLOCK, BIG, TRAILERS_BLOCK)
    taken = connection.take(FRAME)
    connection.receive(blow)
    frames = frames_of(taken + connection.take())
    before = next(at for at, found in enumerate(frames) if found.kind == kind)
    assert len(data_frames(frames[:before])) <= READY // FRAME + 2
    if kind != GOAWAY:
        assert len(data_frames(frames)) == len(BIG) // FRAME


def test_a_small_answer_takes_its_turn() -> None:
    """An answer beside a big one comes after the data that is ready and one frame of each that waits."""
    connection, (big, other, small) = wide_server(3)
    for stream in (big, other):
        connection.send_response(stream, RESPONSE_BLOCK, BIG, TRAILERS_BLOCK)
    connection.send_response(small, RESPONSE_BLOCK, b"small", TRAILERS_BLOCK)
    frames = frames_of(connection.take())
    at = frames.index(Frame(DATA, 0, small.id, b"small"))
    assert frames[at + 1] == (HEADERS, WHOLE, small.id, TRAILERS_BLOCK)
    assert len(data_frames(frames[:at])) <= READY // FRAME + 3


@pytest.mark.parametrize("most_octets", [1, FRAME, 3 * FRAME, 10 * FRAME])
def test_streams_take_turns(most_octets: int) -> None:
    """As the socket takes, each stream that waits sends one frame after the other, whoever came first."""
    connection, streams = wide_server(3)
    for stream in streams:
        connection.send_response(stream, RESPONSE_BLOCK, BIG, TRAILERS_BLOCK)
    taken = b""
    while connection.output_octets:
        taken += connection.take(most_octets)
    order = data_frames(frames_of(taken))
    first = order.index(3)
    assert first <= READY // FRAME + 1
    share = 3 * (len(BIG) // FRAME - first)
    assert all(set(order[at : at + 3]) == {1, 3, 5} for at in range(first, share, 3))


def test_a_reset_drops_what_waits() -> None:
    """The peer's reset or ours leaves only the data that is ready; the other stream goes on with the room."""
    connection, (first, second, third) = wide_server(3)
    for stream in (first, second, third):
        connection.send_response(stream, RESPONSE_BLOCK, BIG, TRAILERS_BLOCK)
    connection.receive(rst_stream(1))
    connection.reset(second, ErrorCode.CANCEL)
    frames = frames_of(connection.take())
    order = data_frames(frames)
    assert order.count(1) <= READY // FRAME
    assert order.count(3) == 0
    assert order.count(5) == len(BIG) // FRAME
    assert (first.queued_octets, second.queued_octets) == (0, 0)


def test_taking_makes_streams_writable() -> None:
    """A queue that the socket empties is told of by take_events, once; otherwise by the next receive."""
    connection, (stream,) = wide_server()
    for tell in (connection.take_events, lambda: connection.receive(frame(PING, ACK, 0, bytes(8)))):
        if not stream.head_sent:
            connection.send_headers(stream, RESPONSE_BLOCK)
        connection.send_data(stream, bytes(READY + 2**18))
        assert connection.take_events() == []
        connection.take(FRAME)
        assert connection.take_events() == []
        connection.take()
        assert tell() == [StreamWritable(stream)]
        assert connection.take_events() == []


def test_an_end_of_nothing_waits_for_nobody() -> None:
    """An empty end of a stream that has nothing queued needs no turn."""
    connection, (big, other) = wide_server(2)
    connection.send_response(big, RESPONSE_BLOCK, BIG, TRAILERS_BLOCK)
    connection.send_headers(other, RESPONSE_BLOCK)
    connection.send_data(other, b"", end_stream=True)
    assert not other.local_open


def test_who_awaits_credit() -> None:
    """A stream that waits for its turn or the socket does not wait for the peer's credit."""
    connection, (big, other) = wide_server(2)
    connection.send_response(big, RESPONSE_BLOCK, BIG, TRAILERS_BLOCK)
    assert big.queued_octets
    assert not connection.awaits_credit(big)
    connection.receive(settings(window=0))
    assert connection.awaits_credit(big)
    assert not connection.awaits_credit(other)
    connection.receive(settings(window=HUGE))
    connection._send_window = 0
    assert connection.awaits_credit(big)


def test_dropped_output() -> None:
    """Nothing of what waited is held or sent once nobody will take it."""
    connection, (stream,) = wide_server()
    connection.send_response(stream, RESPONSE_BLOCK, BIG, TRAILERS_BLOCK)
    connection.drop_output()
    assert (connection.output_octets, stream.queued_octets, stream.queue) == (0, 0, None)
    connection.receive(window_update(1, 1))
    assert connection.take() == b""


@dataclass
class Sent:
    """One answer, as the model knows it."""

    stream: Stream
    handed_over: bytearray = field(default_factory=bytearray)
    out: bytearray = field(default_factory=bytearray)
    end: str = ""
    end_out: str = ""
    window: int = 0
    reset: bool = False


class Output(RuleBasedStateMachine):
    """A server that answers many streams, and a socket that takes what it likes."""

    @initialize(ready=st.sampled_from([FRAME, 40_000]), window=st.sampled_from([0, 50_000, 10**6]))
    def greet(self, ready: int, window: int) -> None:
        self.ready = ready
        self.stream_window = window
        self.connection = server(Config(ready_octets=ready), window=window)
        self.window = 65_535
        self.sent: dict[int, Sent] = {}
        self.wire = b""  # taken, and not yet a whole frame
        self.acks = self.pings = 0
        self.fill = 0
        for _ in range(3):
            self.open()

    @precondition(lambda self: len(self.sent) < 8)
    @rule()
    def open(self) -> None:
        stream_id = 2 * len(self.sent) + 1
        self.connection.receive(request(stream_id))
        self.sent[stream_id] = Sent(self.connection.streams[stream_id], window=self.stream_window)
        self.connection.send_headers(self.sent[stream_id].stream, RESPONSE_BLOCK)

    def some(self, pick: int) -> list[Sent]:
        found = [sent for sent in self.sent.values() if not sent.end and not sent.reset]
        return found and [found[pick % len(found)]]

    @rule(pick=st.integers(0, 9), size=st.sampled_from([1, 100, FRAME, 100_000]), end=st.integers(0, 4))
    def send(self, pick: int, size: int, end: int) -> None:
        for sent in self.some(pick):
            self.fill += 1
            body = bytes([self.fill % 256]) * size
            self.connection.send_data(sent.stream, body, end_stream=end == 0)
            sent.handed_over += body
            sent.end = "" if end else "data"

    @rule(pick=st.integers(0, 9))
    def send_trailers(self, pick: int) -> None:
        for sent in self.some(pick):
            self.connection.send_trailers(sent.stream, TRAILERS_BLOCK)
            sent.end = "trailers"

    @rule(pick=st.integers(0, 9), here=st.booleans())
    def reset(self, pick: int, here: bool) -> None:
        for sent in self.some(pick):
            sent.reset = True
            if here:
                self.connection.reset(sent.stream, ErrorCode.CANCEL)
            else:
                self.connection.receive(rst_stream(sent.stream.id))

    @rule(pick=st.integers(0, 9), step=st.sampled_from([1, 30_000, 10**6]))
    def give_credit(self, pick: int, step: int) -> None:
        self.window += step
        self.connection.receive(window_update(0, step))
        for sent in [sent for sent in self.sent.values() if not sent.stream.closed][pick : pick + 1]:
            sent.window += step
            self.connection.receive(window_update(sent.stream.id, step))

    @rule()
    def ping(self) -> None:
        before = self.unread()
        self.connection.receive(frame(PING, 0, 0, b"12345678"))
        self.pings += 1
        found = frames_of(self.unread())
        assert found[-1] == (PING, ACK, 0, b"12345678")
        assert len(frames_of(before)) == len(found) - 1

    @rule(most=st.sampled_from([1, 1_000, FRAME + 9, 100_000, None]))
    def take(self, most: int | None) -> None:
        output = self.connection.output_octets
        taken = self.connection.take(most)
        assert bool(taken) == bool(output)
        for event in self.connection.take_events():
            assert isinstance(event, StreamWritable)
            assert event.stream.queued_octets * 2 < self.connection.config.stream_output_octets
        self.wire += taken
        while len(self.wire) >= 9 and len(self.wire) >= (whole := 9 + int.from_bytes(self.wire[:3])):
            (found,) = frames_of(self.wire[:whole])
            self.wire = self.wire[whole:]
            self.check(found)
        if most is None:
            assert not self.wire
            assert not self.connection.output_octets
            assert self.acks == self.pings
            for sent in self.sent.values():
                if not sent.reset and self.window and sent.window:
                    assert sent.out == sent.handed_over
                    assert sent.end == sent.end_out

    def check(self, found: Frame) -> None:
        if found.kind == PING:
            self.acks += 1
        elif found.kind == DATA:
            sent = self.sent[found.stream_id]
            assert not sent.end_out
            sent.out += found.payload
            self.window -= len(found.payload)
            sent.window -= len(found.payload)
            assert not found.payload or (self.window >= 0 and sent.window >= 0)
            assert sent.handed_over.startswith(sent.out)
        if found.kind in {DATA, HEADERS} and found.flags & END_STREAM:
            sent = self.sent[found.stream_id]
            sent.end_out = "data" if found.kind == DATA else "trailers"
            assert sent.end_out == sent.end
            assert sent.out == sent.handed_over
        elif found.kind == RST_STREAM:
            assert uint32(found) == ErrorCode.CANCEL
            assert self.sent[found.stream_id].reset

    def unread(self) -> bytes:
        return self.wire + b"".join(self.connection._out)

    @invariant()
    def only_a_little_data_is_ready(self) -> None:
        output = b"".join(self.connection._out)
        assert len(output) == self.connection.output_octets
        data = sum(9 + len(found.payload) for found in frames_of(self.unread()) if found.kind == DATA)
        assert data - len(self.wire) <= self.ready + 9 + FRAME

    @invariant()
    def what_waits_has_something_before_it(self) -> None:
        """No data waits for a socket that has nothing to take."""
        for sent in self.sent.values():
            if sent.stream.queued_octets and not self.connection.awaits_credit(sent.stream):
                assert self.connection.output_octets >= self.ready


TestOutput = Output.TestCase
TestOutput.settings = hypothesis_settings(max_examples=40, stateful_step_count=40, deadline=None)


def test_roles_are_alike() -> None:
    """A client's PING answer does not wait behind its request either."""
    connection = wide_client()
    assert connection.role is Role.CLIENT
    connection.send_request(REQUEST_BLOCK, BIG)
    connection.receive(frame(PING, 0, 0, b"12345678"))
    frames = frames_of(connection.take())
    at = frames.index(Frame(PING, ACK, 0, b"12345678"))
    assert len(data_frames(frames[:at])) <= READY // FRAME + 1
