"""Runs the comparison, prints it, and writes it to docs/reference/benchmarks.md with machine and versions.

``python -m benchmarks.page [--rounds N] [--seconds S] [--no-page]``
"""

from __future__ import annotations

import argparse
import datetime as dt
import os
import tempfile
from collections.abc import Iterable, Sequence
from importlib.util import find_spec
from pathlib import Path

from benchmarks.comparison import RIVAL, Samples, measure_clients, measure_servers
from benchmarks.go_peer import build_go_peer
from benchmarks.machine import machine, versions

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "benchmarks.md"
OURS = ("ours, asyncio", "ours, trio")
CHANNELS = ("our channel, asyncio", "our channel, trio")

_SERVER_COLUMNS = (
    ("1 in flight", "per_s", "calls/s, 1", "{:,.0f}"),
    ("100 in flight", "per_s", "calls/s, 100", "{:,.0f}"),
    ("1 in flight", "cpu_us", "CPU us/call, 1", "{:.0f}"),
    ("100 in flight", "cpu_us", "CPU us/call, 100", "{:.0f}"),
    ("1 in flight", "p50_us", "p50 us, 1", "{:.0f}"),
    ("1 in flight", "p99_us", "p99 us, 1", "{:.0f}"),
    ("100 in flight", "p50_us", "p50 us, 100", "{:,.0f}"),
    ("100 in flight", "p99_us", "p99 us, 100", "{:,.0f}"),
    ("upload", "mb_per_s", "upload MB/s", "{:.0f}"),
    ("download", "mb_per_s", "download MB/s", "{:.0f}"),
    ("process", "start_ms", "start ms", "{:.0f}"),
    ("process", "idle_mb", "idle MB", "{:.0f}"),
    ("process", "loaded_mb", "loaded MB", "{:.0f}"),
)
_CLIENT_COLUMNS = tuple(
    (load, quantity, f"{title}, {load.partition(' ')[0]}", form)
    for quantity, title, form in (
        ("per_s", "calls/s", "{:,.0f}"),
        ("cpu_us", "CPU us/call", "{:.0f}"),
        ("p50_us", "p50 us", "{:,.0f}"),
        ("p99_us", "p99 us", "{:,.0f}"),
    )
    for load in ("1 in flight", "100 in flight")
)
#: Load, quantity, what it is called, the least or most that it may be of the rival's.
_SERVER_MARKS = (
    ("1 in flight", "per_s", "calls/s with 1 in flight", ">=", 1.5),
    ("100 in flight", "per_s", "calls/s with 100 in flight", ">=", 3.0),
    ("100 in flight", "cpu_us", "CPU per call with 100 in flight", "<=", 0.35),
    ("upload", "mb_per_s", "64 KiB messages in", ">=", 1.0),
    ("download", "mb_per_s", "64 KiB messages out", ">=", 1.0),
)
_CLIENT_MARKS = tuple(
    (load, "per_s", f"client calls/s with {load}", ">=", 1.5) for load in ("1 in flight", "100 in flight")
)


def _table(names: Iterable[str], samples: Samples, columns: Sequence[tuple[str, str, str, str]]) -> list[str]:
    lines = ["| | " + " | ".join(title for _, _, title, _ in columns) + " |", "| --- |" + " ---: |" * len(columns)]
    for name in names:
        cells = (form.format(samples.median(name, load, quantity)) for load, quantity, _, form in columns)
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return lines


def _marks(
    names: Sequence[str], samples: Samples, marks: Sequence[tuple[str, str, str, str, float]]
) -> list[tuple[list[str], bool]]:
    lines: list[tuple[list[str], bool]] = []
    for load, quantity, title, relation, bound in marks:
        ratios = [samples.ratio(name, load, quantity) for name in names]
        held = all(ratio >= bound if relation == ">=" else ratio <= bound for ratio in ratios)
        cells = [title, *(f"{ratio:.2f}" for ratio in ratios), f"{relation} {bound}", "held" if held else "MISSED"]
        lines.append((cells, held))
    return lines


def compare(rounds: int, seconds: float) -> tuple[str, bool]:
    """Measure everything; return the page and whether all marks were held."""
    with tempfile.TemporaryDirectory() as folder:
        go_peer = build_go_peer(Path(folder))
        skipped = "" if isinstance(go_peer, Path) else f"grpc-go skipped: {go_peer}."
        if skipped:
            print(skipped)
        servers, at_servers = measure_servers(
            None if skipped else Path(go_peer), uvloop=find_spec("uvloop") is not None, rounds=rounds, seconds=seconds
        )
    clients, at_clients = measure_clients(rounds=rounds, seconds=seconds)
    judged = _marks(OURS, at_servers, _SERVER_MARKS) + _marks(CHANNELS, at_clients, _CLIENT_MARKS)
    lines = [
        "# Benchmarks",
        "",
        "Written by `make bench`; medians of alternating rounds in one run, one connection, loopback TCP.",
        "",
        f"- Machine: {machine()}; load average at the end {os.getloadavg()[0]:.1f}",
        f"- Versions: {versions()}{'' if skipped else ', grpc-go as in benchmarks/go/go.mod'}",
        f"- {rounds} rounds of {seconds} s each, {dt.datetime.now(tz=dt.UTC):%Y-%m-%d}",
        "- Load on servers: one blocking HTTP/2 client of ready frames in a process of its own, the same for all. It",
        "  costs about 5 us a call with 100 in flight, so it is not what is measured.",
        "",
        f"## Against {RIVAL}",
        "",
        "Medians of the ratios within each round.",
        "",
        "| ratio | asyncio | trio | mark | |",
        "| --- | ---: | ---: | --- | --- |",
        *("| " + " | ".join(cells) + " |" for cells, _ in judged),
        "",
        "## Servers",
        "",
        "Hook MessageHasBeenPosted with a post of 300 octets; ServeHTTP with 64 KiB chunks. Ours: the whole way of a",
        "hook in a plugin that `run_plugin` started. Others: a bare handler of the same messages. CPU counts all",
        "threads.",
        skipped,
        "",
        *_table(servers, at_servers, _SERVER_COLUMNS),
        "",
        "## Clients",
        "",
        "GetUser with a deadline, on a server of ready frames.",
        "",
        *_table(clients, at_clients, _CLIENT_COLUMNS),
        "",
    ]
    return "\n".join(lines).replace("\n\n\n", "\n\n"), all(held for _, held in judged)


def print_comparison(*, rounds: int, seconds: float, write: bool = True) -> None:
    """Measure, print the page, and write it."""
    page, held = compare(rounds, seconds)
    print(page)
    if write:
        PAGE.write_text(page)
    if not held:
        print("a mark was missed")


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.page", description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--no-page", action="store_true", help="print only")
    options = parser.parse_args()
    print_comparison(rounds=options.rounds, seconds=options.seconds, write=not options.no_page)


if __name__ == "__main__":
    main()
