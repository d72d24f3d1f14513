"""Differential: our server with an h2 client, and an h2 server with our client, through random scripts.

h2 is strict about its peer, so any breach of ours is an exception there; and both ends must agree on every body,
end, reset and trailer.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import h2.config
import h2.connection
import h2.events
import h2.settings
from hypothesis import given, settings as hypothesis_settings, strategies as st

from mm_plugin.wire.http2 import (
    Config,
    Connection,
    ConnectionClosed,
    DataReceived,
    ErrorCode,
    PingAcknowledged,
    RequestReceived,
    ResponseReceived,
    Role,
    Stream,
    StreamReset,
    TrailersReceived,
)

Fields = list[tuple[bytes, bytes]]

METADATA = st.lists(
    st.tuples(
        st.sampled_from([b"x-trace", b"grpc-timeout", b"user-agent", b"x-bin"]),
        st.sampled_from([b"", b"1", b"a longer value that is worth an entry", b"1234567890m", b"v" * 300]),
    ),
    max_size=4,
)
# Each word as often as it is wanted.
WORDS = ("open", "data", "data", "data", "trailers", "end", "head", "head", "reset", "ping", "window", "consume")
STEPS = st.lists(
    st.tuples(
        st.sampled_from(WORDS) | st.just("carry"),
        st.booleans(),  # whose turn: ours, or h2's
        st.integers(0, 99),  # which stream
        st.sampled_from([0, 1, 100, 5_000, 16_384, 16_385, 70_000]),  # octets
        METADATA,
    ),
    min_size=15,
    max_size=60,
)
REQUEST = [(b":method", b"POST"), (b":scheme", b"http"), (b":path", b"/service/method"), (b":authority", b"a")]


@dataclass
class Seen:
    """What one side has got, or handed over, on one stream."""

    head: Fields = field(default_factory=list)
    body: bytearray = field(default_factory=bytearray)
    trailers: Fields | None = None
    ended: bool = False
    reset: bool = False


class OurSide:
    """Our connection with an application that keeps books."""

    def __init__(self, role: Role) -> None:
        config = Config(stream_window_octets=70_000, connection_window_octets=140_000, concurrent_streams=8)
        self.connection = Connection(role, config=config)
        self.streams: dict[int, Stream] = {}
        self.sent: dict[int, Seen] = {}
        self.got: dict[int, Seen] = {}
        self.unconsumed: dict[int, int] = {}
        self.pongs = 0

    def receive(self, octets: bytes) -> None:
        for event in self.connection.receive(octets):
            assert not isinstance(event, ConnectionClosed), event
            if isinstance(event, RequestReceived):
                stream = event.stream
                self.streams[stream.id] = stream
                self.sent[stream.id] = Seen()
                self.got[stream.id] = Seen(head=list(stream.head.fields), ended=event.end_stream)
            elif isinstance(event, ResponseReceived):
                seen = self.got[event.stream.id]
                seen.head, seen.ended = list(event.head.fields), event.end_stream
            elif isinstance(event, DataReceived):
                self.got[event.stream.id].body += event.data
                self.got[event.stream.id].ended = event.end_stream
                self.unconsumed[event.stream.id] = self.unconsumed.get(event.stream.id, 0) + event.credit_octets
            elif isinstance(event, TrailersReceived):
                self.got[event.stream.id].trailers = list(event.head.fields)
                self.got[event.stream.id].ended = True
            elif isinstance(event, StreamReset):
                assert event.by_peer, event
                self.got[event.stream.id].reset = True
            elif isinstance(event, PingAcknowledged):
                self.pongs += 1

    def open(self, fields: Fields) -> None:
        if self.connection.room:
            stream = self.connection.open_stream(fields)
            self.streams[stream.id] = stream
            self.sent[stream.id] = Seen(head=fields)
            self.got[stream.id] = Seen()

    def sendable(self, stream_id: int) -> bool:
        return bool(self.sent[stream_id].head) and not self.streams[stream_id].ending and self.alive(stream_id)

    def alive(self, stream_id: int) -> bool:
        return not (self.streams[stream_id].closed or self.sent[stream_id].reset)

    def head(self, stream_id: int, fields: Fields) -> None:
        if not self.sent[stream_id].head and self.alive(stream_id):
            self.connection.send_headers(self.streams[stream_id], fields)
            self.sent[stream_id].head = fields

    def data(self, stream_id: int, data: bytes, *, end: bool) -> None:
        if self.sendable(stream_id):
            self.connection.send_data(self.streams[stream_id], data, end_stream=end)
            self.sent[stream_id].body += data
            self.sent[stream_id].ended = end

    def trailers(self, stream_id: int, fields: Fields) -> None:
        if self.sendable(stream_id):
            self.connection.send_trailers(self.streams[stream_id], fields)
            self.sent[stream_id].trailers = fields
            self.sent[stream_id].ended = True

    def reset(self, stream_id: int) -> None:
        if self.alive(stream_id):
            self.connection.reset(self.streams[stream_id], ErrorCode.CANCEL)
            self.sent[stream_id].reset = True

    def consume(self, stream_id: int) -> None:
        self.connection.consumed(self.streams[stream_id], self.unconsumed.pop(stream_id, 0))

    def window(self, _octets: int) -> None:
        """Ours never change."""

    def ping(self) -> None:
        self.connection.ping(b"pingping")

    def take(self) -> bytes:
        return self.connection.take()


class TheirSide:
    """An h2 connection with an application that keeps books, and that queues by itself, as h2 does not."""

    def __init__(self, role: Role) -> None:
        self.client = role is Role.CLIENT
        self.connection = h2.connection.H2Connection(
            h2.config.H2Configuration(client_side=self.client, header_encoding=False)
        )
        self.connection.local_settings.max_concurrent_streams = 8
        self.connection.initiate_connection()
        self.sent: dict[int, Seen] = {}
        self.got: dict[int, Seen] = {}
        self.queued: dict[int, bytearray] = {}
        self.unconsumed: dict[int, int] = {}
        self.pongs = 0

    def receive(self, octets: bytes) -> None:
        for event in self.connection.receive_data(octets):
            match event:
                case h2.events.RequestReceived():
                    self.got[event.stream_id] = Seen(head=[(bytes(n), bytes(v)) for n, v in event.headers])
                    self.sent[event.stream_id] = Seen()
                    self.queued[event.stream_id] = bytearray()
                case h2.events.ResponseReceived():
                    self.got[event.stream_id].head = [(bytes(n), bytes(v)) for n, v in event.headers]
                case h2.events.DataReceived():
                    self.got[event.stream_id].body += event.data
                    held = self.unconsumed.get(event.stream_id, 0)
                    self.unconsumed[event.stream_id] = held + event.flow_controlled_length
                case h2.events.TrailersReceived():
                    self.got[event.stream_id].trailers = [(bytes(n), bytes(v)) for n, v in event.headers]
                case h2.events.StreamEnded():
                    self.got[event.stream_id].ended = True
                case h2.events.StreamReset():
                    assert event.remote_reset, "h2 found fault with a stream of ours"
                    self.got[event.stream_id].reset = True
                case h2.events.PingAckReceived():
                    self.pongs += 1
                case _:
                    pass
        for stream_id in self.sent:
            self.flush(stream_id)

    def open(self, fields: Fields) -> None:
        if self.connection.open_outbound_streams < 8:
            stream_id = self.connection.get_next_available_stream_id()
            self.connection.send_headers(stream_id, fields)
            self.sent[stream_id] = Seen(head=fields)
            self.got[stream_id] = Seen()
            self.queued[stream_id] = bytearray()

    def alive(self, stream_id: int) -> bool:
        sent, got = self.sent[stream_id], self.got[stream_id]
        over = sent.ended and got.ended and not self.queued[stream_id]
        return not (sent.reset or got.reset or over)

    def sendable(self, stream_id: int) -> bool:
        sent = self.sent[stream_id]
        return bool(sent.head) and not sent.ended and self.alive(stream_id)

    def head(self, stream_id: int, fields: Fields) -> None:
        if not self.sent[stream_id].head and self.alive(stream_id):
            self.connection.send_headers(stream_id, fields)
            self.sent[stream_id].head = fields

    def data(self, stream_id: int, data: bytes, *, end: bool) -> None:
        if self.sendable(stream_id):
            self.sent[stream_id].body += data
            self.queued[stream_id] += data
            self.sent[stream_id].ended = end
            if end and not self.queued[stream_id]:
                self.connection.end_stream(stream_id)
            self.flush(stream_id)

    def trailers(self, stream_id: int, fields: Fields) -> None:
        if self.sendable(stream_id):
            self.sent[stream_id].trailers = fields
            self.sent[stream_id].ended = True
            if not self.queued[stream_id]:
                self.connection.send_headers(stream_id, fields, end_stream=True)

    def flush(self, stream_id: int) -> None:
        """Send what the windows allow, padded now and then, and what waits behind it."""
        sent, queue = self.sent[stream_id], self.queued[stream_id]
        while queue and not (sent.reset or self.got[stream_id].reset):
            room = self.connection.local_flow_control_window(stream_id)
            size = min(len(queue), room, self.connection.max_outbound_frame_size)
            padded = 40 < size < 16_000
            if padded:
                size -= 31
            if size <= 0:
                return
            piece = bytes(queue[:size])
            del queue[:size]
            last = not queue and sent.ended
            end = last and sent.trailers is None
            self.connection.send_data(stream_id, piece, end_stream=end, pad_length=30 if padded else None)
            if last and sent.trailers is not None:
                self.connection.send_headers(stream_id, sent.trailers, end_stream=True)

    def reset(self, stream_id: int) -> None:
        if self.alive(stream_id):
            self.connection.reset_stream(stream_id, ErrorCode.CANCEL)
            self.sent[stream_id].reset = True

    def consume(self, stream_id: int) -> None:
        octets = self.unconsumed.pop(stream_id, 0)
        if octets:
            self.connection.acknowledge_received_data(octets, stream_id)

    def window(self, octets: int) -> None:
        self.connection.update_settings({h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: octets})

    def ping(self) -> None:
        self.connection.ping(b"pingping")

    def take(self) -> bytes:
        return bytes(self.connection.data_to_send())


def carry(ours: OurSide, theirs: TheirSide) -> None:
    while True:
        out, back = ours.take(), theirs.take()
        if not out and not back:
            return
        theirs.receive(out)
        ours.receive(back)


def run(our_role: Role, steps: list[tuple[str, bool, int, int, Fields]]) -> None:
    ours = OurSide(our_role)
    theirs = TheirSide(Role.SERVER if our_role is Role.CLIENT else Role.CLIENT)
    client = ours if our_role is Role.CLIENT else theirs
    pings = {True: 0, False: 0}
    carry(ours, theirs)
    for _ in range(3):
        client.open(REQUEST)
    carry(ours, theirs)
    for step, our_turn, pick, size, metadata in steps:
        side: OurSide | TheirSide = ours if our_turn else theirs
        if step == "open":
            client.open([*REQUEST, *metadata])
        elif step == "carry":
            carry(ours, theirs)
        elif step == "ping":
            side.ping()
            pings[our_turn] += 1
        elif step == "window":
            side.window(size)
        elif side.sent:
            stream_id = list(side.sent)[pick % len(side.sent)]
            if step == "head" and side is not client:
                side.head(stream_id, [(b":status", b"200"), *metadata])
            elif step in {"data", "end"}:
                side.data(stream_id, bytes([pick]) * size, end=step == "end")
            elif step == "trailers":
                side.trailers(stream_id, [(b"grpc-status", b"0"), *metadata])
            elif step == "consume":
                side.consume(stream_id)
            elif step == "reset" and size < 2:
                side.reset(stream_id)
    theirs.window(65_535)
    for _ in range(200):
        carry(ours, theirs)
        if not ours.unconsumed and not theirs.unconsumed:
            break
        for side in (ours, theirs):
            for stream_id in list(side.unconsumed):
                side.consume(stream_id)
    compare(ours.sent, theirs.got, theirs.sent)
    compare(theirs.sent, ours.got, ours.sent)
    assert (ours.pongs, theirs.pongs) == (pings[True], pings[False])
    assert not ours.connection.terminated
    open_streams = {id_ for id_ in theirs.sent if theirs.alive(id_)}
    assert {id_ for id_ in ours.connection.streams if id_ in theirs.sent} == open_streams


def compare(sent: dict[int, Seen], got: dict[int, Seen], back: dict[int, Seen]) -> None:
    """What one side handed over is what the other side got; a prefix where either reset."""
    for stream_id, seen in sent.items():
        if stream_id not in got:
            assert seen.reset
            continue
        heard = got[stream_id]
        if seen.reset or back[stream_id].reset:
            assert seen.body.startswith(heard.body)
            assert heard.reset or back[stream_id].reset or (heard.ended and back[stream_id].ended)
        else:
            assert (heard.head, heard.body, heard.trailers) == (seen.head, seen.body, seen.trailers)
            assert heard.ended == seen.ended
            assert not heard.reset


@given(STEPS)
@hypothesis_settings(max_examples=120)
def test_our_server_with_an_h2_client(steps: list[tuple[str, bool, int, int, Fields]]) -> None:
    """Through any script both ends agree, and h2 finds no fault with our server."""
    run(Role.SERVER, steps)


@given(STEPS)
@hypothesis_settings(max_examples=120)
def test_our_client_with_an_h2_server(steps: list[tuple[str, bool, int, int, Fields]]) -> None:
    """Through any script both ends agree, and h2 finds no fault with our client."""
    run(Role.CLIENT, steps)
