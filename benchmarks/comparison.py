"""Our server and our client beside the others: alternating rounds in one run, one connection each.

Servers run the hook MessageHasBeenPosted with a post of 300 octets, and ServeHTTP with chunks of 64 KiB; ours the whole
way (decode, dispatch, scope, interceptors, handler, encode) in a process that ``run_plugin`` started, the others a bare
handler of the same messages. One blocking client of ready frames (``raw_http2``) loads all of them. Clients call
GetUser on one server of ready frames (``canned_server``).
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from benchmarks.caller import CLIENTS
from benchmarks.servers import ROOT, Server, commands, running_server

#: What is put on a server: kind and amount.
LOADS = {
    "1 in flight": ("unary", "1"),
    "100 in flight": ("unary", "100"),
    "upload": ("upload", "1600"),
    "download": ("download", "1600"),
}
RIVAL = "grpc.aio"


class Samples:
    """What was measured, round by round, of each contestant under each load."""

    def __init__(self) -> None:
        self._values: dict[tuple[str, str, str], list[float]] = defaultdict(list)

    def add(self, name: str, load: str, found: Mapping[str, float]) -> None:
        """Take what one round found."""
        for quantity, value in found.items():
            self._values[name, load, quantity].append(value)

    def median(self, name: str, load: str, quantity: str) -> float:
        """Return the median over the rounds; NaN where nothing was measured."""
        values = self._values.get((name, load, quantity))
        return statistics.median(values) if values else float("nan")

    def ratio(self, name: str, load: str, quantity: str) -> float:
        """Return the median of the rounds' ratios to the rival: a slow minute of the machine counts for both."""
        ours, theirs = self._values[name, load, quantity], self._values[RIVAL, load, quantity]
        return statistics.median(a / b for a, b in zip(ours, theirs, strict=True))


def measure_servers(go_peer: Path | None, *, uvloop: bool, rounds: int, seconds: float) -> tuple[list[str], Samples]:
    """Measure all servers; return their names and what was found."""
    samples = Samples()
    known = commands(go_peer, uvloop=uvloop)
    for round_ in range(max(rounds // 2, 3) + 1):
        for name, (command, environment) in known.items():
            with running_server(command, environment) as server:
                if round_:  # the first one writes the bytecode
                    samples.add(name, "process", {"start_ms": server.start_s * 1000})
    with ExitStack() as running:
        servers = {name: running.enter_context(running_server(*known[name])) for name in known}
        for name, server in servers.items():
            samples.add(name, "process", {"idle_mb": server.memory_mb()})
        for load, (kind, amount) in LOADS.items():
            loads = {name: partial(_put_load, server, kind, amount, seconds) for name, server in servers.items()}
            _alternate(loads, load, samples, rounds)
        for name, server in servers.items():
            samples.add(name, "process", {"loaded_mb": server.memory_mb()})
    return list(known), samples


def measure_clients(*, rounds: int, seconds: float) -> tuple[list[str], Samples]:
    """Measure all clients on one server; return their names and what was found."""
    samples = Samples()
    with running_server([sys.executable, "-m", "benchmarks.canned_server"], {}) as server:
        for load in ("1 in flight", "100 in flight"):
            in_flight = load.partition(" ")[0]
            calls = {name: partial(_run, "caller", name, server.address, in_flight, seconds) for name in CLIENTS}
            _alternate(calls, load, samples, rounds)
    return list(CLIENTS), samples


def _alternate(
    contestants: Mapping[str, Callable[[], Mapping[str, float]]], load: str, samples: Samples, rounds: int
) -> None:
    for round_ in range(rounds):
        # Forwards and backwards, so that a machine that gets slower favours nobody.
        for name in list(contestants)[:: 1 if round_ % 2 == 0 else -1]:
            samples.add(name, load, contestants[name]())


def _put_load(server: Server, kind: str, amount: str, seconds: float) -> Mapping[str, float]:
    return _run("load", server.address, server.pid, kind, amount, seconds)


def _run(module: str, *arguments: object) -> Mapping[str, float]:
    command = [sys.executable, "-m", f"benchmarks.{module}", *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stderr}")
    result: dict[str, float] = json.loads(done.stdout)
    return result
