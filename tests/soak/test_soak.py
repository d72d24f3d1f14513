"""Short runs of what ``make soak`` does for a million calls."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from benchmarks.channel_chaos import channel_chaos
from benchmarks.chaos import chaos
from benchmarks.host import hosting
from benchmarks.memory import Course
from benchmarks.soak import PARTS, holds
from benchmarks.table import Row
from benchmarks.waiting import channel_waits, server_waits

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc"),
    pytest.mark.timeout(180),
]
CALLS = 5_000


async def test_calls_that_end_in_every_way(anyio_backend: str) -> None:
    """No call hangs whichever way it ends; the plugin says nothing and lives on, and its memory levels out."""
    outcome = await chaos(anyio_backend, calls=CALLS)
    assert outcome.said == ""
    assert sum(outcome.ends.values()) == CALLS
    assert min(outcome.ends[way] for way in ("answered", "cancelled", "DEADLINE", "HTTP")) > 100
    first, last = outcome.course.ends
    assert last - first < 10, "so few calls leave some growth to come"


async def test_servers_that_answer_in_every_way() -> None:
    """No call of our channel hangs and no stream is left, whatever becomes of the server's connections and answers."""
    outcome = await channel_chaos(calls=CALLS)
    assert outcome.said == ""
    assert sum(outcome.ends.values()) == CALLS
    assert min(outcome.ends[way] for way in ("answered", "cancelled", "DEADLINE", "LOST", "STATUS", "stream")) > 20
    first, last = outcome.course.ends
    assert last - first < 10


def test_waits_without_credit_at_the_server(anyio_backend: str) -> None:
    """A window of 0 holds an answer back as long as it stands; nothing is lost and nothing spins."""
    assert server_waits(anyio_backend, 1.0) == ""


async def test_waits_without_credit_at_the_channel() -> None:
    """The same for a request of ours."""
    assert await channel_waits(1.0) == ""


async def test_many_plugins(anyio_backend: str) -> None:
    """Plugins start at once, deaths are noticed, and lives leave nothing behind; `make soak` has this, too."""
    level = logging.getLogger("mm_plugin").level
    rows = await hosting(anyio_backend, plugins=3, deaths=2, cycles=8)
    assert logging.getLogger("mm_plugin").level == level, "other tests look at the log"
    left = [row for row in rows if "left by" in row.what]
    assert len(left) == 3
    assert [row for row in left if not holds(row)] == []
    assert "hosts" in PARTS


@pytest.mark.parametrize(
    ("value", "mark", "held"), [(29.9, "under 30 s", True), (30, "under 30 s", False), (0, "0", True), (1, "0", False)]
)
def test_marks(value: float, mark: str, held: bool) -> None:
    """A soak fails where a mark is missed."""
    assert holds(Row("", "", value, mark)) is held


def test_growth_is_that_of_the_warm_part() -> None:
    """What comes before a process is warm does not count; a slope after it does, whatever single samples say."""
    flat = Course(100)
    leak = Course(100)
    for done in range(5, 101, 5):
        noise = 0.5 if done % 10 else -0.5
        flat.note(done, (20 if done < 25 else 40) + noise)
        leak.note(done, 40 + done * 0.1 + noise)
    assert abs(flat.growth) < 0.01
    assert 0.15 < leak.growth < 0.2


def test_parts_can_be_chosen() -> None:
    """Each part runs by its name on both backends, and says whether the rules were held."""
    command = [sys.executable, "-m", "benchmarks.soak", "channel", "--calls", "400"]
    done = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False)
    ends = Counter(line.split()[0] for line in done.stdout.splitlines() if line)
    assert ends["channel,"] == 2, done.stdout + done.stderr
    assert ends["held"] + ends["BROKEN"] == 2
