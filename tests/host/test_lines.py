"""Octets into lines of bounded length."""

from itertools import pairwise

from hypothesis import given, strategies as st

from mm_plugin.host.lines import LineSplitter


def split(pieces: list[bytes], limit: int) -> list[bytes]:
    splitter = LineSplitter(limit)
    return [line for piece in pieces for line in splitter.feed(piece)] + splitter.end()


def test_lines() -> None:
    """Line ends of both kinds go, empty lines stay, and the last line needs no end."""
    assert split([b"one\ntwo\r\n\nthr", b"ee\n", b"last"], 10) == [b"one", b"two", b"", b"three", b"last"]
    assert split([b"one\n"], 10) == [b"one"]
    assert split([], 10) == []


def test_long_line() -> None:
    """A line over the limit comes in pieces, and its first one before its end is seen."""
    splitter = LineSplitter(4)
    assert splitter.feed(b"abcd") == []
    assert splitter.feed(b"e") == [b"abcd"]
    assert splitter.feed(b"fghijk\nx") == [b"efgh", b"ijk"]
    assert splitter.end() == [b"x"]
    assert splitter.end() == []


_octets = st.lists(st.sampled_from([b"a", b"b", b"\n", b"\r"]), max_size=30).map(b"".join)


@given(_octets, st.lists(st.integers(0, 30), max_size=5), st.integers(1, 6))
def test_any_split(data: bytes, cuts: list[int], limit: int) -> None:
    """Whole, octet by octet and any split give the same lines, none of them over the limit."""
    whole = split([data], limit)
    marks = [0, *sorted(cuts), len(data)]
    assert split([data[index : index + 1] for index in range(len(data))], limit) == whole
    assert split([data[start:end] for start, end in pairwise(marks)], limit) == whole
    assert all(len(line) <= limit for line in whole)
    assert b"".join(whole).replace(b"\r", b"") == data.replace(b"\n", b"").replace(b"\r", b"")
