"""gzip of single messages, with the limit on what comes out."""

from __future__ import annotations

import gzip

import pytest
from hypothesis import given, strategies as st

from mm_plugin.wire.grpc import FramingError, compress, decompress, takes_gzip


@given(st.binary(max_size=5_000))
def test_round_trip(message: bytes) -> None:
    """What is compressed comes back, from us and from another implementation, and theirs from us."""
    assert decompress(compress(message), len(message)) == message
    assert decompress(gzip.compress(message), len(message)) == message
    assert gzip.decompress(compress(message)) == message


@given(st.binary(max_size=500), st.integers(0, 1_000))
def test_whatever_comes(octets: bytes, limit: int) -> None:
    """Any octets give a message within the limit or a fault."""
    try:
        found = decompress(octets, limit)
    except FramingError:
        return
    assert len(found) <= limit


def test_limit() -> None:
    """The limit is for the message, not for what was sent."""
    packed = compress(bytes(1_000))
    assert decompress(packed, 1_000) == bytes(1_000)
    with pytest.raises(FramingError, match="limit is 999"):
        decompress(packed, 999)


@pytest.mark.parametrize(
    ("value", "expected"),
    [(None, False), (b"", False), (b"identity", False), (b"gzip", True), (b"identity, deflate ,gzip", True)],
)
def test_accepted(value: bytes | None, expected: bool) -> None:
    """A list of names with blanks."""
    assert takes_gzip(value) is expected
