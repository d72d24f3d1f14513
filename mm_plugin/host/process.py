"""A plugin's process: spawn it, read its handshake, keep its streams drained, end it with all its children.

Job:    own one operating-system process from its first moment to the last, whatever happens in between.
Layer:  host.
Input:  a command line and an environment.
Output: the handshake; log records; the moment of its death.
Errors: PluginStartError; a process that printed something else, one that exited and a silent one are told apart.

The process leads a process group of its own. Leaving ``spawn_plugin`` kills that group, also when cancelled, so
neither the plugin nor what it started outlives its host's scope.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
from anyio.abc import ByteReceiveStream, Process, TaskGroup

from mm_plugin import limits
from mm_plugin.exceptions import HandshakeError, PluginStartError
from mm_plugin.host.lines import LineSplitter
from mm_plugin.host.plugin_log import PluginLog
from mm_plugin.wire.handshake import Handshake, parse_handshake_line

__all__ = ("PluginProcess", "spawn_plugin")

#: The app protocol version of Mattermost's plugins; it has never been another.
_APP_VERSION = 1


class PluginProcess:
    """A running plugin process; made by ``spawn_plugin``."""

    def __init__(self, process: Process, log: PluginLog) -> None:
        self.log = log
        self._process = process
        self._started_at = anyio.current_time()
        self._group_killed = False
        self._first_line: bytes | None = None
        self._first_line_or_end = anyio.Event()
        self._exited = anyio.Event()
        self._stdout_ended = anyio.Event()
        self._stderr_ended = anyio.Event()

    @property
    def pid(self) -> int:
        """The process's id, which is its group's too."""
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """The exit code; minus the signal's number where one killed it; None while it runs."""
        return self._process.returncode

    async def wait_exited(self) -> None:
        """Wait until the process is dead; its streams may still hold something."""
        await self._exited.wait()

    def describe_exit(self) -> str:
        """Say how the process ended, such as ``exited with code 1``."""
        code = self.returncode
        if code is None:
            return "is still running"
        if code >= 0:
            return f"exited with code {code}"
        try:
            return f"was killed by {signal.Signals(-code).name}"
        except ValueError:
            return f"was killed by signal {-code}"

    async def read_handshake(
        self,
        *,
        timeout_s: float = limits.host_start_timeout_s,
        suspended: Callable[[], bool] = lambda: False,
        instead: bytes | None = None,
    ) -> Handshake:
        """Wait for the handshake line.

        Args:
            timeout_s: Counted from the start of the process.
            suspended: Whether time does not count now, as under a debugger.
            instead: Taken for the process's first line once there is one.

        Raises:
            PluginStartError: There is none, or one that cannot be used. The process is left as it is.
        """
        with anyio.move_on_at(self._started_at + timeout_s):
            await self._first_line_or_end.wait()
        while not self._first_line_or_end.is_set() and suspended():
            with anyio.move_on_after(limits.host_debugger_poll_s):
                await self._first_line_or_end.wait()
        if self._first_line is not None:
            return await self._parse(self._first_line if instead is None else instead)
        if not self._first_line_or_end.is_set():
            raise await self.start_error(f"printed no handshake line within {timeout_s:g} s; is there a run_plugin()?")
        with anyio.move_on_at(self._started_at + timeout_s):
            await self._exited.wait()
        if self._exited.is_set():
            hint = "; does the script end with run_plugin(YourPlugin)?" if self.returncode == 0 else ""
            raise await self.start_error(f"{self.describe_exit()} before it printed its handshake line{hint}")
        raise await self.start_error("closed its standard output before it printed its handshake line")

    async def start_error(self, text: str) -> PluginStartError:
        """Return the error that says ``text`` of the plugin, with the last lines of its standard error.

        Where the process is dead, what it wrote at last is waited for.
        """
        if self._exited.is_set():
            with anyio.move_on_after(limits.cleanup_s):
                await self._stderr_ended.wait()
        return PluginStartError(f"The plugin {text}", stderr=self.log.tail)

    async def end(
        self,
        *,
        exit_grace_s: float = limits.host_exit_grace_s,
        terminate_grace_s: float = limits.host_terminate_grace_s,
    ) -> None:
        """Wait for the process to exit by itself, then ask with SIGTERM, then kill its group.

        Args:
            exit_grace_s: Before SIGTERM.
            terminate_grace_s: After SIGTERM, before SIGKILL.
        """
        with anyio.move_on_after(exit_grace_s):
            await self._exited.wait()
        if not self._exited.is_set():
            self.log.logger.warning("still runs after a grace of %g s; sending SIGTERM", exit_grace_s)
            self._process.terminate()
            with anyio.move_on_after(terminate_grace_s):
                await self._exited.wait()
        if not self._exited.is_set():
            self.log.logger.warning("still runs %g s after SIGTERM; killing it", terminate_grace_s)
            self.kill()
            await self._exited.wait()

    def kill(self) -> None:
        """Kill the process and whatever it started in its group; safe to call when they are gone."""
        if self._group_killed:
            return  # once is enough, and the number may be somebody else's by now
        self._group_killed = True
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):  # the latter on macOS for a group of zombies
            pass

    # -- for spawn_plugin -------------------------------------------------------------------------------------

    def attend(self, tasks: TaskGroup) -> None:
        """Start watching the process and reading its streams."""
        tasks.start_soon(self._watch)
        tasks.start_soon(self._read_stdout)
        tasks.start_soon(self._read_stderr)

    async def finish(self) -> None:
        """Kill the group, reap the process, and wait a little for what it left in its pipes."""
        self.kill()
        await self._process.wait()
        with anyio.move_on_after(limits.cleanup_s):
            await self._stdout_ended.wait()
            await self._stderr_ended.wait()

    async def _watch(self) -> None:
        await self._process.wait()
        self._exited.set()
        self.kill()  # what the plugin started must neither go on nor hold its pipes and sockets open
        # A child that left the group may do so all the same; whoever waits must hear of the death.
        with anyio.move_on_after(limits.cleanup_s):
            await self._stdout_ended.wait()
        self._first_line_or_end.set()

    async def _read_stdout(self) -> None:
        try:
            await self._read(self._process.stdout, self._take_stdout_line)
        finally:
            self._stdout_ended.set()
            self._first_line_or_end.set()

    async def _read_stderr(self) -> None:
        try:
            await self._read(self._process.stderr, self.log.stderr_line)
        finally:
            self._stderr_ended.set()

    async def _read(self, stream: ByteReceiveStream | None, take: Callable[[bytes], None]) -> None:
        assert stream is not None
        splitter = LineSplitter(limits.log_line_octets)
        try:
            async for data in stream:
                for line in splitter.feed(data):
                    take(line)
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            pass  # the pipe is gone, which is an end like any other
        for line in splitter.end():
            take(line)

    def _take_stdout_line(self, line: bytes) -> None:
        if self._first_line_or_end.is_set():
            self.log.stdout_line(line)
        else:
            self._first_line = line
            self._first_line_or_end.set()

    async def _parse(self, line: bytes) -> Handshake:
        try:
            handshake = parse_handshake_line(line)
        except HandshakeError as error:
            raise await self.start_error(f"printed no handshake: {error}") from error
        trouble = _foreign(handshake)
        if trouble:
            raise await self.start_error(f"cannot be talked to: {trouble}")
        return handshake


