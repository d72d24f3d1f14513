"""One life of a plugin's process, from the API server's start to the last signal.

Job:    API server → process → handshake → link → health → Implemented → OnActivate → running, and back:
        hooks under way finish → OnDeactivate → Shutdown → grace → SIGTERM → grace → SIGKILL → link and API closed.
Layer:  host.
Output: LifeEnd, how it ended; nothing of the process is left then.
Errors: none but faults of ours.

A life must not be cancelled: it ends when its StopWish is made. Each step has a deadline, so the end comes.
"""

from __future__ import annotations

import logging
import os
import re
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import anyio

from mm_plugin import limits
from mm_plugin.exceptions import ConfigurationError, PluginAPIError, PluginStartError
from mm_plugin.host.debugger import Debugger
from mm_plugin.host.environment import plugin_environment
from mm_plugin.host.faults import FaultyAPI, FaultyLink
from mm_plugin.host.find import is_python_plugin, plugin_command
from mm_plugin.host.hook_client import HookClient
from mm_plugin.host.in_flight import InFlightLink
from mm_plugin.host.installing import installed_interpreter
from mm_plugin.host.options import HostOptions
from mm_plugin.host.process import PluginProcess, spawn_plugin
from mm_plugin.host.python_version import check_python_version
from mm_plugin.host.state import PluginState
from mm_plugin.host.supervision import Supervision
from mm_plugin.host.wires import HostWire
from mm_plugin.messages.manifest import Manifest
from mm_plugin.transport.link import APIReceiver, CallFailure, FailureKind, HostLink

__all__ = ("Life", "LifeEnd", "Observer", "ProcessGuard", "StopWish")

logger = logging.getLogger("mm_plugin.host")


@dataclass(frozen=True, slots=True)
class LifeEnd:
    """How a life ended.

    Attributes:
        state: NOT_RUNNING where it was asked to end, else FAILED_TO_START or FAILED_TO_STAY_RUNNING.
        reason: What went wrong, in one sentence.
        stderr: The last lines of standard error of a process that failed.
    """

    state: PluginState = PluginState.NOT_RUNNING
    reason: str = ""
    stderr: tuple[str, ...] = ()


class StopWish:
    """The wish that a plugin stop, made once.

    Attributes:
        hook_timeout_s: Longest wait for OnDeactivate, and for what is under way before it.
        drain_s: Longest wait for what is under way.
    """

    def __init__(self, hook_timeout_s: float, drain_s: float) -> None:
        self.hook_timeout_s = hook_timeout_s
        self.drain_s = drain_s
        self._made = anyio.Event()

    @property
    def made(self) -> bool:
        """Whether it was made."""
        return self._made.is_set()

    def make(self) -> None:
        """Make the wish."""
        self._made.set()

    async def wait(self) -> None:
        """Wait until it is made."""
        await self._made.wait()


class Observer(Protocol):
    """Who wants to know how far a life is."""

    def on_spawned(self, pid: int | None) -> None:
        """There is a process, or (None) no more."""
        ...

    def on_installing(self, what: str) -> None:
        """Something is being installed before there can be a process, which may take long."""
        ...

    def on_running(self, hooks: HookClient, link: HostLink) -> None:
        """The plugin is activated: other hooks may come from now on."""
        ...

    def on_stopping(self) -> None:
        """No more hooks, please: the plugin is about to be stopped, or dead."""
        ...


class ProcessGuard(Protocol):
    """Ends process groups after the host's own sudden end; see ``guard``."""

    def add(self, group: int) -> None:
        """Begin to guard a group."""
        ...

    def remove(self, group: int) -> None:
        """Forget a group that has ended."""
        ...


