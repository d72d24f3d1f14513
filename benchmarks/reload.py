"""How long from the save of a file to a plugin that runs again."""

from __future__ import annotations

import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

import anyio

from benchmarks.table import Row
from mm_plugin.devserver.reload import Reload, Reloader
from mm_plugin.devserver.server import open_devserver
from mm_plugin.devserver.watch import watch_bundle
from mm_plugin.host.options import HostOptions
from mm_plugin.host.running_plugin import RunningPlugin

EXAMPLE = Path(__file__).parent.parent / "examples" / "guard"
ROUNDS = 15


async def reload(backend: str) -> list[Row]:
    """Measure saves of the example in a development server that runs on the same backend."""
    environment = {"MM_PLUGIN_BACKEND": backend, "PYTHONDONTWRITEBYTECODE": ""}  # authors have bytecode
    options = HostOptions(interpreter=Path(sys.executable), environment=environment)
    times: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        bundle = Path(shutil.copytree(EXAMPLE, Path(folder) / "guard"))
        script = bundle / "plugin.py"
        ended, reloads = anyio.create_memory_object_stream[Reload](1)
        async with watch_bundle(bundle) as changes, open_devserver([bundle], options=options) as server:
            reloader = Reloader(server.app.plugins, bundle, changes, ended=ended.send, told=print)
            async with anyio.create_task_group() as tasks, ended, reloads:
                tasks.start_soon(reloader.run)
                for round_ in range(ROUNDS + 1):
                    begun = time.perf_counter()
                    script.write_text(f"{script.read_text()}\n# {round_}\n")
                    assert isinstance((await reloads.receive()).plugin, RunningPlugin)
                    if round_:  # the first one writes the bytecode
                        times.append((time.perf_counter() - begun) * 1000)
                tasks.cancel_scope.cancel()
    return [
        Row("from save to running again, median", "ms", statistics.median(times), "under 500 ms"),
        Row(f"from save to running again, slowest of {ROUNDS}", "ms", max(times)),
    ]
