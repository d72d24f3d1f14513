"""Bodies of unary calls: the one message, or the fault that says why there is none."""

from __future__ import annotations

import pytest

from mm_plugin.transport.grpc.bodies import UnaryBody
from mm_plugin.wire.grpc import FramingError, FramingFault, compress, frame

LIMIT = 50


def unary(pieces: list[bytes], *, gzip: bool = False) -> bytes:
    """Return the message of a body in pieces, each of which lies in something larger."""
    body = UnaryBody(LIMIT)
    body.gzip = gzip
    for piece in pieces:
        body.feed(b"before" + piece + b"after", 6, 6 + len(piece))
    return body.finish()


def octets_of(body: bytes) -> list[bytes]:
    return [body[at : at + 1] for at in range(len(body))]


@pytest.mark.parametrize("message", [b"", b"one", bytes(LIMIT)])
def test_a_message_is_the_same_whole_and_in_pieces(message: bytes) -> None:
    """Plain and compressed, up to the limit."""
    for body, gzip in ((frame(message), False), (frame(compress(message), compressed=True), True)):
        assert len(body) <= LIMIT + 5 or gzip
        assert unary([body], gzip=gzip) == unary(octets_of(body), gzip=gzip) == message


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        (b"", FramingFault.MISSING),
        (b"\0\0", FramingFault.TRUNCATED),
        (frame(b"half")[:-1], FramingFault.TRUNCATED),
        (frame(b"one") + frame(b"two"), FramingFault.SURPLUS),
        (b"\x07" + bytes(4), FramingFault.BAD_FLAG),
        (frame(bytes(LIMIT + 1)), FramingFault.TOO_LARGE),
        (frame(b"packed", compressed=True), FramingFault.BAD_FLAG),
    ],
)
def test_each_fault_has_its_name(body: bytes, fault: FramingFault) -> None:
    """In one piece and in many."""
    for pieces in ([body], octets_of(body)):
        with pytest.raises(FramingError) as info:
            unary(pieces)
        assert info.value.fault is fault


def test_a_second_message_is_one_too_many_in_a_frame_of_its_own() -> None:
    """Whether it comes with the first or after it."""
    with pytest.raises(FramingError) as info:
        unary([frame(b"one"), frame(b"two")])
    assert info.value.fault is FramingFault.SURPLUS
