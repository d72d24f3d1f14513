"""Octets into lines of bounded length."""

from itertools import pairwise

from hypothesis import given, strategies as st

from mm_plugin.host.lines import LineSplitter, without_middle


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


@given(st.text(st.sampled_from("ab\n"), min_size=40, max_size=400), st.integers(60, 200))
def test_the_middle_of_a_long_text_goes(text: str, limit: int) -> None:
    """What fits stays as it is; of the rest the first line and the last ones stay, and a line counts those between."""
    short = without_middle(text, limit)
    assert len(short) <= limit
    if len(text) <= limit:
        assert short == text
        return
    assert short[0] == text[0]
    assert short[-1] == text[-1]
    cut = [line for line in short.split("\n") if line.endswith("lines cut]")]
    for line in cut:
        kept = short.split("\n")
        place = kept.index(line)
        whole = text.split("\n")
        assert whole[:place] == kept[:place]
        assert whole[len(whole) - (len(kept) - place - 1) :] == kept[place + 1 :]
        assert int(line[1:].split()[0]) == len(whole) - len(kept) + 1


def test_a_long_headline_leaves_room_for_the_end() -> None:
    """Where the first line alone is too long its own middle goes, too, and the last line stays."""
    short = without_middle("a" * 500 + "\n" + "b" * 80 + "\nlast", 100)
    assert len(short) <= 100
    assert short.startswith("aaa")
    assert short.endswith("\nlast")
