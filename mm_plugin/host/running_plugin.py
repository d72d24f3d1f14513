"""One plugin in a host: its state, and its lives one after the other.

Job:    start the plugin, start it again after a failure as the rules of supervision say, stop it.
Layer:  host.
Errors: none comes out of ``run``: what went wrong stands in ``state``, ``reason`` and ``stderr``.

``run`` is shielded from cancellation as a whole and takes cancellation as the wish to stop: the plugin's OnDeactivate
still runs. Each step has a deadline, so the end comes all the same.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import anyio

from mm_plugin.exceptions import PluginStartError
from mm_plugin.host.hook_client import HookClient
from mm_plugin.host.life import Life, LifeEnd, ProcessGuard, StopWish
from mm_plugin.host.options import HostOptions
from mm_plugin.host.state import PluginReport, PluginState
from mm_plugin.host.supervision import Supervision
from mm_plugin.host.wires import HostWire
from mm_plugin.messages.manifest import Manifest
from mm_plugin.transport.link import APIReceiver, HostLink

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
        guard: Ends the process should the host be killed.
        on_change: Called after each change of state; what it raises is logged and changes nothing.
    """

    def __init__(
        self,
        bundle: Path,
        manifest: Manifest,
        api: APIReceiver,
        *,
        wire: HostWire,
        options: HostOptions,
        guard: ProcessGuard | None = None,
        on_change: Callable[[RunningPlugin], None] | None = None,
    ) -> None:
        self.bundle = bundle
        self.manifest = manifest
        self._api = api
        self._wire = wire
        self._options = options
        self._guard = guard
        self._on_change = on_change
        self._state = PluginState.NOT_RUNNING
        self._changed = anyio.Event()
        self._stop = StopWish(options.hook_timeout_s, options.drain_s)
        self._restarts = 0
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
        """What the plugin does now; STARTING also while it waits to be started again."""
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
    def restarts(self) -> int:
        """How often it was started again since ``begin``."""
        return self._restarts

    @property
    def hooks(self) -> HookClient | None:
        """The plugin's hooks; None unless it is RUNNING."""
        return self._hooks

    @property
    def link(self) -> HostLink | None:
        """The link, for HTTP requests; None unless the plugin is RUNNING."""
        return self._link

    def report(self) -> PluginReport:
        """Return all of this as data."""
        return PluginReport(
            id=self.id,
            name=self.manifest.name,
            version=self.manifest.version,
            bundle=str(self.bundle),
            state=self._state,
            reason=self._reason,
            stderr=self._stderr,
            pid=self._pid,
            restarts=self._restarts,
            hooks=tuple(sorted(self._hooks.implemented)) if self._hooks is not None else (),
        )

    def ask_stop(self, *, hook_timeout_s: float | None = None, drain_s: float | None = None) -> None:
        """Begin to stop the plugin; ``wait_over`` tells when it is done. Does nothing where it is over.

        It gets no more hooks; those under way finish first, see ``HostOptions.drain_s``.

        Args:
            hook_timeout_s: Longest wait for OnDeactivate, instead of the options'.
            drain_s: Longest wait for what is under way, instead of the options'.
        """
        if hook_timeout_s is not None:
            self._stop.hook_timeout_s = hook_timeout_s
        if drain_s is not None:
            self._stop.drain_s = drain_s
        self._stop.make()

    def ask_stop_with_host(self) -> None:
        """Begin to stop the plugin since the whole host stops, with the shorter times for that."""
        self.ask_stop(hook_timeout_s=self._options.stop_hook_timeout_s, drain_s=self._options.stop_drain_s)

    async def wait_settled(self) -> PluginState:
        """Wait until the plugin runs or is over, and return which."""
        while self._state is not PluginState.RUNNING and not self._state.is_over:
            await self._changed.wait()
        return self._state

    async def wait_over(self) -> PluginState:
        """Wait until nothing of the plugin runs or will run, and return how it ended."""
        while not self._state.is_over:
            await self._changed.wait()
        return self._state

    async def wait_change(self) -> PluginState:
        """Wait for the next change of state, and return the state there is then."""
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
        self._stop = StopWish(self._options.hook_timeout_s, self._options.drain_s)
        self._restarts, self._reason, self._stderr = 0, "", ()
        self._become(PluginState.STARTING)

    async def run(self) -> None:
        """Live after ``begin``: start the plugin, and return once nothing of it runs or will run any more.

        A start that fails is final. A plugin that has run and fails is started again, until it is stopped or the rules
        turn it off. Cancellation stops it in good order, with the time for OnDeactivate that a stop of the host has.
        """
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._stop_when_cancelled)
            with anyio.CancelScope(shield=True):
                end = await self._lives()
                self._reason, self._stderr = end.reason, end.stderr
                self._become(end.state)
            tasks.cancel_scope.cancel()

    # -- the lives --------------------------------------------------------------------------------------------

    async def _lives(self) -> LifeEnd:
        rules = self._options.supervision
        supervision = Supervision(rules)
        while True:
            end = await self._live(supervision)
            never_ran = end.state is PluginState.FAILED_TO_START and not self._restarts
            if end.state is PluginState.NOT_RUNNING or never_ran:
                return end
            pause_s = supervision.failed(anyio.current_time())
            if pause_s is None:
                many = f"; it is off after {rules.failures} failures within {rules.failure_window_s:g} s"
                logger.error("plugin %s is off: %s", self.id, end.reason)
                reason = end.reason + (many if rules.failures > 1 else "")
                return LifeEnd(PluginState.FAILED_TO_STAY_RUNNING, reason, end.stderr)
            logger.warning("plugin %s is started again in %g s: %s", self.id, pause_s, end.reason)
            self._reason, self._stderr = end.reason, end.stderr
            self._restarts += 1
            self._become(PluginState.STARTING)
            with anyio.move_on_after(pause_s):
                await self._stop.wait()
                return LifeEnd()

    async def _live(self, supervision: Supervision) -> LifeEnd:
        try:
            life = Life(
                self.bundle,
                self.manifest,
                self._api,
                wire=self._wire,
                options=self._options,
                supervision=supervision,
                stop=self._stop,
                observer=self,
                guard=self._guard,
            )
            return await life.run()
        except Exception:
            # One plugin's trouble, even through a fault of ours, must not end the others.
            logger.exception("managing plugin %s failed", self.id)
            starting = self._state is PluginState.STARTING
            state = PluginState.FAILED_TO_START if starting else PluginState.FAILED_TO_STAY_RUNNING
            return LifeEnd(state, "An internal error of the host, see its log")
        finally:
            self._link = self._hooks = self._pid = None

    # -- told by the life -------------------------------------------------------------------------------------

    def on_spawned(self, pid: int | None) -> None:
        """See Observer."""
        self._pid = pid

    def on_installing(self, what: str) -> None:
        """See Observer."""
        self._reason = f"Installing {what} into a virtual environment of its own, once; this may take a while"
        self._become(PluginState.STARTING)

    def on_running(self, hooks: HookClient, link: HostLink) -> None:
        """See Observer."""
        self._hooks, self._link = hooks, link
        self._reason, self._stderr = "", ()
        self._become(PluginState.RUNNING)

    def on_stopping(self) -> None:
        """See Observer."""
        self._link = self._hooks = None
        self._become(PluginState.STOPPING)

    async def _stop_when_cancelled(self) -> None:
        try:
            await anyio.sleep_forever()
        finally:
            self.ask_stop_with_host()

    def _become(self, state: PluginState) -> None:
        self._state = state
        self._changed.set()
        self._changed = anyio.Event()
        if self._on_change is None:
            return
        try:
            self._on_change(self)
        except Exception:
            # Whoever looks on must not change the life: a plugin that stays STARTING would be waited for for ever.
            logger.exception("on_change failed for plugin %s, now %s", self.id, state.name)
