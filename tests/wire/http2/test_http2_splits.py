"""The parser: whole = byte-wise = any split; and arbitrary octets neither raise nor pile up."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given, settings as hypothesis_settings, strategies as st

from mm_plugin.wire.http2 import (
    Config,
    Connection,
    DataReceived,
    Event,
    RequestReceived,
    Role,
    RoomChanged,
    Stream,
)
from tests.wire.http2.raw_frames import (
    ACK,
    PREFACE,
    REQUEST,
    REQUEST_BLOCK,
    RESPONSE_BLOCK,
    SETTINGS,
    TRAILERS_BLOCK,
    Frame,
    frame,
    frames_of,
    settings,
)

ROLES = st.sampled_from(Role)
BLOCKS = st.sampled_from([REQUEST_BLOCK, RESPONSE_BLOCK, TRAILERS_BLOCK, b"\x40\x01a\x01b", b"\xbe", b"\x88", b""])
PAYLOADS = st.one_of(
    BLOCKS,
    st.binary(max_size=20),
    st.sampled_from([b"\0\0\0\1", b"\x7f\xff\xff\xff", bytes(4), bytes(5), bytes(8), b"\0\4\0\0\0\5", b"d" * 300]),
)
FRAMES = st.builds(
    frame,
    st.integers(0, 11),
    st.sampled_from([0, 0x1, 0x4, 0x5, 0x8, 0x20, 0x2D]) | st.integers(0, 255),
    st.sampled_from([0, 1, 1, 3, 3, 5, 7, 2]),
    PAYLOADS,
)
WILD = st.lists(FRAMES, max_size=12).map(b"".join)


@st.composite
def conversations(draw: st.DrawFn, role: Role) -> bytes:
    """Frames of a peer that mostly keeps to the rules: it opens streams in order and speaks on those it has."""
    octets = b""
    known = [] if role is Role.SERVER else [1, 3, 5, 7]
    for step in draw(st.lists(st.sampled_from("hhhhdddddettwrpzx"), max_size=25)):
        if step == "h" and role is Role.SERVER:
            known.append(2 * len(known) + 1)
            octets += frame(1, draw(st.sampled_from([4, 4, 5])), known[-1], REQUEST_BLOCK)
        elif step == "x":
            octets += draw(FRAMES)
        elif step == "p":
            octets += frame(6, 0, 0, b"pingpong")
        elif known:
            stream_id = draw(st.sampled_from(known))
            octets += {
                "h": lambda stream_id: frame(1, 4, stream_id, RESPONSE_BLOCK),
                "d": lambda stream_id: frame(0, 0, stream_id, draw(st.binary(max_size=40))),
                "e": lambda stream_id: frame(0, 1, stream_id, b"end"),
                "t": lambda stream_id: (
                    frame(1, 1, stream_id, TRAILERS_BLOCK[:3]) + frame(9, 4, stream_id, TRAILERS_BLOCK[3:])
                ),
                "w": lambda stream_id: frame(8, 0, stream_id, b"\0\0\0\5"),
                "r": lambda stream_id: frame(3, 0, stream_id, b"\0\0\0\x08"),
                "z": lambda stream_id: frame(0, 8, stream_id, b"\x02ab\0\0"),
            }[step](stream_id)
    return octets


def fresh(role: Role) -> Connection:
    """A small connection; a client has four requests out, one of them complete."""
    connection = Connection(role, config=Config(concurrent_streams=4, remembered_streams=4, idle_frames=12))
    if role is Role.CLIENT:
        for number in range(4):
            connection.open_stream(REQUEST, end_stream=number == 1)
    return connection


def greeting(role: Role) -> bytes:
    """What the peer of such a connection sends first."""
    return (PREFACE if role is Role.SERVER else b"") + settings() + frame(SETTINGS, ACK)


def told(events: list[Event]) -> list[str]:
    """Events in a form that can be compared between connections; how often the room changes depends on the split."""
    return [
        " ".join([type(event).__name__, *map(told_value, values_of(event))])
        for event in events
        if not isinstance(event, RoomChanged)
    ]


def values_of(event: Event) -> list[object]:
    if isinstance(event, DataReceived):  # where the piece lies does depend on the split
        return [event.stream, event.data, event.credit_octets, event.end_stream]
    return [getattr(event, name) for name in event.__slots__]


def told_value(value: object) -> str:
    return str(value.id) if isinstance(value, Stream) else repr(value)


def outcome(role: Role, pieces: list[bytes]) -> tuple[list[str], list[Frame], list[int], bool, int]:
    connection = fresh(role)
    events: list[str] = []
    for piece in pieces:
        events += told(connection.receive(piece))
    return (
        events,
        frames_of(connection.take()),
        list(connection.streams),
        connection.terminated,
        connection.room,
    )


def assert_same_however_split(role: Role, octets: bytes, cuts: list[int]) -> None:
    whole = outcome(role, [octets])
    assert outcome(role, [octets[at : at + 1] for at in range(len(octets))]) == whole
    bounds = [0, *sorted(cut % (len(octets) + 1) for cut in cuts), len(octets)]
    assert outcome(role, [octets[a:b] for a, b in pairwise(bounds)]) == whole


CUTS = st.lists(st.integers(0, 10_000), max_size=8)


@given(st.data(), ROLES, CUTS)
def test_frames_however_split(data: st.DataObject, role: Role, cuts: list[int]) -> None:
    """However the octets of a peer arrive, events, answers and state are the same."""
    octets = data.draw(conversations(role))
    assert_same_however_split(role, greeting(role) + octets, cuts)


@given(ROLES, st.binary(max_size=60) | WILD, st.booleans(), CUTS)
def test_noise_however_split(role: Role, noise: bytes, greeted: bool, cuts: list[int]) -> None:
    """The same for octets that are no protocol at all."""
    assert_same_however_split(role, (greeting(role) if greeted else b"") + noise, cuts)


@given(st.data(), ROLES, st.booleans())
@hypothesis_settings(max_examples=200)
def test_state_stays_bounded(data: st.DataObject, role: Role, answers: bool) -> None:
    """Whatever comes, nothing raises, and streams, memories, buffered input and unasked output keep their bounds."""
    pieces = data.draw(st.lists(conversations(role) | WILD | st.binary(max_size=100), max_size=4))
    connection = fresh(role)
    connection.take()
    config = connection.config
    for piece in [greeting(role), *pieces]:
        before = connection.output_octets
        for event in connection.receive(piece):
            if answers and isinstance(event, RequestReceived):
                connection.send_response(event.stream, RESPONSE_BLOCK, b"answer", TRAILERS_BLOCK)
        # An answer is at most as long as what it answers, but for our own resets, credit, GOAWAY and responses.
        assert connection.output_octets - before <= 40 * (len(piece) // 9 + 1) + 400
        assert len(connection.streams) <= config.concurrent_streams
        assert len(connection._closed._recent) + len(connection._closed._before) <= 2 * config.remembered_streams
        assert len(connection._tail) < 9 + config.frame_octets
        assert len(connection._turn or ()) <= len(connection.streams)
        assert sum(s.recv_window < -65_535 or s.queued_octets for s in connection.streams.values()) == 0
        if connection._open_block is not None:
            assert connection._open_block.octets <= config.header_block_octets
    assert connection.terminated or connection._wasted <= config.idle_frames


def test_a_long_frame_in_many_pieces_is_taken_once() -> None:
    """A frame that comes in pieces is put together without scanning or copying what follows it."""
    body = frame(0, 0, 1, bytes(16_384))
    octets = greeting(Role.SERVER) + frame(1, 4, 1, REQUEST_BLOCK) + body * 3 + frame(0, 1, 1)
    whole = outcome(Role.SERVER, [octets])
    assert len(whole[0]) == 5
    for step in (5, 16_389):
        assert outcome(Role.SERVER, [octets[at : at + step] for at in range(0, len(octets), step)]) == whole