class Life:
    """One life of a plugin.

    Args:
        bundle: The bundle's folder, absolute.
        manifest: What it says about itself.
        api: Answers this plugin's API calls.
        wire: How the calls are carried.
        options: The operator's choices.
        supervision: What is remembered of the plugin, for the health checks.
        stop: The wish that ends this life.
        observer: Is told how far it is.
        guard: Where the process is registered.
    """

    def __init__(
        self,
        bundle: Path,
        manifest: Manifest,
        api: APIReceiver,
        *,
        wire: HostWire,
        options: HostOptions,
        supervision: Supervision,
        stop: StopWish,
        observer: Observer,
        guard: ProcessGuard | None,
    ) -> None:
        self._bundle = bundle
        self._manifest = manifest
        self._api = api
        self._wire = wire
        self._options = options
        self._supervision = supervision
        self._stop = stop
        self._observer = observer
        self._guard = guard
        self._is_python = is_python_plugin(manifest)
        self._starting = True
        self._is_installed = False
        self._python = ""
        self._end = LifeEnd()

    async def run(self) -> LifeEnd:
        """Live, and return once nothing of the plugin runs any more."""
        options, secret = self._options, secrets.token_hex(32)
        demanded = self._is_python if options.require_api_secret is None else options.require_api_secret
        api = self._api if options.faults is None else FaultyAPI(self._api, options.faults)
        try:
            installed = await installed_interpreter(
                self._bundle,
                self._manifest,
                options,
                guard=self._guard,
                begin=self._observer.on_installing,
                wait_stop=self._stop.wait,
            )
            if self._stop.made:
                return self._end
            self._is_installed = installed is not None
            command = plugin_command(self._bundle, self._manifest, fallback=options.interpreter, installed=installed)
            self._python = command[0]
            server = self._manifest.server
            if self._is_python and server is not None:
                await check_python_version(self._bundle, Path(command[0]), server.python_version)
            async with self._wire.serve_api(api, secret=secret if demanded else "") as api_target:
                await self._run_process(command, api_target, secret)
        except PluginStartError as error:
            self._start_failed(error)
        except (ConfigurationError, OSError) as error:
            self._end = LifeEnd(PluginState.FAILED_TO_START, str(error))
        return self._end

    async def _run_process(self, command: list[str], api_target: str, secret: str) -> None:
        plugin_id, bundle = self._manifest.id, self._bundle
        environment = plugin_environment(
            os.environ, self._options, plugin_id=plugin_id, bundle=bundle, api_target=api_target, api_secret=secret
        )
        try:
            async with spawn_plugin(command, plugin_id=plugin_id, bundle=bundle, environment=environment) as process:
                if self._guard is not None:
                    self._guard.add(process.pid)
                self._observer.on_spawned(process.pid)
                try:
                    async with anyio.create_task_group() as tasks:
                        tasks.start_soon(self._stop_early, process)
                        await self._run_link(process, Debugger(self._options.debugger, environment, process.pid))
                        tasks.cancel_scope.cancel()
                    await process.end(exit_grace_s=0, terminate_grace_s=self._options.terminate_grace_s)
                finally:
                    process.kill()
                    if self._guard is not None:
                        self._guard.remove(process.pid)
                    self._observer.on_spawned(None)
        except PluginStartError as error:
            self._start_failed(error)

    async def _run_link(self, process: PluginProcess, debugger: Debugger) -> None:
        faults = self._options.faults
        try:
            handshake = await process.read_handshake(
                timeout_s=self._options.start_timeout_s,
                suspended=debugger.attached,
                instead=None if faults is None else faults.first_line,
            )
        except PluginStartError as error:
            self._start_failed(error)
            return
        try:
            async with self._wire.open_link(handshake) as link:
                await self._use_link(
                    process, debugger, link if faults is None else FaultyLink(link, faults, process.pid)
                )
        except (CallFailure, OSError) as error:
            self._start_failed(await process.start_error(f"cannot be reached at {handshake.address}: {error}"))

    async def _use_link(self, process: PluginProcess, debugger: Debugger, wire_link: HostLink) -> None:
        link = InFlightLink(wire_link)
        hooks = HookClient(link, self._manifest.id, unhurried=debugger.attached)
        error = await self._activate(process, debugger, link, hooks)
        if error is not None:
            self._start_failed(error)
            if process.returncode is None:
                await self._end_process(process, link)
            return
        self._starting = False
        self._observer.on_running(hooks, link)
        logger.info("plugin %s runs", self._manifest.id)
        trouble = await self._wait_end(process, debugger, link)
        self._observer.on_stopping()
        hooks.close()
        if process.returncode is not None:
            await self._failed(process, process.describe_exit())
            return
        hook_timeout_s = self._stop.hook_timeout_s
        if trouble and not self._stop.made:
            await self._failed(process, trouble)
            hook_timeout_s = min(hook_timeout_s, self._options.health_timeout_s)
        else:
            hook_timeout_s -= await self._drain(link, min(self._stop.drain_s, hook_timeout_s / 2))
        await self._deactivate(hooks, hook_timeout_s)
        await self._end_process(process, link)

    # -- the steps --------------------------------------------------------------------------------------------

    async def _activate(
        self, process: PluginProcess, debugger: Debugger, link: HostLink, hooks: HookClient
    ) -> PluginStartError | None:
        options = self._options
        step, trouble = "its health check", ""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_and_then, process.wait_exited, tasks.cancel_scope.cancel)
            try:
                # An answer is enough: a plugin may say that it does not serve before it is activated.
                deadline = None if debugger.attached() else anyio.current_time() + options.health_timeout_s
                await link.check_health(deadline=deadline)
                step = "Implemented"
                await hooks.ask_implemented(timeout_s=options.hook_timeout_s)
                step = "OnActivate"
                await hooks.on_activate(timeout_s=options.hook_timeout_s)
            except PluginAPIError as error:
                trouble = f"refused {step}: {error.message or error.detailed_error or error}"
            except CallFailure as failure:
                trouble = f"failed at {step}: {failure}"
                if failure.kind in {FailureKind.LOST, FailureKind.UNREACHABLE}:
                    # The connection is heard to break a little before the process is heard to die.
                    with anyio.move_on_after(limits.cleanup_s):
                        await process.wait_exited()
            tasks.cancel_scope.cancel()
        if process.returncode is not None:
            trouble = f"{process.describe_exit()} during {step}"
        return await process.start_error(trouble) if trouble else None

    async def _wait_end(self, process: PluginProcess, debugger: Debugger, link: HostLink) -> str:
        """Wait until the process is dead, a stop is wished, or health is gone, which is returned as what is wrong."""
        trouble = ""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_and_then, process.wait_exited, tasks.cancel_scope.cancel)
            tasks.start_soon(_and_then, self._stop.wait, tasks.cancel_scope.cancel)
            trouble = await self._watch_health(debugger, link)
            tasks.cancel_scope.cancel()
        return trouble

    async def _watch_health(self, debugger: Debugger, link: HostLink) -> str:
        """Ping until the plugin counts as failed, and return what is wrong."""
        self._supervision.started(anyio.current_time())
        while True:
            await anyio.sleep_until(self._supervision.next_ping_at)
            trouble = "it says that it does not serve"
            try:
                if await link.check_health(deadline=anyio.current_time() + self._options.health_timeout_s):
                    trouble = ""
            except CallFailure as failure:
                trouble = str(failure)
            now = anyio.current_time()
            if not trouble or debugger.attached():
                self._supervision.answered(now)
            elif self._supervision.missed_ping(now):
                return f"failed {self._supervision.missed} health checks in a row: {trouble}"

    async def _failed(self, process: PluginProcess, trouble: str) -> None:
        error = await process.start_error(trouble)
        logger.error("plugin %s %s", self._manifest.id, trouble)
        if not self._stop.made:
            self._end = LifeEnd(PluginState.FAILED_TO_STAY_RUNNING, error.reason, error.stderr)

    async def _drain(self, link: InFlightLink, within_s: float) -> float:
        """Let finish what is under way, and return how long that took."""
        begun_at = anyio.current_time()
        await link.drain(within_s=within_s)
        return anyio.current_time() - begun_at

    async def _end_process(self, process: PluginProcess, link: HostLink) -> None:
        """Ask for the stop and wait for the end; the link stays open, so that late answers are heard."""
        has_grace = await self._ask_stop(link)
        await process.end(
            exit_grace_s=self._options.exit_grace_s if has_grace else 0,
            terminate_grace_s=self._options.terminate_grace_s,
        )

    async def _deactivate(self, hooks: HookClient, timeout_s: float) -> None:
        try:
            await hooks.on_deactivate(timeout_s=timeout_s)
        except (PluginAPIError, CallFailure) as error:
            logger.warning("plugin %s: OnDeactivate failed: %s", self._manifest.id, error)

    async def _ask_stop(self, link: HostLink) -> bool:
        try:
            await link.ask_stop(deadline=anyio.current_time() + self._options.ask_stop_s)
        except CallFailure as failure:
            logger.warning("plugin %s did not answer when asked to stop: %s", self._manifest.id, failure)
            return False
        return True

    async def _stop_early(self, process: PluginProcess) -> None:
        """End the process of a plugin that is to stop before it runs; the step under way fails at once."""
        await self._stop.wait()
        if self._starting:
            await process.end(exit_grace_s=0, terminate_grace_s=self._options.terminate_grace_s)

    def _start_failed(self, error: PluginStartError) -> None:
        if self._stop.made:
            return
        reason = error.reason
        server = self._manifest.server
        requirements = "" if server is None else server.python.requirements_path
        if self._is_python and (module := _missing_module(error.stderr)):
            if not requirements:
                reason += f"; install what brings {module} into {self._python}, or declare requirements_path"
            elif self._is_installed:
                reason += f"; add what brings {module} to {requirements}"
            else:
                reason += f"; is {requirements} installed in the Python that runs the plugin, {self._python}?"
        self._end = LifeEnd(PluginState.FAILED_TO_START, reason, error.stderr)


async def _and_then(wait: Callable[[], Awaitable[None]], do: Callable[[], None]) -> None:
    await wait()
    do()


def _missing_module(stderr: tuple[str, ...]) -> str:
    """Return the module that a plugin's last words say is missing; "" where they say something else."""
    match = re.match(r"ModuleNotFoundError: No module named '(\w+)", stderr[-1] if stderr else "")
    return match[1] if match else ""
