"""What the fuzzers check, in the ordinary tests: the kept corpus again, and what Hypothesis thinks of."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

from fuzz.targets import TARGETS

CORPUS = Path(__file__).parents[2] / "fuzz" / "corpus"
CASES = sorted(path for path in CORPUS.glob("*/*") if path.is_file())


def test_the_corpus_is_there() -> None:
    """Every target has kept cases, and no folder belongs to none."""
    assert {path.parent.name for path in CASES} == set(TARGETS)


@pytest.mark.parametrize("case", CASES, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_kept_cases(case: Path) -> None:
    """A case that once broke a rule, or that reaches deep, breaks none."""
    TARGETS[case.parent.name](case.read_bytes())


@pytest.mark.parametrize("name", TARGETS)
@given(data=st.data())
@settings(max_examples=150, deadline=None)
def test_any_octets(name: str, data: st.DataObject) -> None:
    """Whatever comes in, only declared faults come out and every bound holds."""
    TARGETS[name](data.draw(_SCRIPTS[name]))


_RECORDS = st.lists(
    st.builds(
        lambda kind, flags, stream, payload: bytes((kind, flags, stream, len(payload))) + payload,
        st.sampled_from([*range(11), 0x41, 0x49, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x8A, 0x8B]),
        st.sampled_from([0, 1, 4, 5, 8, 0x20, 0x2D, 0xFF]),
        st.sampled_from([0, 1, 2, 3, 5, 7, 255]),
        st.binary(max_size=20),
    ),
    max_size=30,
).map(b"".join)
_HTTP2 = st.builds(
    lambda choice, cut, rest: bytes((choice, cut)) + rest, st.integers(0, 7), st.integers(0, 9), _RECORDS
)
_SCRIPTS = {
    "http2_server": _HTTP2 | st.binary(max_size=200),
    "http2_client": _HTTP2 | st.binary(max_size=200),
    "header_blocks": st.lists(st.binary(max_size=40).map(lambda block: bytes((len(block),)) + block)).map(b"".join),
    "grpc_messages": st.builds(
        lambda head, messages: head + b"".join(messages),
        st.binary(min_size=2, max_size=2),
        st.lists(st.binary(max_size=30).map(lambda data: b"\0" + len(data).to_bytes(4) + data) | st.binary(max_size=9)),
    ),
    "grpc_fields": st.binary(max_size=100),
}
