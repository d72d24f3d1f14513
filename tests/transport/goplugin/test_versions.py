"""Version negotiation: the highest both know, else our lowest."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from mm_plugin.transport.goplugin.versions import negotiate_version

versions = st.sets(st.integers(0, 9), min_size=1)


@pytest.mark.parametrize(
    ("text", "ours", "agreed"),
    [
        ("1", [1], 1),
        ("1,2,3", [1, 2], 2),
        ("3 , 1", [1, 2, 3], 3),
        ("5", [2, 4], 2),
        ("", [2, 1], 1),
        ("x,,1", [1], 1),
    ],
)
def test_agreement(text: str, ours: list[int], agreed: int) -> None:
    """Lists in any order, with blanks and with rubbish."""
    assert negotiate_version({"PLUGIN_PROTOCOL_VERSIONS": text}, ours) == agreed


@given(versions, versions)
def test_always_one_of_ours(theirs: set[int], ours: set[int]) -> None:
    """The answer is ours, the best that both know where there is one."""
    agreed = negotiate_version({"PLUGIN_PROTOCOL_VERSIONS": ",".join(map(str, theirs))}, ours)
    assert agreed == (max(theirs & ours) if theirs & ours else min(ours))


@given(st.text(max_size=30))
def test_any_text_is_survived(text: str) -> None:
    """A strange variable never stops a start."""
    assert negotiate_version({"PLUGIN_PROTOCOL_VERSIONS": text}, [1, 2]) in {1, 2}


def test_no_variable() -> None:
    """Hosts without the variable get our lowest."""
    assert negotiate_version({}, [3, 2]) == 2