def _foreign(handshake: Handshake) -> str:
    """Return what go-plugin allows in a handshake and this host does not speak; "" where it speaks all of it."""
    if handshake.app_version != _APP_VERSION:
        return f"it speaks version {handshake.app_version} of Mattermost's plugin protocol, expected {_APP_VERSION}"
    if handshake.protocol != "grpc":
        return "it speaks net/rpc, as plugins written in Go do; this host speaks grpc only"
    if handshake.certificate:
        return "it wants TLS (field six of its handshake is a certificate), which this host did not ask for"
    return ""


@asynccontextmanager
async def spawn_plugin(
    command: Sequence[str], *, plugin_id: str, bundle: Path, environment: Mapping[str, str]
) -> AsyncGenerator[PluginProcess]:
    """Start a plugin's process; leaving the context kills it and its group, if they still run.

    Standard input is empty. Standard output and error are read until the process is dead. An exception of the body
    arrives outside in an ExceptionGroup, for the readers run in a task group.

    Args:
        command: Interpreter and script.
        plugin_id: Names the logger.
        bundle: The process's working directory.
        environment: All of its environment.

    Raises:
        PluginStartError: The operating system cannot start it.
    """
    try:
        process = await anyio.open_process(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=bundle,
            env=environment,
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        raise PluginStartError(f"The plugin cannot be started with {command[0]}: {error}") from error
    plugin = PluginProcess(process, PluginLog(plugin_id))
    try:
        async with anyio.create_task_group() as tasks:
            plugin.attend(tasks)
            try:
                yield plugin
            finally:
                with anyio.CancelScope(shield=True):
                    await plugin.finish()
            tasks.cancel_scope.cancel()
    finally:
        await process.aclose()
