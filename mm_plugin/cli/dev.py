"""``mm-plugin dev``: a plugin in a development server until Ctrl-C.

Job:    start the loop, open the server, print what to try, and end well.
Layer:  cli, over the devserver.
Output: standard output for people; logs and errors on standard error. Exit code 0 after Ctrl-C, 1 where the plugin
        does not start or the tour fails, 2 where something is wrong with what was asked for.
"""

from __future__ import annotations

import importlib.util
import logging
import os
import signal
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
from anyio.abc import TaskStatus

from mm_plugin.cli.hints import hints
from mm_plugin.cli.tour import PLUGIN_ID, run_tour
from mm_plugin.devserver.server import open_devserver
from mm_plugin.exceptions import ConfigurationError, PluginStartError
from mm_plugin.host.options import HostOptions
from mm_plugin.messages.manifest import load_manifest
from mm_plugin.settings import BACKEND

if TYPE_CHECKING:
    from mm_plugin.types import Backend

__all__ = ("DevOptions", "run_dev")


@dataclass(frozen=True, slots=True, kw_only=True)
class DevOptions:
    """What ``mm-plugin dev`` was asked for; see its ``--help``."""

    path: Path
    backend: Backend = "asyncio"
    host: str = "127.0.0.1"
    port: int = 8065
    state: Path | None = None
    tour: bool = False
    once: bool = False
    log_level: str = "info"


def run_dev(options: DevOptions) -> int:
    """Run the command and return its exit code."""
    if importlib.util.find_spec(options.backend) is None:
        return _complain(f"--backend {options.backend}: install it with: pip install 'mm-plugin[{options.backend}]'")
    logging.basicConfig(level=options.log_level.upper(), format="%(levelname)-7s %(name)s: %(message)s")
    return anyio.run(_until_signal, options, backend=options.backend)


async def _until_signal(options: DevOptions) -> int:
    code = 0
    async with anyio.create_task_group() as tasks:
        with anyio.CancelScope() as work:
            await tasks.start(_watch_signals, work)
            code = await _run(options)
        tasks.cancel_scope.cancel()
    return code


async def _watch_signals(work: anyio.CancelScope, *, task_status: TaskStatus[None]) -> None:
    """Cancel the work at the first Ctrl-C or SIGTERM, and end the process where it stands at the second."""
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        task_status.started()
        async for _ in signals:
            if work.cancel_called:
                # The plugin's process sees that its host is gone, and ends by itself.
                os._exit(130)
            sys.stderr.write("\nstopping; once more to stop at once\n")
            work.cancel()


async def _run(options: DevOptions) -> int:
    host_options = HostOptions(
        interpreter=Path(sys.executable), environment={BACKEND: options.backend}, log_level=options.log_level.upper()
    )
    try:
        manifest = load_manifest(options.path)
        if options.tour and manifest.id != PLUGIN_ID:
            return _complain(f"--tour shows {PLUGIN_ID} (examples/guard), but {options.path} holds {manifest.id}")
        server = open_devserver(
            [options.path], state=options.state, host=options.host, port=options.port, options=host_options
        )
        async with server as running:
            passed = not options.tour or await run_tour(running, partial(print, flush=True))
            if not options.once:
                print(await hints(running, manifest.id, options.backend), flush=True)
                await anyio.sleep_forever()
            return 0 if passed else 1
    except ConfigurationError as error:
        return _complain(str(error))
    except PluginStartError as error:
        return _complain(error.reason, code=1)  # what the plugin wrote has been logged line by line


def _complain(text: str, *, code: int = 2) -> int:
    sys.stderr.write(f"mm-plugin: {text}\n")
    return code
