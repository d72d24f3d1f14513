"""The activation of a plugin: its own task group, opened before on_activate and closed after on_deactivate.

Job:    run the three lifecycle hooks in their order, and own the task group in which background work lives.
Layer:  plugin.
Tasks:  a task group is opened and closed by one and the same task, ``run``; OnActivate and OnDeactivate arrive in
        tasks of their own and ask ``run`` by events.
Errors: a crash of a background task leaves ``run``, and so ends the process.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from enum import Enum, auto
from functools import partial
from types import MappingProxyType

import anyio
from anyio.abc import TaskStatus

from mm_plugin import limits
from mm_plugin.hooks.dispatch import Handler
from mm_plugin.hooks.failure import log_failure
from mm_plugin.hooks.handler_tasks import is_cancelled
from mm_plugin.hooks.loop_watch import LoopWatch
from mm_plugin.hooks.names import HookName
from mm_plugin.hooks.scopes import SealedScope
from mm_plugin.hooks.threads import HookThreads
from mm_plugin.hooks.work_name import set_hook
from mm_plugin.plugin.background import Background, Every
from mm_plugin.plugin.plugin import Attachment
from mm_plugin.transport.interceptors import CallDirection, CallInfo, Interceptors

__all__ = ("Activation",)

logger = logging.getLogger("mm_plugin.hooks")


class _State(Enum):
    INACTIVE = auto()
    ACTIVATING = auto()
    ACTIVE = auto()
    DEACTIVATING = auto()


class _Period:
    """One life of the task group, from a request to open it to its end."""

    def __init__(self) -> None:
        self.opened = anyio.Event()
        self.close_asked = anyio.Event()
        self.closed = anyio.Event()


class Activation:
    """Whether a plugin is active, and what changes that.

    Args:
        attachment: Where the plugin finds its task group.
        handlers: The lifecycle hooks.
        threads: Where blocking ones run.
        watch: Told which one runs; OnActivate is the call within which others do.
        interceptors: Stand around each of the three, whether or not the author handles it.
        preparations: What must succeed before any of the author's hooks runs.
        at_intervals: The methods under ``@every`` by their names, begun once on_activate has succeeded.
    """

    def __init__(
        self,
        attachment: Attachment,
        handlers: Mapping[HookName, Handler],
        threads: HookThreads,
        watch: LoopWatch,
        interceptors: Interceptors,
        *,
        preparations: Sequence[Callable[[], Awaitable[None]]] = (),
        at_intervals: Mapping[str, tuple[Callable[[], object], Every]] = MappingProxyType({}),
    ) -> None:
        self._attachment = attachment
        self._preparations = preparations
        self._at_intervals = at_intervals
        self._handlers = handlers
        self._threads = threads
        self._watch = watch
        self._interceptors = interceptors
        self._state = _State.INACTIVE
        self._running = False
        self._period = _Period()
        self._open_asked = anyio.Event()

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Own the task group; reports started once ``activate`` may be called, and never returns by itself.

        Cancellation cancels and joins the group, without on_deactivate.

        Raises:
            BaseExceptionGroup: A task of the group crashed.
        """
        self._running = True
        try:
            task_status.started()
            while True:
                await self._open_asked.wait()
                self._open_asked = anyio.Event()
                await self._run_period(self._period)
        finally:
            self._running = False
            self._period.opened.set()
            self._period.closed.set()

    async def _run_period(self, period: _Period) -> None:
        try:
            async with anyio.create_task_group() as tasks:
                self._attachment.task_group = tasks
                self._attachment.background = Background(tasks)
                self._watch.background_parent = anyio.get_current_task().id
                period.opened.set()
                await period.close_asked.wait()
                tasks.cancel_scope.cancel()
        finally:
            self._attachment.task_group = self._attachment.background = self._watch.background_parent = None
            period.closed.set()

    # -- the hooks --------------------------------------------------------------------------------------------

    async def activate(self) -> object:
        """Open the group, prepare, run OnConfigurationChange, whose failure is only logged, then OnActivate.

        Where a preparation or OnActivate fails, or OnActivate returns anything but None or is cancelled, the group is
        cancelled and joined first. Returns what OnActivate returned.

        Raises:
            RuntimeError: The plugin is active already, or the process is stopping.
        """
        if not self._running:
            return await self._call(HookName.OnActivate, partial(_fail, "the plugin is stopping"))
        if self._state is not _State.INACTIVE:
            again = "OnActivate came again although the plugin is active already"
            return await self._call(HookName.OnActivate, partial(_fail, again))
        self._state = _State.ACTIVATING
        succeeded = False
        try:
            await self._open()
            result = await self._call(HookName.OnActivate, self._prepare_and_activate)
            if result is None:
                self._begin_intervals()
                succeeded = True
        finally:
            if succeeded:
                self._state = _State.ACTIVE
            else:
                await self._close()
        return result

    async def _prepare_and_activate(self) -> object:
        """Do what an OnActivate of the host's leads to, within its interceptors."""
        if self._attachment.task_group is None:
            raise RuntimeError("the plugin is stopping")
        for prepare in self._preparations:
            await prepare()
        await self._configure()
        set_hook(HookName.OnActivate)  # again, after the call within this one
        return await self._author(HookName.OnActivate)

    async def deactivate(self) -> object:
        """Run OnDeactivate where the plugin is active, then cancel and join the group; return the hook's result.

        One that comes while another is under way waits for that one. Cancellation breaks off the hook; the group is
        closed all the same.
        """
        if self._state is not _State.ACTIVE:
            return await self._call(HookName.OnDeactivate, self.end)
        self._state = _State.DEACTIVATING
        try:
            return await self._call(HookName.OnDeactivate, partial(self._author, HookName.OnDeactivate))
        finally:
            await self._close()

    async def end(self) -> object:
        """Deactivate where that has not been done; for the end of the process, which is no call of the host's."""
        if self._state is _State.ACTIVE:
            return await self.deactivate()
        if self._state is _State.DEACTIVATING:
            await self._period.closed.wait()
        return None

    async def _call(self, name: HookName, work: Callable[[], Awaitable[object]]) -> object:
        call = CallInfo(CallDirection.HOOK, str(name), ())
        return await self._watch.guard(name, self._interceptors.run(call, work))

    async def _author(self, name: HookName) -> object:
        return await self._handlers[name].run(self._threads)

    def _begin_intervals(self) -> None:
        background = self._attachment.background
        if background is not None:  # None: a crash has just ended the group, and the process will follow
            for name, (function, mark) in self._at_intervals.items():
                background.start_every(function, name, mark)

    async def _configure(self) -> None:
        """Do what the host leaves out: it calls OnConfigurationChange for later changes only."""
        try:
            name = HookName.OnConfigurationChange
            with SealedScope():
                result = await self._call(name, partial(self._author, name))
        except BaseException as error:
            if is_cancelled():
                raise
            log_failure("hook OnConfigurationChange failed before OnActivate", error, _FIRST_CHANGE)
        else:
            if result is not None:
                logger.error("hook OnConfigurationChange refused before OnActivate: %s", result, extra=_FIRST_CHANGE)

    # -- the group --------------------------------------------------------------------------------------------

    async def _open(self) -> None:
        self._period = _Period()
        self._open_asked.set()
        await self._period.opened.wait()

    async def _close(self) -> None:
        """Cancel and join the group, even while the caller is being cancelled."""
        period = self._period
        period.close_asked.set()
        if self._running:
            with anyio.move_on_after(limits.cleanup_s, shield=True) as scope:
                await period.closed.wait()
            if scope.cancelled_caught:
                logger.error("background tasks did not end within %s s after their cancellation", limits.cleanup_s)
        self._state = _State.INACTIVE


async def _fail(text: str) -> object:
    raise RuntimeError(text)


_FIRST_CHANGE = {"hook": str(HookName.OnConfigurationChange)}
