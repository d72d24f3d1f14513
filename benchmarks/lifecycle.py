"""How fast a plugin starts and stops."""

from __future__ import annotations

import statistics
import time

import anyio

from benchmarks.process import running_plugin
from benchmarks.table import Row
from mm_plugin.transport.link import RequestHead

ROUNDS = 9


async def lifecycle(backend: str) -> list[Row]:
    """Measure start to handshake, idle stop, and stop with a hanging HTTP stream; medians."""
    starts, idle, hanging = [], [], []
    for round_ in range(ROUNDS + 1):
        async with running_plugin(backend) as plugin:
            if round_:  # the first one writes the bytecode
                starts.append(plugin.handshake_s)
            idle.append(await _stop(plugin))
    for _ in range(ROUNDS):
        async with running_plugin(backend) as plugin, plugin.link.open_http(RequestHead(method="GET", url="/")) as call:
            await call.finish()
            await call.receive_head()
            hanging.append(await _stop(plugin))
    return [
        Row("start to handshake", "ms", _median_ms(starts), "under 300 ms, Trio 350 ms"),
        Row("idle stop after Shutdown, exit 0", "ms", _median_ms(idle), "under 200 ms"),
        Row("stop with an HTTP stream hanging open", "ms", _median_ms(hanging), "under 1000 ms"),
    ]


async def _stop(plugin: object) -> float:
    from benchmarks.process import Running

    assert isinstance(plugin, Running)
    begun = time.perf_counter()
    await plugin.link.ask_stop()
    with anyio.fail_after(10):
        await plugin.process.wait_exited()
    taken = time.perf_counter() - begun
    assert plugin.process.returncode == 0, plugin.process.describe_exit()
    return taken


def _median_ms(values: list[float]) -> float:
    return statistics.median(values) * 1000
