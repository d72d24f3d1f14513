"""One plugin in a host: its states, and one life of its process from the API server's start to the last signal.

Job:    API server → process → handshake → link → health → Implemented → OnActivate → running, and back:
        OnDeactivate → Shutdown → grace → SIGTERM → grace → SIGKILL → API server closed.
Layer:  host.
Errors: none comes out of ``run``: what went wrong stands in ``state``, ``reason`` and ``stderr``. A later life may be
        begun with ``run`` again, which is where a restart policy goes.

A life is shielded from cancellation as a whole and takes cancellation as the wish to stop: the plugin's OnDeactivate
still runs. Each step has a deadline, so the end comes all the same.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path

import anyio

from mm_plugin import limits
from mm_plugin.exceptions import ConfigurationError, PluginAPIError, PluginStartError
from mm_plugin.host.environment import plugin_environment
from mm_plugin.host.find import plugin_command
from mm_plugin.host.hook_client import HookClient
from mm_plugin.host.options import HostOptions
from mm_plugin.host.process import PluginProcess, spawn_plugin
from mm_plugin.host.state import PluginState
from mm_plugin.host.wires import HostWire
from mm_plugin.messages.manifest import Manifest
from mm_plugin.transport.link import APIReceiver, CallFailure, FailureKind, HostLink

__all__ = ("RunningPlugin",)

logger = logging.getLogger("mm_plugin.host")


class RunningPlugin:
    """One plugin of a host.

    Args:
        bundle: The bundle's folder, absolute.
        manifest: What it says about itself.
        api: Answers this plugin's API calls, and thereby knows who calls.
        wire: How the calls are carried.
        options: The operator's choices.
    """

    def __init__(
        self, bundle: Path, manifest: Manifest, api: APIReceiver, *, wire: HostWire, options: HostOptions
    ) -> None:
        self.bundle = bundle
        self.manifest = manifest
        self._api = api
        self._wire = wire
        self._options = options
        self._state = PluginState.NOT_RUNNING
        self._changed = anyio.Event()
        self._stop_asked = anyio.Event()
        self._stop_hook_timeout_s = options.hook_timeout_s
        self._end = PluginState.NOT_RUNNING
        self._reason = ""
        self._stderr: tuple[str, ...] = ()
        self._pid: int | None = None
        self._link: HostLink | None = None
        self._hooks: HookClient | None = None

    @property
    def id(self) -> str:
        """The plugin's id."""
        return self.manifest.id

    @property
    def state(self) -> PluginState:
        """What the plugin does now."""
        return self._state

    @property
    def reason(self) -> str:
        """Why the plugin is where it is, in one sentence; "" where nothing went wrong."""
        return self._reason

    @property
    def stderr(self) -> tuple[str, ...]:
        """The last lines of standard error of a plugin that failed."""
        return self._stderr

    @property
    def pid(self) -> int | None:
        """The id of the process; None while there is none."""
        return self._pid

    @property
    def hooks(self) -> HookClient | None:
        """The plugin's hooks; None unless it is RUNNING."""
        return self._hooks

    @property
    def link(self) -> HostLink | None:
        """The link, for HTTP requests; None unless the plugin is RUNNING."""
        return self._link

    def ask_stop(self, *, hook_timeout_s: float | None = None) -> None:
        """Begin to stop the plugin; ``wait_over`` tells when it is done. Does nothing where it is over.

        Args:
            hook_timeout_s: Longest wait for OnDeactivate, instead of the options'.
        """
        if hook_timeout_s is not None:
            self._stop_hook_timeout_s = hook_timeout_s
        self._stop_asked.set()

    async def wait_settled(self) -> PluginState:
        """Wait until the plugin runs or is over, and return which."""
        while self._state is not PluginState.RUNNING and not self._state.is_over:
            await self._changed.wait()
        return self._state

    async def wait_over(self) -> PluginState:
        """Wait until nothing of the plugin runs, and return how it ended."""
        while not self._state.is_over:
            await self._changed.wait()
        return self._state

    def start_error(self) -> PluginStartError:
        """Return what went wrong as an error."""
        return PluginStartError(f"{self.id}: {self._reason}", stderr=self._stderr)

    def begin(self) -> None:
        """Become STARTING, so that whoever waits does not see the last life's end; ``run`` must follow.

        Raises:
            RuntimeError: The plugin has not ended; nothing changes.
        """
        if not self._state.is_over:
            raise RuntimeError(f"{self.id} is {self._state.name} already")
        self._stop_asked = anyio.Event()
        self._stop_hook_timeout_s = self._options.hook_timeout_s
        self._end, self._reason, self._stderr = PluginState.NOT_RUNNING, "", ()
        self._become(PluginState.STARTING)

    async def run(self) -> None:
        """Live one life after ``begin``: start the plugin and return once nothing of it runs any more.

        Cancellation stops the plugin in good order, with the time for OnDeactivate that a stop of the host has.
        """
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._stop_when_cancelled)
            with anyio.CancelScope(shield=True):
                try:
                    await self._live()
                except Exception:
                    # One plugin's trouble, even through a fault of ours, must not end the others.
                    logger.exception("managing plugin %s failed", self.id)
                    starting = self._state is PluginState.STARTING
                    state = PluginState.FAILED_TO_START if starting else PluginState.FAILED_TO_STAY_RUNNING
                    self._fail(state, "An internal error of the host, see its log")
                self._link = self._hooks = None
                self._become(self._end)
            tasks.cancel_scope.cancel()

    # -- one life, from outside to inside ---------------------------------------------------------------------

    async def _live(self) -> None:
        try:
            command = plugin_command(self.bundle, self.manifest, fallback=self._options.interpreter)
            async with self._wire.serve_api(self._api) as api_target:
                await self._run_process(command, api_target)
        except (ConfigurationError, OSError) as error:
            self._fail(PluginState.FAILED_TO_START, str(error))

    async def _run_process(self, command: list[str], api_target: str) -> None:
        environment = plugin_environment(
            os.environ, self._options, plugin_id=self.id, bundle=self.bundle, api_target=api_target
        )
        try:
            async with spawn_plugin(command, plugin_id=self.id, bundle=self.bundle, environment=environment) as process:
                self._pid = process.pid
                stop_asked = False
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(self._stop_early, process)
                    stop_asked = await self._run_link(process)
                    tasks.cancel_scope.cancel()
                await process.end(
                    exit_grace_s=self._options.exit_grace_s if stop_asked else 0,
                    terminate_grace_s=self._options.terminate_grace_s,
                )
        except PluginStartError as error:
            self._start_failed(error)
        finally:
            self._pid = None

    async def _run_link(self, process: PluginProcess) -> bool:
        """Return whether the plugin was asked to stop, and so has a grace."""
        try:
            handshake = await process.read_handshake(timeout_s=self._options.start_timeout_s)
        except PluginStartError as error:
            self._start_failed(error)
            return False
        try:
            async with self._wire.open_link(handshake) as link:
                return await self._use_link(process, link)
        except (CallFailure, OSError) as error:
            self._start_failed(await process.start_error(f"cannot be reached at {handshake.address}: {error}"))
            return False

    async def _use_link(self, process: PluginProcess, link: HostLink) -> bool:
        hooks = HookClient(link, self.id)
        error = await self._activate(process, link, hooks)
        if error is not None:
            self._start_failed(error)
            if process.returncode is not None:
                return False
        else:
            self._link, self._hooks = link, hooks
            self._become(PluginState.RUNNING)
            logger.info("plugin %s runs", self.id)
            await self._wait_end(process)
            self._link = self._hooks = None
            self._become(PluginState.STOPPING)
            if process.returncode is not None:
                await self._died(process)
                return False
            await self._deactivate(hooks)
        return await self._ask_stop(link)

    # -- the steps --------------------------------------------------------------------------------------------

    async def _activate(self, process: PluginProcess, link: HostLink, hooks: HookClient) -> PluginStartError | None:
        options = self._options
        step, trouble = "its health check", ""
        async with anyio.create_task_group() as tasks:

            async def cut_short() -> None:
                await process.wait_exited()
                tasks.cancel_scope.cancel()

            tasks.start_soon(cut_short)
            try:
                # An answer is enough: a plugin may say that it does not serve before it is activated.
                await link.check_health(deadline=anyio.current_time() + options.health_timeout_s)
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

    async def _wait_end(self, process: PluginProcess) -> None:
        """Wait until the process is dead or a stop is asked."""
        async with anyio.create_task_group() as tasks:

            async def wait_exited() -> None:
                await process.wait_exited()
                tasks.cancel_scope.cancel()

            tasks.start_soon(wait_exited)
            await self._stop_asked.wait()
            tasks.cancel_scope.cancel()

    async def _died(self, process: PluginProcess) -> None:
        error = await process.start_error(process.describe_exit())
        logger.error("plugin %s %s", self.id, process.describe_exit())
        if not self._stop_asked.is_set():
            self._fail(PluginState.FAILED_TO_STAY_RUNNING, error.reason, error.stderr)

    async def _deactivate(self, hooks: HookClient) -> None:
        try:
            await hooks.on_deactivate(timeout_s=self._stop_hook_timeout_s)
        except (PluginAPIError, CallFailure) as error:
            logger.warning("plugin %s: OnDeactivate failed: %s", self.id, error)

    async def _ask_stop(self, link: HostLink) -> bool:
        try:
            await link.ask_stop(deadline=anyio.current_time() + self._options.ask_stop_s)
        except CallFailure as failure:
            logger.warning("plugin %s did not answer when asked to stop: %s", self.id, failure)
            return False
        return True

    async def _stop_early(self, process: PluginProcess) -> None:
        """End the process of a plugin that is to stop before it runs; the step under way fails at once."""
        await self._stop_asked.wait()
        if self._state is PluginState.STARTING:
            await process.end(exit_grace_s=0, terminate_grace_s=self._options.terminate_grace_s)

    async def _stop_when_cancelled(self) -> None:
        try:
            await anyio.sleep_forever()
        finally:
            self.ask_stop(hook_timeout_s=self._options.stop_hook_timeout_s)

    def _start_failed(self, error: PluginStartError) -> None:
        if not self._stop_asked.is_set():
            self._fail(PluginState.FAILED_TO_START, error.reason, error.stderr)

    def _fail(self, state: PluginState, reason: str, stderr: tuple[str, ...] = ()) -> None:
        self._end, self._reason, self._stderr = state, reason, stderr

    def _become(self, state: PluginState) -> None:
        self._state = state
        self._changed.set()
        self._changed = anyio.Event()
