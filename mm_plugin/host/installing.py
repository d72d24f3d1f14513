"""Make the virtual environment that a plugin asks for and does not bring, in a cache outside its bundle.

Job:    one environment for each content of a requirements file: ``python -m venv``, then pip, once.
Layer:  host. Used only where whoever runs the host gave a folder for it; a server gives none.
Input:  the requirements file; pip runs in the bundle's folder, so that paths in it are relative to the bundle.
Output: the environment's interpreter; what venv and pip say, in the log as they say it.
Errors: PluginStartError with their last lines. What is half made is made anew the next time.
See:    docs/decisions/0010-the-authors-host-installs.md
"""

from __future__ import annotations

import fcntl
import hashlib
import logging
import os
import re
import shutil
import signal
import subprocess
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import anyio

from mm_plugin import limits
from mm_plugin.exceptions import ConfigurationError, PluginStartError
from mm_plugin.host.find import machine_interpreter, requirements_to_install
from mm_plugin.host.lines import LineSplitter
from mm_plugin.host.python_version import check_python_version

if TYPE_CHECKING:
    from mm_plugin.host.life import ProcessGuard
    from mm_plugin.host.options import HostOptions
    from mm_plugin.messages.manifest import Manifest

__all__ = ("installed_interpreter", "requirements_digest")

_DONE = "installed"
_NO_PYTHON = "The plugin has no Python to run with"
_INCLUDED = re.compile(r"^\s*(?:-r|-c|--requirement|--constraint)[\s=]*([^\s#]+)", re.MULTILINE)


async def installed_interpreter(
    bundle: Path,
    manifest: Manifest,
    options: HostOptions,
    *,
    guard: ProcessGuard | None,
    begin: Callable[[str], None],
    wait_stop: Callable[[], Awaitable[None]],
) -> Path | None:
    """Return the interpreter of the environment that a plugin asks for and does not bring.

    Args:
        bundle: The plugin's folder, absolute.
        manifest: What it says about itself.
        options: Where environments are kept, and the Python to make them with.
        guard: Ends pip should the host be killed.
        begin: Called with the file's name before anything is made.
        wait_stop: Returns when the plugin is to stop, which ends venv and pip with all they started.

    Returns:
        None where the plugin asks for none, this host makes none, or the plugin is to stop.

    Raises:
        PluginStartError: It cannot be made; the text says at which step, ``stderr`` why.
        ConfigurationError: There is no Python, or one that the manifest does not want, or the manifest names what is
            not there.
    """
    folder = options.environments
    requirements = None if folder is None else requirements_to_install(bundle, manifest)
    if folder is None or requirements is None:
        return None
    base = machine_interpreter(bundle, options.interpreter)
    found: Path | Exception | None = None
    async with anyio.create_task_group() as tasks:

        async def cancel_at_stop() -> None:
            await wait_stop()
            tasks.cancel_scope.cancel()

        tasks.start_soon(cancel_at_stop)
        try:
            if manifest.server is not None:  # before minutes are spent on an environment that will not do
                await check_python_version(bundle, base, manifest.server.python_version)
            environment = folder / f"{manifest.id}-{requirements_digest(base, bundle, requirements)}"
            runner = _Runner(manifest.id, bundle, guard)
            found = await _make(environment, base, requirements, runner, begin)
        except (PluginStartError, ConfigurationError) as error:
            found = error  # raised below, where no group can wrap it
        except OSError as error:
            found = PluginStartError(f"{_NO_PYTHON}: nothing can be kept in {folder}: {error}")
        tasks.cancel_scope.cancel()
    if isinstance(found, Exception):
        raise found
    return found


