"""grpc-timeout: all six units, and nothing else."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, strategies as st

from mm_plugin.exceptions import RemoteProtocolError
from mm_plugin.wire.grpc.timeout import format_timeout, parse_timeout


@pytest.mark.parametrize(
    ("text", "seconds"),
    [(b"2H", 7200), (b"3M", 180), (b"4S", 4), (b"5m", 0.005), (b"6u", 6e-6), (b"7n", 7e-9), (b"99999999S", 99999999)],
)
def test_every_unit_is_read(text: bytes, seconds: float) -> None:
    """Each unit of the specification has its length."""
    assert parse_timeout(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", [b"", b"S", b"1", b"123456789S", b"-1S", b"+1S", b"1.5S", b" 1S", b"1s", b"1_0S"])
def test_wrong_texts_are_refused(text: bytes) -> None:
    """Nine digits, signs, missing or unknown units are faults of the peer."""
    with pytest.raises(RemoteProtocolError, match="grpc-timeout"):
        parse_timeout(text)


@given(st.floats(min_value=1e-9, max_value=99_999_999 * 3_600))
def test_what_is_written_reads_as_no_less(seconds: float) -> None:
    """The text never shortens a time, and lengthens it by less than a thousandth or a nanosecond."""
    text = format_timeout(seconds)
    assert len(text) <= 9
    assert seconds * (1 - 1e-9) <= parse_timeout(text) <= seconds * 1.001 + 1e-9


@given(st.binary(max_size=12))
def test_any_octets_give_seconds_or_the_declared_error(text: bytes) -> None:
    """Nothing a peer sends raises anything else."""
    try:
        seconds = parse_timeout(text)
    except RemoteProtocolError:
        return
    assert 0 <= seconds < math.inf


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, b"0n"), (-1, b"0n"), (1e-12, b"1n"), (30, b"30000000u"), (math.inf, b"99999999H"), (100, b"100000m")],
)
def test_the_finest_unit_that_fits_is_written(seconds: float, text: bytes) -> None:
    """Over is 0n, endless is the longest there is."""
    assert format_timeout(seconds) == text


def test_no_number_is_a_mistake_of_ours() -> None:
    """NaN has no text."""
    with pytest.raises(ValueError, match="NaN"):
        format_timeout(math.nan)
