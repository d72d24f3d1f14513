"""What a host must hold with many plugins: starting them at once, noticing deaths, leaving nothing behind."""

from __future__ import annotations

import json
import logging
import os
import shutil
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio

from benchmarks.table import Row
from mm_plugin.host.api_receiver import HandlerAPI
from mm_plugin.host.host import Host, open_host
from mm_plugin.host.options import HostOptions
from mm_plugin.host.state import PluginState
from mm_plugin.host.supervision import SupervisionRules

PLUGINS = 50
DEATHS = 20
CYCLES = 1_000
AT_ONCE = 4
CODE = "from mm_plugin import Plugin, run_plugin\n\n\nclass P(Plugin):\n    pass\n\n\nrun_plugin(P)\n"


async def hosting(backend: str, *, plugins: int = PLUGINS, deaths: int = DEATHS, cycles: int = CYCLES) -> list[Row]:
    """Measure the three marks."""
    log = logging.getLogger("mm_plugin")
    level = log.level
    log.setLevel(logging.CRITICAL)  # the deaths are on purpose
    folder = Path(tempfile.mkdtemp(prefix="host-benchmark-"))
    try:
        return [
            *await _many(backend, folder, plugins),
            *await _deaths(backend, folder, deaths),
            *await _cycles(backend, folder, cycles),
        ]
    finally:
        log.setLevel(level)
        shutil.rmtree(folder)


async def _many(backend: str, folder: Path, count: int) -> list[Row]:
    bundles = [_bundle(folder, f"many{number}") for number in range(count)]
    async with _host(backend, start_timeout_s=30) as host:
        begun = time.perf_counter()
        plugins = await host.start_all(bundles)
        started_s = time.perf_counter() - begun
        assert all(plugin.state is PluginState.RUNNING for plugin in plugins), host.reports()
        begun = time.perf_counter()
        await host.stop_all()
        stopped_s = time.perf_counter() - begun
    return [
        Row(f"{count} plugins started at once", "s", started_s, "under 30 s"),
        Row(f"{count} plugins stopped at once", "s", stopped_s),
    ]


async def _deaths(backend: str, folder: Path, count: int) -> list[Row]:
    noticed_s: list[float] = []
    async with _host(backend) as host:
        for _ in range(count):
            plugin = await host.start(_bundle(folder, "dying"))
            assert plugin.pid is not None
            begun = time.perf_counter()
            os.kill(plugin.pid, signal.SIGKILL)
            while plugin.state is PluginState.RUNNING:
                await plugin.wait_change()
            noticed_s.append(time.perf_counter() - begun)
            await plugin.wait_over()
    return [
        Row(f"SIGKILL noticed, median of {count}", "ms", statistics.median(noticed_s) * 1000, "under 100 ms"),
        Row(f"SIGKILL noticed, longest of {count}", "ms", max(noticed_s) * 1000, "under 100 ms"),
    ]


async def _cycles(backend: str, folder: Path, count: int) -> list[Row]:
    tempfile.tempdir = str(folder / "t")
    os.mkdir(tempfile.tempdir)
    before = _left()
    async with _host(backend, api_unix_socket=True) as host:

        async def live(name: str) -> None:
            bundle = _bundle(folder, name)
            for _ in range(count // AT_ONCE):
                await host.start(bundle)
                await host.stop(name)

        async with anyio.create_task_group() as tasks:
            for number in range(AT_ONCE):
                tasks.start_soon(live, f"cycle{number}")
    after = _left()
    tempfile.tempdir = None
    return [Row(f"{what} left by {count} lives", "", len(after[what] - before[what]), "0") for what in sorted(before)]


def _left() -> dict[str, set[str]]:
    """Return what a host could leave behind: children, open files, and files and sockets in the temporary folder."""
    descriptors: set[str] = set()
    for number in os.listdir("/proc/self/fd"):
        try:
            descriptors.add(f"{number} {os.readlink(f'/proc/self/fd/{number}')}")
        except FileNotFoundError:
            pass  # the listing's own
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    files = set(os.listdir(tempfile.gettempdir()))
    return {"processes": set(children), "file descriptors": descriptors, "temporary files": files}


@asynccontextmanager
async def _host(backend: str, start_timeout_s: float = 10, *, api_unix_socket: bool = False) -> AsyncGenerator[Host]:
    options = HostOptions(
        interpreter=Path(sys.executable),
        environment={"MM_PLUGIN_BACKEND": backend, "PYTHONPATH": str(Path(__file__).parents[1])},
        log_level="WARN",
        start_timeout_s=start_timeout_s,
        api_unix_socket=api_unix_socket,
        supervision=SupervisionRules(failures=1),
    )
    async with open_host(lambda _: HandlerAPI(object()), options=options) as host:
        yield host


def _bundle(folder: Path, plugin_id: str) -> Path:
    bundle = folder / plugin_id
    bundle.mkdir(exist_ok=True)
    manifest = {"id": plugin_id, "name": plugin_id, "server": {"executable": "plugin.py"}}
    (bundle / "plugin.json").write_text(json.dumps(manifest))
    (bundle / "plugin.py").write_text(CODE)
    return bundle
