"""Framing: whole equals byte-wise equals any split, and only declared faults come out."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import given, strategies as st

from mm_plugin.exceptions import StatusCode
from mm_plugin.limits import socket_read_octets
from mm_plugin.wire.grpc.framing import (
    PREFIX_OCTETS,
    FramingError,
    FramingFault,
    Message,
    MessageReader,
    frame,
    prefix,
    whole_message,
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


def read_slowly(body: bytes) -> tuple[list[Message], FramingFault | None]:
    """Read all messages of a body octet by octet, which no quick way fits."""
    return read([body[at : at + 1] for at in range(len(body))])


def body_of(sent: list[Message]) -> bytes:
    return b"".join(frame(data, compressed=compressed) for data, compressed in sent)


def split(body: bytes, cuts: list[int]) -> list[bytes]:
    edges = [0, *sorted(cut % (len(body) + 1) for cut in cuts), len(body)]
    return [body[start:end] for start, end in pairwise(edges)]


@given(messages, st.lists(st.integers(0, 1000), max_size=10))
def test_any_split_gives_the_messages_back(sent: list[Message], cuts: list[int]) -> None:
    """What was framed is read again, wherever the body is cut."""
    body = body_of(sent)
    assert read(split(body, cuts)) == (sent, None)


@given(st.binary(max_size=80), st.lists(st.integers(0, 1000), max_size=10))
def test_any_octets_read_alike_in_any_split(body: bytes, cuts: list[int]) -> None:
    """Whole, byte by byte and in pieces: the same messages and the same fault, never another exception."""
    whole = read([body])
    assert read_slowly(body) == whole
    assert read(split(body, cuts)) == whole


@given(st.binary(max_size=80) | messages.map(body_of), st.lists(st.integers(0, 1000), max_size=10), st.data())
def test_views_read_like_copies(body: bytes, cuts: list[int], data: st.DataObject) -> None:
    """Pieces may be views of something larger, small parts of it or large ones, taken at once or later."""
    reader = MessageReader(LIMIT)
    found: list[Message] = []
    fault = None
    try:
        for piece in split(body, cuts):
            before, after = data.draw(st.sampled_from([(0, 0), (3, 0), (0, 40), (100, 9)]))
            whole = bytes(before) + piece + bytes(after)
            reader.feed(data.draw(st.sampled_from([bytes, bytearray]))(whole), before, before + len(piece))
            while data.draw(st.booleans()) and (message := reader.next_message()) is not None:
                found.append(message)
        while (message := reader.next_message()) is not None:
            found.append(message)
        reader.finish()
    except FramingError as error:
        fault = error.fault
    assert (found, fault) == read([body])


def held_by(readers: list[MessageReader], octets: Callable[[int], bytes], size: int) -> int:
    """Return the octets that readers keep alive when each is given the beginning of something."""
    gc.collect()
    tracemalloc.start()
    try:
        for number, reader in enumerate(readers):
            reader.feed(octets(number), 0, size)
            if reader.waiting_octets < 1_000:  # a taker who finds nothing whole
                assert reader.next_message() is None
        return tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("octets", [1, 600, 4_096, 13_000, 13_200, 16_384, 65_536])
def test_small_views_keep_nothing_large_alive(octets: int) -> None:
    """What readers hold of reads that were mostly for others stays within five times what they were given."""
    readers = [MessageReader(1 << 20) for _ in range(50)]
    for reader in readers:
        reader.feed(prefix(bytes(1 << 20)))
        assert reader.next_message() is None
    held = held_by(readers, lambda _: bytes(socket_read_octets), octets)
    assert held < 50 * (5 * octets + 600)


def test_the_rest_of_a_view_keeps_nothing_large_alive() -> None:
    """When the messages of a view have been taken, the beginning of the next one does not keep the view."""
    reader = MessageReader(LIMIT)
    read = frame(bytes(LIMIT)) * 1_000 + frame(b"next")[:-1]
    tracemalloc.start()
    try:
        reader.feed(bytearray(read))
        while reader.next_message() is not None:
            pass
        assert tracemalloc.get_traced_memory()[0] < 2_000
    finally:
        tracemalloc.stop()
    reader.feed(b"t")
    assert reader.next_message() == (b"next", False)


def test_tiny_messages_of_a_view_are_not_all_made_at_once() -> None:
    """A view full of empty messages that nobody takes costs its octets, not an object for each."""
    readers = [MessageReader(LIMIT) for _ in range(10)]
    held = held_by(readers, lambda _: frame(b"") * 2_000 + bytes(socket_read_octets), 10_000)
    assert held < 10 * 20_000
    for reader in readers:
        for _ in range(2_000):
            assert reader.next_message() == (b"", False)
        assert reader.next_message() is None


@given(st.binary(max_size=80) | messages.map(body_of))
def test_the_quick_way_agrees_with_the_reader(body: bytes) -> None:
    """The quick way finds a message where the reader finds that alone, plain; wherever the piece lies."""
    found, fault = read_slowly(body)
    alone = found[0].data if len(found) == 1 and fault is None and not found[0].compressed else None
    assert whole_message(body, 0, len(body), LIMIT) == alone
    assert whole_message(bytearray(b"<<" + body + b">"), 2, 2 + len(body), LIMIT) == alone
    assert read([body]) == (found, fault)


@pytest.mark.parametrize(("length", "fault"), [(LIMIT - 1, None), (LIMIT, None), (LIMIT + 1, FramingFault.TOO_LARGE)])
def test_limit_is_exact(length: int, fault: FramingFault | None) -> None:
    """A message of exactly the limit is taken, one octet more is not."""
    body = frame(bytes(length))
    assert read([body])[1] is fault
    assert whole_message(body, 0, len(body), LIMIT) == (None if fault else bytes(length))
    if fault is not None:
        assert fault.code is StatusCode.RESOURCE_EXHAUSTED


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
