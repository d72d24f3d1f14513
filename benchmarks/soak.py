"""The long runs, on both backends: ``python -m benchmarks.soak [PART …] [--calls N]``.

``chaos``    a plugin takes a million calls that end in every way
``channel``  our channel makes a million calls to a server that answers in every way
``gigabyte`` a gigabyte each way through ServeHTTP, at the plugin's socket and through the gateway, with flat memory
``waiting``  a minute without credit, at the server and at the channel
``hosts``    fifty plugins started at once, twenty killed, a thousand started and stopped; nothing may be left behind

Each runs in a process of its own, where warnings are errors. Exit code 1 where a rule was broken: a call hung, memory
grew by more than a twentieth once it was warm, a host missed a mark, something was said on standard error.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial

import anyio

from benchmarks.channel_chaos import channel_chaos
from benchmarks.chaos import Outcome, chaos
from benchmarks.gateway import gateway
from benchmarks.host import hosting
from benchmarks.servers import ROOT
from benchmarks.streaming import MEGABYTE, streaming
from benchmarks.table import Row, print_table
from benchmarks.waiting import waiting

BACKENDS = ("asyncio", "trio")
GROWTH = 0.05
OCTETS = 1_000 * MEGABYTE
GROWTH_MB = 16  # of a stream of any length, as in benchmarks/streaming.py


def _chaos(backend: str, calls: int) -> bool:
    return _told(anyio.run(partial(chaos, backend, calls=calls), backend=backend))


def _channel(backend: str, calls: int) -> bool:
    return _told(anyio.run(partial(channel_chaos, calls=calls), backend=backend))


def _told(outcome: Outcome) -> bool:
    print("none hung:", ", ".join(f"{how} {count:,}" for how, count in outcome.ends.most_common()))
    print(outcome.course)
    if outcome.said:
        print(f"it said:\n{outcome.said[:2_000]}")
    return outcome.course.growth <= GROWTH and not outcome.said


def _gigabyte(backend: str, _calls: int) -> bool:
    rows = [
        row
        for measure in (streaming, gateway)
        for row in anyio.run(partial(measure, octets=OCTETS), backend, backend=backend)
    ]
    print_table({backend: rows})
    return all(row.value < GROWTH_MB for row in rows if row.unit == "MB")


def _waiting(backend: str, _calls: int) -> bool:
    wrong = anyio.run(waiting, backend, backend=backend)
    print(wrong or "nothing lost, nothing spun")
    return not wrong


def _hosts(backend: str, _calls: int) -> bool:
    rows = anyio.run(hosting, backend, backend=backend)
    print_table({backend: rows})
    return all(map(holds, rows))


def holds(row: Row) -> bool:
    """Whether a measurement keeps its mark: ``under 30 s``, or an exact number; any does where there is none."""
    match row.mark.split():
        case ["under", most, *_]:
            return row.value < float(most)
        case [exactly]:
            return row.value == float(exactly)
        case _:
            return True


PARTS: dict[str, Callable[[str, int], bool]] = {
    "chaos": _chaos,
    "channel": _channel,
    "gigabyte": _gigabyte,
    "waiting": _waiting,
    "hosts": _hosts,
}


def _ran(part: str, backend: str, calls: int) -> bool:
    """Run a part in a process of its own; whether it held every rule."""
    print(f"\n{part}, {backend}", flush=True)
    begun = time.monotonic()
    command = [sys.executable, "-W", "error", "-m", "benchmarks.soak", part, "--inside", backend, "--calls", str(calls)]
    done = subprocess.run(command, cwd=ROOT, stderr=subprocess.PIPE, text=True, check=False)
    held = done.returncode == 0 and not done.stderr
    if done.stderr:
        print(f"on standard error:\n{done.stderr[-2_000:]}")
    print(f"{'held' if held else 'BROKEN'} after {time.monotonic() - begun:.0f} s", flush=True)
    return held


def main() -> None:
    """Run, and print what was measured; exit with 1 where a rule was broken."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.soak", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], help="all where absent")
    parser.add_argument("--calls", type=int, default=1_000_000, help="of chaos and channel, on each backend")
    parser.add_argument("--inside", choices=BACKENDS, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.inside:
        raise SystemExit(not all(PARTS[part](asked.inside, asked.calls) for part in asked.parts))
    broken = [
        f"{part} on {backend}"
        for part in asked.parts or PARTS
        for backend in BACKENDS
        if not _ran(part, backend, asked.calls)
    ]
    if broken:
        raise SystemExit(f"broken: {', '.join(broken)}")


if __name__ == "__main__":
    main()
