"""The long runs, on both backends: a million calls that end in every way, and a gigabyte each way with flat memory.

``python -m benchmarks.soak [--calls N]``
"""

from __future__ import annotations

import argparse
import time
from functools import partial

import anyio

from benchmarks.chaos import chaos
from benchmarks.streaming import MEGABYTE, streaming
from benchmarks.table import print_table

BACKENDS = ("asyncio", "trio")
GROWTH = 0.05


def main() -> None:
    """Run, and print what was measured; exit with 1 where a rule was broken."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__)
    parser.add_argument("--calls", type=int, default=1_000_000, help="on each backend")
    calls = parser.parse_args().calls
    broken = [backend for backend in BACKENDS if not _soaked(backend, calls)]
    run = partial(streaming, octets=1_000 * MEGABYTE)
    print_table({backend: anyio.run(run, backend, backend=backend) for backend in BACKENDS})
    if broken:
        raise SystemExit(f"broken on {', '.join(broken)}")


def _soaked(backend: str, calls: int) -> bool:
    begun = time.monotonic()
    outcome = anyio.run(partial(chaos, backend, calls=calls), backend=backend)
    ends = ", ".join(f"{how} {count:,}" for how, count in outcome.ends.most_common())
    print(f"{backend}: {calls:,} calls in {time.monotonic() - begun:.0f} s, none hung: {ends}")
    print(f"{backend}: memory {outcome.before_mb:.1f} to {outcome.after_mb:.1f} MB ({outcome.growth:+.1%})")
    if outcome.said:
        print(f"{backend}: the plugin said\n{outcome.said[:2_000]}")
    return outcome.growth <= GROWTH and not outcome.said


if __name__ == "__main__":
    main()
