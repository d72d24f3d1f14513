"""How one blocked or busy hook changes the time of the others: ``python -m benchmarks.hook_isolation [CALLS]``.

A real plugin process over gRPC. Idle, blocked and busy take many short turns, so that the machine's moods meet them
alike, and the percentiles are those of all calls of a state. "blocked" is a ``def`` hook that waits for I/O in its
thread, "busy" one that computes in Python and so shares the interpreter's lock.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Iterable
from pathlib import Path

import anyio

from benchmarks.process import running_plugin
from benchmarks.table import Row, print_table
from mm_plugin._proto.services import hook_methods
from mm_plugin.transport.link import HostLink

TURNS = 40
BUNDLE = Path(__file__).parent / "isolation_plugin"
#: The hook that keeps a thread, for each state.
KEEPERS = {"idle": "", "blocked": "UserHasLoggedIn", "busy": "UserHasBeenCreated"}


async def ask(link: HostLink, name: str) -> None:
    await link.call_hook(name, hook_methods()[name].request())


async def measure(link: HostLink, calls: int) -> list[float]:
    """Return what one call after another took, in microseconds."""
    method = hook_methods()["MessageHasBeenPosted"]
    request = method.request(post={"message": "hello", "id": "8bmk5s1qzbyqtn6rpzx7t6wfhc"})
    took: list[float] = []
    for _ in range(calls):
        began = time.perf_counter()
        await link.call_hook(method.name, request)
        took.append((time.perf_counter() - began) * 1e6)
    return took


async def measure_beside(link: HostLink, keeper: str, calls: int) -> list[float]:
    """Measure while another hook keeps its thread."""
    async with anyio.create_task_group() as tasks:
        if keeper:
            tasks.start_soon(ask, link, keeper)
        await anyio.sleep(0.05)  # in every state alike: after a pause the first call is slower
        measured = await measure(link, calls)
        if keeper:
            await ask(link, "UserHasBeenDeactivated")
    return measured


async def collect(backend: str, states: Iterable[str], calls: int, turns: int = TURNS) -> dict[str, list[float]]:
    """Measure states on one plugin by turns; return what each of the ``calls`` in each state took."""
    took: dict[str, list[float]] = {state: [] for state in states}
    async with running_plugin(backend, bundle=BUNDLE) as plugin:
        await measure(plugin.link, calls // turns)  # warm
        for _ in range(turns):
            for state, measured in took.items():
                measured += await measure_beside(plugin.link, KEEPERS[state], calls // turns)
    return took


async def isolation(backend: str, calls: int = 3_000) -> list[Row]:
    """Measure all three states."""
    took = await collect(backend, KEEPERS, calls)
    rows: list[Row] = []
    percentiles = {state: statistics.quantiles(found, n=100) for state, found in took.items()}
    p99 = {state: found[98] for state, found in percentiles.items()}
    for state, found in percentiles.items():
        rows += [Row(f"{state}: p50", "us", found[49]), Row(f"{state}: p99", "us", found[98])]
    rows.append(Row("p99 blocked / idle", "x", p99["blocked"] / p99["idle"], "< 2"))
    rows.append(Row("p99 busy / idle", "x", p99["busy"] / p99["idle"], "reported"))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.hook_isolation", description=__doc__)
    parser.add_argument("calls", nargs="?", type=int, default=3_000, help="calls in each state")
    calls = parser.parse_args().calls
    print_table({name: anyio.run(isolation, name, calls, backend=name) for name in ("asyncio", "trio")})


if __name__ == "__main__":
    main()