async def _make(
    environment: Path, base: Path, requirements: Path, runner: _Runner, begin: Callable[[str], None]
) -> Path:
    """Make an environment unless it is there, and return its interpreter."""
    interpreter, done = environment / "bin" / "python", environment / _DONE
    async with _lock(environment, lambda: begin(requirements.name)):
        if done.exists() and os.access(interpreter, os.X_OK):
            return interpreter
        begin(requirements.name)
        await anyio.to_thread.run_sync(lambda: shutil.rmtree(environment, ignore_errors=True))
        await runner.run("its virtual environment cannot be made", base, "-m", "venv", str(environment))
        install = ("-m", "pip", "install", "--disable-pip-version-check", "--no-input", "-r", str(requirements))
        await runner.run(f"{requirements.name} cannot be installed", interpreter, *install)
        done.touch()
    return interpreter


def requirements_digest(base: Path, bundle: Path, requirements: Path) -> str:
    """Return what names the environment for a requirements file; files that it includes count too."""
    # What a link leads to counts too: after an upgrade of the machine's Python the old packages are of no use.
    paths = (os.fsencode(path) for path in (base, base.resolve(), bundle))
    octets = b"\0".join([*paths, *_contents(requirements, set())])
    return hashlib.sha256(octets).hexdigest()[:16]


def _contents(requirements: Path, seen: set[Path]) -> Iterator[bytes]:
    """Give the content of a requirements file, and of all that it includes and that are there."""
    if requirements in seen:
        return
    seen.add(requirements)
    octets = requirements.read_bytes()
    yield octets
    for name in _INCLUDED.findall(octets.decode("utf-8", "replace")):
        with suppress(OSError, ValueError):  # a URL, or missing, which pip will say
            yield from _contents((requirements.parent / name).resolve(), seen)


@asynccontextmanager
async def _lock(environment: Path, waits: Callable[[], None]) -> AsyncGenerator[None]:
    """Keep other hosts from making the same environment; the kernel lets go of the lock of a host that dies.

    Args:
        environment: Its folder; the lock lies beside it.
        waits: Called once where another host has it.
    """
    environment.parent.mkdir(parents=True, exist_ok=True)
    with environment.with_name(f"{environment.name}.lock").open("w") as file:
        is_told = False
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if not is_told:
                    is_told = True
                    waits()
                await anyio.sleep(limits.host_install_poll_s)
        yield


class _Runner:
    """Runs programs one after the other in a process group each, and keeps their last lines."""

    def __init__(self, plugin_id: str, bundle: Path, guard: ProcessGuard | None) -> None:
        self._plugin_id = plugin_id
        self._bundle = bundle
        self._guard = guard
        self._logger = logging.getLogger(f"mm_plugin.host.install.{plugin_id}")

    async def run(self, trouble: str, python: Path, *arguments: str) -> None:
        """Run a module of a Python to its end.

        Raises:
            PluginStartError: It cannot be run, ends with another code than 0, or not within its time.
        """
        tail: deque[str] = deque(maxlen=limits.stderr_tail_lines)
        code = None
        with anyio.move_on_after(limits.host_install_s):
            code = await self._run([str(python), *arguments], tail)
        if code != 0:
            what = f"is not done after {limits.host_install_s:g} s" if code is None else f"ended with code {code}"
            raise PluginStartError(f"{_NO_PYTHON}: {trouble}: {arguments[1]} {what}", stderr=tuple(tail))

    async def _run(self, command: list[str], tail: deque[str]) -> int:
        process = await anyio.open_process(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=self._bundle,
            start_new_session=True,
        )
        if self._guard is not None:
            self._guard.add(process.pid)
        try:
            assert process.stdout is not None
            splitter = LineSplitter(limits.log_line_octets)
            async for data in process.stdout:
                self._take(splitter.feed(data), tail)
            self._take(splitter.end(), tail)
            return await process.wait()
        finally:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            with anyio.CancelScope(shield=True):
                await process.wait()
                await process.aclose()
            if self._guard is not None:
                self._guard.remove(process.pid)

    def _take(self, lines: list[bytes], tail: deque[str]) -> None:
        for octets in lines:
            line = octets.decode("utf-8", "replace").rstrip()
            if line:
                tail.append(line[: limits.stderr_tail_characters])
                self._logger.info("%s", line)
