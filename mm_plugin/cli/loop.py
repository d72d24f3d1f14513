"""What every command that runs a loop has in common: the backend, the log, Ctrl-C, and how a failure is told.

Layer:  cli.
Output: exit codes: 0 after Ctrl-C, 1 where a plugin fails, 2 where something is wrong with what was asked for.
"""

from __future__ import annotations

import errno
import importlib.util
import logging
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, cast

import anyio
from anyio.abc import TaskStatus

from mm_plugin.cli.output import indented, with_code
from mm_plugin.exceptions import ConfigurationError, PluginStartError
from mm_plugin.host.faults import parse_faults
from mm_plugin.host.options import HostOptions
from mm_plugin.settings import BACKEND

if TYPE_CHECKING:
    from collections.abc import Sequence
    from io import TextIOWrapper

    from mm_plugin.types import Backend

__all__ = ("complain", "host_options", "run_until_signal")


def complain(text: str, *, code: int = 2) -> int:
    """Say on standard error what is wrong, and return the exit code."""
    sys.stderr.write(f"mm-plugin: {text}\n")
    return code


def host_options(
    backend: Backend,
    log_level: str,
    faults: Sequence[str] = (),
    *,
    install: bool = True,
    debugger: bool = False,
) -> HostOptions:
    """Return a host's options for plugins that this very Python runs where they bring none of their own.

    Args:
        backend: The plugins' event loop.
        log_level: Of the plugins.
        faults: Switches as they were given.
        install: Whether environments are made for plugins that ask for one, in a folder of the user's cache.
        debugger: Whether the plugins run under a debugger; it is looked for all the same.

    Raises:
        ConfigurationError: A fault is none.
    """
    return HostOptions(
        interpreter=Path(sys.executable),
        environments=_environments() if install else None,
        debugger=True if debugger else None,
        environment={BACKEND: backend},
        log_level=log_level.upper(),
        faults=parse_faults(faults) if faults else None,
    )


def _environments() -> Path | None:
    """Return the folder for environments in the user's cache; None for a user who has no home, as in containers."""
    given = os.environ.get("XDG_CACHE_HOME", "")
    try:
        home = Path.home() / ("Library/Caches" if sys.platform == "darwin" else ".cache")
    except RuntimeError:
        home = None
    cache = Path(given) if os.path.isabs(given) else home
    return None if cache is None else cache / "mm-plugin" / "environments"


def run_until_signal(work: Callable[[], Awaitable[int]], *, backend: Backend, log_level: str) -> int:
    """Run an async function that returns an exit code; Ctrl-C and SIGTERM cancel it, twice end the process.

    Args:
        work: The function; ConfigurationError and PluginStartError that it raises are told in one sentence.
        backend: The event loop.
        log_level: Of the log, which goes to standard error.

    Returns:
        The exit code; 0 after a signal.
    """
    if importlib.util.find_spec(backend) is None:
        return complain(f"--backend {backend}: install it with: pip install 'mm-plugin[{backend}]'")
    with suppress(AttributeError):  # some replacements of it cannot
        cast("TextIOWrapper", sys.stdout).reconfigure(errors="backslashreplace")  # names of files may be no text at all
    logging.basicConfig(level=log_level.upper(), format="%(levelname)-7s %(name)s: %(message)s")
    return anyio.run(_until_signal, work, backend=backend)


async def _until_signal(work: Callable[[], Awaitable[int]]) -> int:
    code = 0
    async with anyio.create_task_group() as tasks:
        with anyio.CancelScope() as scope:
            await tasks.start(_watch_signals, scope)
            try:
                code = await work()
            except ConfigurationError as error:
                code = complain(with_code(f"{error}{_port_hint(error)}", error))
            except PluginStartError as error:
                sys.stderr.write("".join(f"{line}\n" for line in indented(error)))
                code = complain(with_code(error.reason, error), code=1)
        tasks.cancel_scope.cancel()
    return code


def _port_hint(error: ConfigurationError) -> str:
    """Return what to do where the address to listen on cannot be used."""
    cause = error.__cause__
    if isinstance(cause, OSError) and cause.errno in {errno.EADDRINUSE, errno.EACCES}:
        return "; choose another one with --port, 0 takes a free one"
    return ""


async def _watch_signals(work: anyio.CancelScope, *, task_status: TaskStatus[None]) -> None:
    """Cancel the work at the first Ctrl-C or SIGTERM, and end the process where it stands at the second."""
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        task_status.started()
        async for _ in signals:
            if work.cancel_called:
                # The plugins' processes see that their host is gone, and end by themselves.
                os._exit(130)
            sys.stderr.write("\nstopping; once more to stop at once\n")
            work.cancel()
