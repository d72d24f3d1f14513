"""How often a body's octets are copied on their way in and out: by what each step allocates."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from mm_plugin import limits
from mm_plugin.transport.grpc.bodies import UnaryBody
from mm_plugin.wire.grpc import MessageReader, frame, prefix
from mm_plugin.wire.http2 import Connection, DataReceived, Role, encode

REQUEST = [
    (b":method", b"POST"),
    (b":scheme", b"http"),
    (b":path", b"/a/b"),
    (b":authority", b"x"),
    (b"te", b"trailers"),
]


class Copies:
    """Counts the octets that steps allocate, at their peak; small objects vanish beside bodies."""

    octets = 0

    @contextmanager
    def counted(self) -> Iterator[None]:
        tracemalloc.reset_peak()
        before = tracemalloc.get_traced_memory()[0]
        yield
        self.octets += tracemalloc.get_traced_memory()[1] - before


def cut(octets: bytes, most: int) -> list[bytes]:
    return [octets[at : at + most] for at in range(0, len(octets), most)]


def upload(role: Role, parts: list[bytes], padding: int = 0) -> tuple[Connection, list[bytes]]:
    """Return one end, and what it reads when the other sends each part as a frame."""
    end = Connection(role)
    peer = Connection(Role.SERVER if role is Role.CLIENT else Role.CLIENT)
    if role is Role.CLIENT:
        stream = end.open_stream(encode(REQUEST))
        (request, *_) = [event for event in peer.receive(end.take()) if hasattr(event, "stream")]
        peer.send_headers(request.stream, encode([(b":status", b"200")]))
    else:
        stream = peer.open_stream(encode(REQUEST))
    octets = bytearray(peer.take())
    for part in parts:
        octets += (len(part) + (padding and padding + 1)).to_bytes(3) + bytes((0, 8 if padding else 0))
        octets += stream.id.to_bytes(4) + bytes([padding] if padding else []) + part + bytes(padding)
    return end, cut(bytes(octets), limits.socket_read_octets)


def run(
    end: Connection, reads: list[bytes], feed: Callable[[bytes | bytearray, int, int], None], take: Callable[[], None]
) -> tuple[float, float]:
    """Return the octets that the protocol and who takes the bodies allocate, in parts of all that was read.

    A read is freed when the next one comes.
    """
    parsing, taking, total = Copies(), Copies(), sum(map(len, reads))
    tracemalloc.start()
    try:
        while reads:
            data = reads.pop(0)
            with parsing.counted():
                events = end.receive(data)
            for event in events:
                if isinstance(event, DataReceived):
                    end.consumed(event.stream, event.credit_octets)
                    with taking.counted():
                        feed(event.octets, event.start, event.end)
            with taking.counted():
                take()
            end.take()
    finally:
        tracemalloc.stop()
    return parsing.octets / total, taking.octets / total


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("padding", [0, 200])
def test_a_message_of_many_frames_is_copied_once(role: Role, padding: int) -> None:
    """Thirty-two megabytes are joined to one message; before that only the frames that two reads cut are copied."""
    message = bytes(32 << 20)
    end, reads = upload(role, cut(frame(message), 16_000), padding)
    body = UnaryBody(limits.message_limit_octets)
    parsed, taken = run(end, reads, body.feed, lambda: None)
    assert body.finish() == message
    assert parsed < 0.35  # one frame of four is cut by the end of a read
    assert taken < 1.05


@pytest.mark.parametrize("octets", [1_500, 4_000, 9_000, 12_000, 16_000])
def test_a_unary_message_in_one_frame_is_copied_once(octets: int) -> None:
    """It is cut out behind its prefix."""
    message = bytes(range(250)) * (octets // 250)
    end, reads = upload(Role.SERVER, [frame(message)] * 400)
    found: list[bytes] = []

    def feed(octets: bytes | bytearray, start: int, end: int) -> None:
        body = UnaryBody(limits.message_limit_octets)
        body.feed(octets, start, end)
        found.append(body.finish())

    parsed, taken = run(end, reads, feed, lambda: None)
    assert found == [message] * 400
    assert parsed < 0.35
    assert taken < 1.1


@pytest.mark.parametrize("octets", [1_500, 4_000, 9_000, 12_000, 16_000, 18_000, 26_000, 65_536])
def test_a_streamed_message_is_copied_once(octets: int) -> None:
    """Messages of a stream are cut out or joined once, though they are taken when all of a read has arrived."""
    message = bytes(octets)
    end, reads = upload(Role.SERVER, cut(frame(message), 16_384) * 200)
    reader = MessageReader(limits.message_limit_octets)
    found: list[bytes] = []

    def take() -> None:
        while (taken := reader.next_message()) is not None:
            found.append(taken.data)

    parsed, taken = run(end, reads, reader.feed, take)
    assert found == [message] * 200
    assert parsed < 0.35
    assert taken < 1.15


@pytest.mark.parametrize("octets", [4_000, 16_000, 16_384, 65_536, 4 << 20])
@pytest.mark.parametrize("room", [limits.socket_write_octets, 3 * 16_384])
@pytest.mark.parametrize("role", Role)
def test_messages_are_copied_once_on_their_way_out(role: Role, octets: int, room: int) -> None:
    """They are joined for the socket, once, also where they wait in their streams behind their prefixes."""
    message, count = bytes(range(250)) * (octets // 250 + 1), max(1, 2_000_000 // octets)
    end, peer = Connection(role), Connection(Role.SERVER if role is Role.CLIENT else Role.CLIENT)
    opener, other = (end, peer) if role is Role.CLIENT else (peer, end)
    own = stream = opener.open_stream(encode(REQUEST))
    (request, *_) = [event for event in other.receive(opener.take()) if hasattr(event, "stream")]
    if role is Role.SERVER:
        own = request.stream
        end.send_headers(own, encode([(b":status", b"200")]))
        peer.receive(end.take())
    copies, sent, reader, found = Copies(), 0, MessageReader(limits.message_limit_octets), list[bytes]()
    tracemalloc.start()
    try:
        for _ in range(count):
            with copies.counted():
                end.send_data(own, message, prefix=prefix(message))
        while True:
            with copies.counted():
                data = end.take(room)
            if not data:
                break
            sent += len(data)
            for event in peer.receive(data):
                if isinstance(event, DataReceived):
                    peer.consumed(event.stream, event.credit_octets)
                    reader.feed(event.octets, event.start, event.end)
            while (taken := reader.next_message()) is not None:
                found.append(taken.data)
            end.receive(peer.take())
    finally:
        tracemalloc.stop()
    assert stream.id == 1
    assert found == [message] * count
    assert sent > count * octets
    assert copies.octets < 1.15 * sent
