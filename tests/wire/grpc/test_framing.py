"""Framing: whole equals byte-wise equals any split, and only declared faults come out."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, strategies as st

from mm_plugin.exceptions import StatusCode
from mm_plugin.wire.grpc.framing import (
    PREFIX_OCTETS,
    FramingError,
    FramingFault,
    Message,
    MessageReader,
    frame,
    read_unary,
)

LIMIT = 50
messages = st.lists(st.builds(Message, st.binary(max_size=LIMIT), st.booleans()), max_size=6)


def read(pieces: list[bytes], limit_octets: int = LIMIT) -> tuple[list[Message], FramingFault | None]:
    """Read all messages of a body in pieces; the fault that ended it, if any."""
    reader = MessageReader(limit_octets)
    found: list[Message] = []
    try:
        for piece in pieces:
            reader.feed(piece)
            while (message := reader.next_message()) is not None:
                found.append(message)
        reader.finish()
    except FramingError as error:
        return found, error.fault
    return found, None


def split(body: bytes, cuts: list[int]) -> list[bytes]:
    edges = [0, *sorted(cut % (len(body) + 1) for cut in cuts), len(body)]
    return [body[start:end] for start, end in pairwise(edges)]


@given(messages, st.lists(st.integers(0, 1000), max_size=10))
def test_any_split_gives_the_messages_back(sent: list[Message], cuts: list[int]) -> None:
    """What was framed is read again, wherever the body is cut."""
    body = b"".join(frame(data, compressed=compressed) for data, compressed in sent)
    assert read(split(body, cuts)) == (sent, None)


@given(st.binary(max_size=80), st.lists(st.integers(0, 1000), max_size=10))
def test_any_octets_read_alike_in_any_split(body: bytes, cuts: list[int]) -> None:
    """Whole, byte by byte and in pieces: the same messages and the same fault, never another exception."""
    whole = read([body])
    assert read([body[i : i + 1] for i in range(len(body))]) == whole
    assert read(split(body, cuts)) == whole


@given(st.binary(max_size=80))
def test_unary_agrees_with_the_reader(body: bytes) -> None:
    """The quick way for one message says what the reader says."""
    found, fault = read([body])
    if len(found) == 1 and fault is None:
        assert read_unary(body, LIMIT) == found[0]
        return
    with pytest.raises(FramingError) as info:
        read_unary(body, LIMIT)
    assert info.value.fault is (FramingFault.SURPLUS if found else fault or FramingFault.MISSING)


@pytest.mark.parametrize(("length", "fault"), [(LIMIT - 1, None), (LIMIT, None), (LIMIT + 1, FramingFault.TOO_LARGE)])
def test_limit_is_exact(length: int, fault: FramingFault | None) -> None:
    """A message of exactly the limit is taken, one octet more is not."""
    body = frame(bytes(length))
    assert read([body])[1] is fault
    if fault is None:
        assert read_unary(body, LIMIT) == (bytes(length), False)
    else:
        with pytest.raises(FramingError) as info:
            read_unary(body, LIMIT)
        assert info.value.code is StatusCode.RESOURCE_EXHAUSTED


def test_declared_gibibyte_is_refused_at_its_prefix() -> None:
    """A length over the limit fails on the prefix alone, and nothing is held afterwards."""
    reader = MessageReader(LIMIT)
    reader.feed(b"\0" + (1 << 30).to_bytes(4, "big"))
    for _ in range(2):
        with pytest.raises(FramingError, match=r"1073741824 octets, the limit is 50"):
            reader.next_message()
        reader.feed(bytes(1000))
        assert reader.waiting_octets == 0


def test_messages_before_a_fault_are_handed_out() -> None:
    """A wrong flag after a good message does not cost the good one."""
    found, fault = read([frame(b"good") + b"\x02" + bytes(4)])
    assert found == [(b"good", False)]
    assert fault is FramingFault.BAD_FLAG


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        (b"", FramingFault.MISSING),
        (b"\0\0", FramingFault.TRUNCATED),
        (frame(b"half")[:-1], FramingFault.TRUNCATED),
        (frame(b"one") + frame(b"two"), FramingFault.SURPLUS),
        (b"\x07" + bytes(4), FramingFault.BAD_FLAG),
    ],
)
def test_unary_faults(body: bytes, fault: FramingFault) -> None:
    """Each way a body is not one message has its own fault."""
    with pytest.raises(FramingError) as info:
        read_unary(body, LIMIT)
    assert info.value.fault is fault


def test_waiting_octets_counts_what_is_held() -> None:
    """Octets count from their arrival until their message leaves."""
    reader = MessageReader(LIMIT)
    reader.feed(frame(b"whole") + frame(b"part")[:-1])
    assert reader.waiting_octets == 2 * PREFIX_OCTETS + 5 + 3
    assert reader.next_message() == (b"whole", False)
    assert reader.next_message() is None
    assert reader.waiting_octets == 3
    with pytest.raises(FramingError) as info:
        reader.finish()
    assert info.value.fault is FramingFault.TRUNCATED
    with pytest.raises(FramingError):
        reader.next_message()


def test_more_than_the_prefix_can_say_is_a_mistake_of_ours() -> None:
    """Four octets of length end at 4 GiB."""

    class Huge(bytes):
        def __len__(self) -> int:
            return 1 << 32

    with pytest.raises(OverflowError, match="4294967296"):
        frame(Huge())
