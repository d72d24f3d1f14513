"""Our client and our server over an imaginary wire, watched by a model that keeps its own memory.

The model reads every frame on the wire by itself: it counts windows, knows what each application handed over, and
in the end compares that with what the other one got.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from hypothesis import settings as hypothesis_settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from mm_plugin.wire.http2 import (
    Config,
    Connection,
    ConnectionClosed,
    DataReceived,
    ErrorCode,
    Event,
    GoAwayReceived,
    PingAcknowledged,
    RequestReceived,
    ResponseReceived,
    Role,
    StreamReset,
    TrailersReceived,
)
from tests.wire.http2.joined_model import End, Half
from tests.wire.http2.raw_frames import (
    DATA,
    HEADERS,
    PREFACE,
    REQUEST_BLOCK,
    RESPONSE_BLOCK,
    RST_STREAM,
    SETTINGS,
    TRAILERS_BLOCK,
    WINDOW_UPDATE,
    Frame,
    frames_of,
    settings,
    uint32,
)

CLIENT, SERVER = Role.CLIENT, Role.SERVER
OTHER = {CLIENT: SERVER, SERVER: CLIENT}
SIZES = st.sampled_from([0, 1, 30, 50, 60, 99, 100, 101, 250])  # in hundredths of a stream's window
PREFIX_OCTETS = st.sampled_from([0, 5])
ROLES = st.sampled_from(Role)
PICK = st.integers(0, 99)


class Joined(RuleBasedStateMachine):
    """Both ends, the wire between them, and the model."""

    def __init__(self) -> None:
        super().__init__()
        self.ends: dict[Role, End] = {}
        self.taken_before_goaway: set[int] | None = None
        self.fill = 0

    @initialize(
        stream_window=st.sampled_from([100, 1_000, 100_000]),
        connection_window=st.sampled_from([65_535, 200_000]),
        ready=st.sampled_from([16_384, 1_000_000]),
        part=st.sampled_from([1, 1_000, None]),
    )
    def greet(self, stream_window: int, connection_window: int, ready: int, part: int | None) -> None:
        self.part = part
        self.config = Config(
            concurrent_streams=4,
            stream_window_octets=stream_window,
            connection_window_octets=connection_window,
            frame_octets=40_000,
            idle_frames=100_000,
            remembered_streams=8,
            ready_octets=ready,
        )
        self.ends = {role: End(Connection(role, config=self.config)) for role in Role}
        preface = self.ends[CLIENT].connection.take()
        assert preface.startswith(PREFACE)
        assert self.ends[SERVER].connection.receive(PREFACE) == []
        self.ends[CLIENT].wire += preface[len(PREFACE) :]
        self.collect()
        self.settle()
        for end in (1, 1, 0):
            self.open(end)

    # -- what applications do; each rule finds itself a stream where it can be done --

    @precondition(lambda self: self.ends[CLIENT].connection.room > 0)
    @rule(end=st.integers(0, 3))
    def open(self, end: int) -> None:
        client = self.ends[CLIENT]
        stream = client.connection.open_stream(REQUEST_BLOCK, end_stream=end == 0)
        assert stream.id == 2 * len(client.halves) + 1
        half = client.halves[stream.id] = Half(stream, window=client.initial_window, head_out=True)
        half.end = "data" if end == 0 else ""
        self.collect()

    @precondition(lambda self: self.ends[CLIENT].connection.room > 0)
    @rule(size=SIZES, prefix_octets=PREFIX_OCTETS)
    def send_request(self, size: int, prefix_octets: int) -> None:
        client = self.ends[CLIENT]
        body = self.body(size)
        prefix, rest = body[:prefix_octets], body[prefix_octets:]
        stream = client.connection.send_request(REQUEST_BLOCK, rest, prefix=prefix)
        assert stream.id == 2 * len(client.halves) + 1
        half = client.halves[stream.id] = Half(stream, window=client.initial_window, head_out=True)
        half.handed_over += body
        half.end = "data"
        self.collect()

    @rule(pick=PICK, size=SIZES, end=st.integers(0, 3), view=st.booleans(), prefix_octets=PREFIX_OCTETS)
    def send_data(self, pick: int, size: int, end: int, view: bool, prefix_octets: int) -> None:
        end_stream = end == 0
        for connection, half in self.pick(pick, lambda half: not half.end):
            self.send_head(connection, half)
            body = self.body(size)
            prefix, rest = body[:prefix_octets], body[prefix_octets:]
            data = memoryview(rest) if view else rest
            connection.send_data(half.handle, data, prefix=prefix, end_stream=end_stream)
            if not half.over:
                half.handed_over += body
                half.end = "data" if end_stream else ""

    @rule(pick=PICK)
    def send_trailers(self, pick: int) -> None:
        for connection, half in self.pick(pick, lambda half: not half.end):
            self.send_head(connection, half)
            connection.send_trailers(half.handle, TRAILERS_BLOCK)
            if not half.over:
                half.end = "trailers"

    @staticmethod
    def send_head(connection: Connection, half: Half) -> None:
        if not half.head_out:
            connection.send_headers(half.handle, RESPONSE_BLOCK)
            half.head_out = True

    @rule(pick=PICK, size=SIZES, prefix_octets=PREFIX_OCTETS)
    def send_response(self, pick: int, size: int, prefix_octets: int) -> None:
        for connection, half in self.pick(pick, lambda half: not half.head_out):
            body = self.body(size)
            prefix, rest = body[:prefix_octets], body[prefix_octets:]
            connection.send_response(half.handle, RESPONSE_BLOCK, rest, TRAILERS_BLOCK, prefix=prefix)
            half.head_out = True
            if not half.over:
                half.handed_over += body
                half.end = "trailers"

    @rule(pick=PICK, part=st.integers(1, 100))
    def consume(self, pick: int, part: int) -> None:
        for connection, half in self.pick(pick, lambda half: half.unconsumed > 0):
            octets = max(1, half.unconsumed * part // 100)
            half.unconsumed -= octets
            connection.consumed(half.handle, octets)

    @rule(pick=PICK, spare=st.integers(0, 2))
    def reset(self, pick: int, spare: int) -> None:
        for connection, half in self.pick(pick, lambda half: not half.over and spare == 0):
            if not half.handle.closed:
                half.reset_here = True
            connection.reset(half.handle, ErrorCode.CANCEL)

    @rule(pick=PICK)
    def stop_request(self, pick: int) -> None:
        for connection, half in self.pick(pick, lambda half: bool(half.end) and not half.over):
            if connection.role is SERVER and half.handle.remote_open:
                connection.stop_request(half.handle)
                half.stopped = True

    @rule(role=ROLES)
    def ping(self, role: Role) -> None:
        self.ends[role].connection.ping(b"12345678")
        self.ends[role].pings_out += 1
        self.collect()

    @rule(role=ROLES, share=st.sampled_from([0, 1, 50, 100]), frame=st.sampled_from([16_384, 20_000, 40_000]))
    def change_settings(self, role: Role, share: int, frame: int) -> None:
        """Let ``role`` allow its peer less than before, or again as much; it goes on to accept its own limits."""
        window = self.config.stream_window_octets * share // 100
        self.ends[role].wire += settings(window=window, frame=frame)

    @precondition(lambda self: self.taken_before_goaway is None)
    @rule(final=st.integers(0, 9))
    def go_away(self, final: int) -> None:
        server = self.ends[SERVER]
        if final == 0:
            self.taken_before_goaway = set(server.halves)
            server.connection.goaway()
        elif final == 1:
            server.connection.announce_shutdown()
        self.collect()

    # -- the wire --

    @rule(role=ROLES, octets=st.sampled_from([7, 40, 2_000, 10**6, 10**6]))
    def deliver(self, role: Role, octets: int) -> None:
        """Carry octets from ``role`` to the other, at most one whole frame per receive, so the model can follow."""
        sender, receiver = self.ends[role], self.ends[OTHER[role]]
        while octets and sender.wire:
            whole = 9 + int.from_bytes(sender.wire[:3], "big") if len(sender.wire) >= 9 else 9
            step = min(octets, whole - sender.begun)
            at = sender.begun
            events = receiver.connection.receive(bytes(sender.wire[at : at + step]))
            sender.begun += step
            octets -= step
            if sender.begun == whole:
                (delivered,) = frames_of(bytes(sender.wire[:whole]))
                del sender.wire[:whole]
                sender.begun = 0
                self.count_delivery(receiver, delivered)
            else:
                assert events == []
            for event in events:
                self.check_event(OTHER[role], event)
            self.collect()

    def count_delivery(self, receiver: End, frame: Frame) -> None:
        """What a frame allows the one that gets it."""
        if frame.kind == WINDOW_UPDATE:
            if frame.stream_id == 0:
                receiver.window += uint32(frame)
            elif frame.stream_id in receiver.halves:
                receiver.halves[frame.stream_id].window += uint32(frame)
        elif frame.kind == SETTINGS:
            for at in range(0, len(frame.payload), 6):
                key = int.from_bytes(frame.payload[at : at + 2], "big")
                value = int.from_bytes(frame.payload[at + 2 : at + 6], "big")
                if key == 4:
                    for half in receiver.halves.values():
                        half.window += value - receiver.initial_window
                    receiver.initial_window = value
                elif key == 5:
                    receiver.frame_limit = value

    def collect(self) -> None:
        """Take what both ends have to send, and hold every DATA frame to the model's own count."""
        for end in self.ends.values():
            octets = b""
            while taken := end.connection.take(self.part):
                octets += taken
            end.connection.take_events()
            for sent in frames_of(octets):
                assert len(sent.payload) <= end.frame_limit
                if sent.kind == DATA:
                    half = end.halves[sent.stream_id]
                    assert not half.reset_here
                    end.window -= len(sent.payload)
                    half.window -= len(sent.payload)
                    assert not sent.payload or (end.window >= 0 and half.window >= 0)
                elif sent.kind == HEADERS and sent.flags & 1:
                    assert not end.halves[sent.stream_id].reset_here
                elif sent.kind == RST_STREAM and uint32(sent) == ErrorCode.NO_ERROR:
                    half = end.halves[sent.stream_id]
                    assert half.stopped
                    half.reset_here = True
            end.wire += octets

    def check_event(self, role: Role, event: Event) -> None:
        """What an application hears must be what the other one did."""
        end, peer = self.ends[role], self.ends[OTHER[role]]
        assert not isinstance(event, ConnectionClosed), event
        if isinstance(event, RequestReceived):
            assert role is SERVER
            assert self.taken_before_goaway is None
            assert event.stream.id not in end.halves
            half = end.halves[event.stream.id] = Half(event.stream, window=end.initial_window, got_head=True)
            if event.end_stream:
                half.got_end = "data"
            return
        if isinstance(event, PingAcknowledged):
            end.pongs += 1
            return
        if isinstance(event, GoAwayReceived) or not hasattr(event, "stream"):
            return
        half = end.halves[event.stream.id]
        assert half.handle is event.stream
        assert not half.over, "an event on a stream that was reset"
        if isinstance(event, StreamReset):
            assert event.by_peer
            refused = event.code == ErrorCode.REFUSED_STREAM
            if event.code == ErrorCode.NO_ERROR:
                assert peer.halves[event.stream.id].stopped
                assert half.got_end
            else:
                assert refused or peer.halves[event.stream.id].reset_here
            assert refused == (self.taken_before_goaway is not None and event.stream.id not in self.taken_before_goaway)
            half.reset_there = event.code
        elif isinstance(event, ResponseReceived):
            assert not half.got_head
            half.got_head = True
        elif isinstance(event, DataReceived):
            assert half.got_head
            assert not half.got_end
            half.got += event.data
            half.unconsumed += event.credit_octets
            half.got_end = "data" if event.end_stream else ""
            self.check_body(half, peer.halves[event.stream.id])
        elif isinstance(event, TrailersReceived):
            assert not half.got_end
            half.got_end = "trailers"
            self.check_body(half, peer.halves[event.stream.id])

    @staticmethod
    def check_body(half: Half, peer: Half) -> None:
        if half.got_end:
            assert peer.end == half.got_end
            assert half.got == peer.handed_over
        else:
            assert peer.handed_over.startswith(half.got)

    # -- what always holds --

    @invariant()
    def ends_agree(self) -> None:
        for role, end in self.ends.items():
            connection = end.connection
            assert not connection.terminated
            assert connection.output_octets == 0
            for stream_id, half in end.halves.items():
                finished = half.over or (half.got_end and half.end and not half.handle.local_open)
                assert (stream_id in connection.streams) == (not finished) == (not half.handle.closed)
                if not finished:
                    got = self.ends[OTHER[role]].halves.get(stream_id)
                    in_flight = len(half.handed_over) - half.handle.queued_octets - (len(got.got) if got else 0)
                    assert in_flight >= 0
            if role is CLIENT and not connection.draining:
                assert connection.room == 4 - len(connection.streams)

    def settle(self) -> None:
        """Deliver everything until the wire is silent, while applications consume all they get."""
        while any(end.wire for end in self.ends.values()):
            for role, end in self.ends.items():
                self.deliver(role, len(end.wire))
            self.consume_all()

    def consume_all(self) -> None:
        for end in self.ends.values():
            for half in end.halves.values():
                end.connection.consumed(half.handle, half.unconsumed)
                half.unconsumed = 0
        self.collect()

    def teardown(self) -> None:
        """Open all windows and let everything arrive: then both sides know the same of every stream."""
        if not self.ends:
            return
        for end in self.ends.values():
            end.wire += settings(window=self.config.stream_window_octets)
        self.consume_all()
        self.settle()
        self.ends_agree()
        client, server = self.ends[CLIENT], self.ends[SERVER]
        for stream_id, asked in client.halves.items():
            answered = server.halves.get(stream_id)
            if answered is None:
                assert asked.reset_here or asked.reset_there == ErrorCode.REFUSED_STREAM
                continue
            for half, peer in ((asked, answered), (answered, asked)):
                if half.reset_here:
                    assert peer.over or (peer.got_end and peer.end)
                if not (half.over or peer.over):
                    assert (half.got, half.got_end) == (peer.handed_over, peer.end)
                    assert half.handle.queued_octets == 0
        assert (client.pongs, server.pongs) == (client.pings_out, server.pings_out)

    def pick(self, pick: int, wanted: Callable[[Half], bool]) -> Iterator[tuple[Connection, Half]]:
        """Give one half that is wanted, with its connection, if there is any; then collect what was sent."""
        halves = [(end.connection, half) for end in self.ends.values() for half in end.halves.values() if wanted(half)]
        if halves:
            yield halves[pick % len(halves)]
            self.collect()

    def body(self, size: int) -> bytes:
        """Octets that differ from those before, so that a mix-up shows."""
        size = size * self.config.stream_window_octets // 100
        self.fill += 1
        return (b"%d," % self.fill * (size // 2 + 1))[:size]


Joined.TestCase.settings = hypothesis_settings(max_examples=100, stateful_step_count=60)
TestJoined = Joined.TestCase
TestJoined.__doc__ = "Our client and our server never disagree, and never exceed each other's windows."
