"""The phases of a plugin's life and of its stopping, with their budgets. Internal.

Job:    say which phase comes next, and until when each may last.
Layer:  wire (sans-IO); the clock is the caller's.
Input:  what happened (Happening), and times of a monotonic clock in seconds.
Output: the phase, and the deadline of the current one.
Errors: LocalProtocolError for what cannot happen in a phase; the phase stays.

Every change of phase stands in ``TRANSITIONS``; what is not there cannot happen. Asking to stop is allowed in every
phase and only ever shortens what is left; hurrying skips to CANCELLING.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto, unique

from mm_plugin import limits
from mm_plugin.exceptions import LocalProtocolError

__all__ = ("TRANSITIONS", "Happening", "Lifecycle", "Phase", "StopBudget")


@unique
class Phase(Enum):
    """Where a plugin stands."""

    STARTING = auto()  # nothing arrives yet
    SERVING = auto()  # health says so
    REFUSING = auto()  # health says NOT_SERVING; from now on no new calls
    DRAINING = auto()  # calls that run have a grace
    DEACTIVATING = auto()  # on_deactivate, if it has not run
    CANCELLING = auto()  # the activation group is cancelled and joined
    CLOSING = auto()  # the link is cut
    CLOSED = auto()


@unique
class Happening(Enum):
    """What moves a plugin from one phase to another."""

    STARTED = auto()
    STOP_ASKED = auto()
    REFUSED = auto()
    DRAINED = auto()  # nothing runs any more, or the grace is over
    DEACTIVATED = auto()
    CANCELLED = auto()
    CLOSED = auto()
    HURRIED = auto()  # a second signal
    FAILED = auto()  # the plugin crashed


_CUT = {Happening.HURRIED: Phase.CANCELLING, Happening.FAILED: Phase.CANCELLING}


def _again(phase: Phase) -> dict[Happening, Phase]:
    return dict.fromkeys((Happening.STOP_ASKED, Happening.HURRIED, Happening.FAILED), phase)


#: All changes of phase there are.
TRANSITIONS: dict[Phase, dict[Happening, Phase]] = {
    # Nothing has arrived, so there is nothing to drain and nothing to deactivate.
    Phase.STARTING: {**_CUT, Happening.STARTED: Phase.SERVING, Happening.STOP_ASKED: Phase.CANCELLING},
    Phase.SERVING: {**_CUT, Happening.STOP_ASKED: Phase.REFUSING},
    Phase.REFUSING: {**_CUT, Happening.STOP_ASKED: Phase.REFUSING, Happening.REFUSED: Phase.DRAINING},
    Phase.DRAINING: {**_CUT, Happening.STOP_ASKED: Phase.DRAINING, Happening.DRAINED: Phase.DEACTIVATING},
    Phase.DEACTIVATING: {**_CUT, Happening.STOP_ASKED: Phase.DEACTIVATING, Happening.DEACTIVATED: Phase.CANCELLING},
    Phase.CANCELLING: {**_again(Phase.CANCELLING), Happening.CANCELLED: Phase.CLOSING},
    Phase.CLOSING: {**_again(Phase.CLOSING), Happening.CLOSED: Phase.CLOSED},
    Phase.CLOSED: _again(Phase.CLOSED),
}

#: How much of the whole time is over when each phase must end. What a phase leaves goes to the next ones.
_DRAIN_SHARE = 0.5
_DEACTIVATE_SHARE = 0.8
_CANCEL_SHARE = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class StopBudget:
    """Until when each phase of a stop may last, on the caller's clock."""

    drain_until: float
    deactivate_until: float
    cancel_until: float
    close_until: float

    @classmethod
    def split(cls, *, now: float, within_s: float) -> StopBudget:
        """Split ``within_s`` seconds from ``now`` among the phases."""
        return cls(
            drain_until=now + within_s * _DRAIN_SHARE,
            deactivate_until=now + within_s * _DEACTIVATE_SHARE,
            cancel_until=now + within_s * _CANCEL_SHARE,
            close_until=now + within_s,
        )

    @classmethod
    def hurried(cls, *, now: float) -> StopBudget:
        """Leave nothing for calls and on_deactivate, and ``limits.cleanup_s`` for the rest."""
        until = now + limits.cleanup_s
        return cls(drain_until=now, deactivate_until=now, cancel_until=until, close_until=until)

    def tightened(self, other: StopBudget) -> StopBudget:
        """Return the earlier end of each phase."""
        return StopBudget(
            drain_until=min(self.drain_until, other.drain_until),
            deactivate_until=min(self.deactivate_until, other.deactivate_until),
            cancel_until=min(self.cancel_until, other.cancel_until),
            close_until=min(self.close_until, other.close_until),
        )

    def until(self, phase: Phase) -> float | None:
        """Return when a phase must end; None for one that is no part of stopping."""
        return {
            Phase.REFUSING: self.drain_until,
            Phase.DRAINING: self.drain_until,
            Phase.DEACTIVATING: self.deactivate_until,
            Phase.CANCELLING: self.cancel_until,
            Phase.CLOSING: self.close_until,
        }.get(phase)


class Lifecycle:
    """One plugin's phase, and its budget once it stops."""

    __slots__ = ("_budget", "_phase")

    def __init__(self) -> None:
        self._phase = Phase.STARTING
        self._budget: StopBudget | None = None

    @property
    def phase(self) -> Phase:
        """Where the plugin stands."""
        return self._phase

    @property
    def deadline(self) -> float | None:
        """When the current phase must end; None before the stop and after it."""
        return self._budget.until(self._phase) if self._budget is not None else None

    @property
    def close_until(self) -> float | None:
        """When the whole stop must be over; None before it."""
        return self._budget.close_until if self._budget is not None else None

    def advance(self, happening: Happening) -> Phase:
        """Take what happened and return the phase that follows.

        Raises:
            LocalProtocolError: It cannot happen in this phase, which stays.
        """
        following = TRANSITIONS[self._phase].get(happening)
        if following is None:
            raise LocalProtocolError(f"{happening.name} cannot happen while {self._phase.name}")
        self._phase = following
        return following

    def ask_stop(self, *, now: float, within_s: float) -> Phase:
        """Stop within so many seconds; asked again, the earlier end counts.

        Returns:
            The phase that follows.
        """
        self._tighten(StopBudget.split(now=now, within_s=within_s))
        return self.advance(Happening.STOP_ASKED)

    def hurry(self, *, now: float) -> Phase:
        """Skip what is left but cancelling and closing.

        Returns:
            The phase that follows.
        """
        self._tighten(StopBudget.hurried(now=now))
        return self.advance(Happening.HURRIED)

    def fail(self, *, now: float) -> Phase:
        """Note that the plugin crashed: nothing of it can be drained or deactivated.

        Returns:
            The phase that follows.
        """
        self._tighten(StopBudget.hurried(now=now))
        return self.advance(Happening.FAILED)

    def _tighten(self, budget: StopBudget) -> None:
        self._budget = budget if self._budget is None else self._budget.tightened(budget)
