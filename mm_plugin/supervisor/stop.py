"""The one place where a plugin is asked to stop, whoever asks. Internal.

Job:    take requests to stop, and give each step of the stop the time it has left.
Layer:  supervisor.
Input:  ``ask`` and ``hurry``, from the host's Shutdown, signals, a lost host, or PluginServer.stop.
Output: ``wait_asked``; ``step`` for each phase, whose time shrinks when somebody asks again.
See:    mm_plugin/wire/drain.py for the phases.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Awaitable, Callable

import anyio

from mm_plugin.wire.drain import Happening, Lifecycle, Phase

__all__ = ("StopControl",)

logger = logging.getLogger("mm_plugin.supervisor")


class StopControl:
    """Collects what asks a plugin to stop, and holds every step of the stop to its time.

    All methods belong to the event loop's thread.

    Args:
        on_deadline: Called whenever the end of the whole stop is set or moves, with the seconds that are left.
    """

    def __init__(self, *, on_deadline: Callable[[float], None] | None = None) -> None:
        self._life = Lifecycle()
        self._asked = anyio.Event()
        self._step: tuple[Phase, anyio.CancelScope] | None = None
        self._on_deadline = on_deadline

    @property
    def phase(self) -> Phase:
        """Where the plugin stands."""
        return self._life.phase

    def note_started(self) -> bool:
        """Note that calls can arrive; False where the stop was asked before."""
        if self._life.phase is not Phase.STARTING:
            return False
        self._life.advance(Happening.STARTED)
        return True

    def ask(self, reason: str, *, within_s: float) -> None:
        """Ask for a stop; asked again, the earlier end counts.

        Args:
            reason: Why, for the log.
            within_s: Seconds for the whole stop.
        """
        logger.info("stopping within %g s: %s", within_s, reason)
        self._life.ask_stop(now=anyio.current_time(), within_s=within_s)
        self._changed()

    def hurry(self, reason: str) -> None:
        """Skip what is left of draining and deactivating."""
        logger.warning("stopping now: %s", reason)
        self._life.hurry(now=anyio.current_time())
        self._changed()

    def note_crash(self) -> None:
        """Note that the plugin crashed, so that what is left of it has no longer than a hurried stop."""
        self._life.fail(now=anyio.current_time())
        self._changed()

    async def wait_asked(self) -> None:
        """Wait until somebody asks for a stop."""
        await self._asked.wait()

    async def step(self, phase: Phase, over: Happening, work: Callable[[], Awaitable[object]]) -> None:
        """Do the work of one phase within its time; nothing where the stop has gone past that phase.

        Cancellation is passed on; the phase then stays.

        Args:
            phase: The phase that the work belongs to.
            over: What has happened once the work is done or its time is over.
            work: Does it; cancelled when its time is over.
        """
        if self._life.phase is not phase:
            return
        with anyio.CancelScope(deadline=math.inf if self._life.deadline is None else self._life.deadline) as scope:
            self._step = phase, scope
            await work()
        self._step = None
        if scope.cancelled_caught:
            logger.warning("the time for %s is over", phase.name.lower())
        if self._life.phase is phase:
            self._life.advance(over)

    def _changed(self) -> None:
        self._asked.set()
        if self._step is not None:
            phase, scope = self._step
            if phase is not self._life.phase:
                scope.cancel()
            elif self._life.deadline is not None:
                scope.deadline = self._life.deadline
        if self._on_deadline is not None and self._life.close_until is not None:
            self._on_deadline(max(0.0, self._life.close_until - anyio.current_time()))
