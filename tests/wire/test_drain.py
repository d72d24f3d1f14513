"""Phases of stopping: they only go forward, each ends in time, a hurry skips to cancelling."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from mm_plugin import limits
from mm_plugin.exceptions import LocalProtocolError
from mm_plugin.wire.drain import TRANSITIONS, Happening, Lifecycle, Phase, StopBudget

ORDER = list(Phase)
STEPS = {
    Phase.STARTING: Happening.STARTED,
    Phase.REFUSING: Happening.REFUSED,
    Phase.DRAINING: Happening.DRAINED,
    Phase.DEACTIVATING: Happening.DEACTIVATED,
    Phase.CANCELLING: Happening.CANCELLED,
    Phase.CLOSING: Happening.CLOSED,
}
times = st.floats(min_value=0, max_value=1e6)


class Life(RuleBasedStateMachine):
    """A plugin's life beside a model that counts its place and keeps its own deadline."""

    def __init__(self) -> None:
        super().__init__()
        self.life = Lifecycle()
        self.place = 0  # in ORDER
        self.now = 0.0
        self.over_by: float | None = None

    def at(self, phase: Phase) -> int:
        return ORDER.index(phase)

    @rule(seconds=st.floats(0, 3))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @precondition(lambda self: ORDER[self.place] in STEPS)
    @rule()
    def step(self) -> None:
        self.life.advance(STEPS[ORDER[self.place]])
        self.place += 1

    @rule(within_s=st.floats(0.1, 10))
    def ask(self, within_s: float) -> None:
        self.life.ask_stop(now=self.now, within_s=within_s)
        self.shorten(self.now + within_s)
        if self.place == self.at(Phase.STARTING):
            self.place = self.at(Phase.CANCELLING)
        elif self.place == self.at(Phase.SERVING):
            self.place = self.at(Phase.REFUSING)

    @rule(crash=st.booleans())
    def cut(self, crash: bool) -> None:
        (self.life.fail if crash else self.life.hurry)(now=self.now)
        self.shorten(self.now + limits.cleanup_s)
        self.place = max(self.place, self.at(Phase.CANCELLING))

    @rule(happening=st.sampled_from(Happening))
    def whatever_else(self, happening: Happening) -> None:
        if happening in {STEPS.get(ORDER[self.place]), Happening.STOP_ASKED, Happening.HURRIED, Happening.FAILED}:
            return
        with pytest.raises(LocalProtocolError, match=happening.name):
            self.life.advance(happening)

    def shorten(self, until: float) -> None:
        self.over_by = until if self.over_by is None else min(self.over_by, until)

    @invariant()
    def agrees(self) -> None:
        assert self.life.phase is ORDER[self.place]
        assert self.life.close_until == self.over_by
        stopping = self.at(Phase.REFUSING) <= self.place <= self.at(Phase.CLOSING)
        if not stopping:
            assert self.life.deadline is None
        else:
            assert self.over_by is not None
            assert self.life.deadline is not None
            assert self.life.deadline <= self.over_by


TestLife = Life.TestCase


@given(now=times, within_s=st.floats(min_value=0.01, max_value=100))
def test_the_phases_end_in_order_within_the_whole(now: float, within_s: float) -> None:
    """Each phase ends no later than the next one, and the last one with the whole time."""
    budget = StopBudget.split(now=now, within_s=within_s)
    ends = [budget.drain_until, budget.deactivate_until, budget.cancel_until, budget.close_until]
    assert ends == sorted(ends)
    assert now <= ends[0]
    assert ends[-1] == now + within_s


@given(times, times, st.floats(0.01, 10), st.floats(0.01, 10))
def test_asking_again_never_lengthens(first: float, wait: float, one_s: float, two_s: float) -> None:
    """The earlier end of every phase counts, whoever asked first."""
    early = StopBudget.split(now=first, within_s=one_s)
    late = StopBudget.split(now=first + wait, within_s=two_s)
    both = early.tightened(late)
    assert both == late.tightened(early)
    for phase in ORDER:
        ends = {early.until(phase), late.until(phase)}
        assert both.until(phase) == (None if ends == {None} else min(end for end in ends if end is not None))


def test_a_hurry_leaves_nothing_for_calls() -> None:
    """After a second signal calls and on_deactivate have no time left, cancelling has a second."""
    budget = StopBudget.split(now=0, within_s=5).tightened(StopBudget.hurried(now=1))
    assert (budget.drain_until, budget.deactivate_until) == (1, 1)
    assert budget.cancel_until == 1 + limits.cleanup_s


def test_every_phase_reaches_the_end() -> None:
    """From each phase a hurry and two steps close the plugin."""
    for phase, happenings in TRANSITIONS.items():
        if phase not in {Phase.CLOSING, Phase.CLOSED}:
            assert happenings[Happening.HURRIED] is Phase.CANCELLING
