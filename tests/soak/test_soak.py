"""A short run of what ``make soak`` does for a million calls."""

from __future__ import annotations

import sys

import pytest

from benchmarks.chaos import chaos


@pytest.mark.skipif(sys.platform != "linux", reason="the plugin's memory is read from /proc")
@pytest.mark.timeout(180)
async def test_calls_that_end_in_every_way(anyio_backend: str) -> None:
    """No call hangs whichever way it ends, the plugin says nothing, lives on and holds no more than before."""
    outcome = await chaos(anyio_backend, calls=5_000)
    assert outcome.said == ""
    assert sum(outcome.ends.values()) == 5_000
    assert min(outcome.ends[way] for way in ("answered", "cancelled", "DEADLINE", "HTTP")) > 100
    assert outcome.after_mb - outcome.before_mb < 10, "a warm-up of 500 calls leaves some growth to come"
