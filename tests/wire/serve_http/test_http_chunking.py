"""Chunks of a body: bounded, in order, whole."""

import pytest
from hypothesis import example, given, strategies as st

from mm_plugin import limits
from mm_plugin.wire.serve_http.chunking import cut


@given(data=st.binary(max_size=300), limit=st.integers(1, 64), kind=st.sampled_from([bytes, bytearray, memoryview]))
@example(data=b"", limit=1, kind=bytes)
@example(data=b"x" * 64, limit=64, kind=bytes)
@example(data=b"x" * 65, limit=64, kind=memoryview)
def test_chunks_are_bounded_and_whole(data: bytes, limit: int, kind: type[bytes | bytearray | memoryview]) -> None:
    """Every chunk has 1 to limit octets, and together they are the input."""
    chunks = list(cut(kind(data), limit))
    assert all(1 <= len(chunk) <= limit for chunk in chunks)
    assert {type(chunk) for chunk in chunks} <= {bytes}
    assert b"".join(chunks) == data
    assert all(len(chunk) == limit for chunk in chunks[:-1])


def test_octets_that_fit_are_not_copied() -> None:
    """A body piece of the usual size costs no copy."""
    data = bytes(limits.http_chunk_octets)
    assert next(cut(data)) is data


@pytest.mark.parametrize(("extra", "sizes"), [(0, [65_536]), (1, [65_536, 1])])
def test_the_default_limit_is_that_of_the_contract(extra: int, sizes: list[int]) -> None:
    """Without a limit the chunks are those of ServeHTTP: 64 KiB."""
    assert [len(chunk) for chunk in cut(bytes(65_536 + extra))] == sizes
