"""The policy of supervision on a clock that the tests turn."""

from collections.abc import Callable

import pytest
from hypothesis import settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from mm_plugin.host.supervision import Supervision, SupervisionRules

HOUR = 3600.0


def test_third_failure_within_the_hour() -> None:
    """The default: two restarts with a growing pause, the third failure turns the plugin off."""
    supervision = Supervision(SupervisionRules())
    assert supervision.failed(0) == 1
    assert supervision.failed(10) == 2
    assert supervision.failed(HOUR - 1) is None


@pytest.mark.parametrize(("third_at", "off"), [(HOUR - 1e-6, True), (HOUR, True), (HOUR + 1e-6, False)])
def test_boundary(third_at: float, off: bool) -> None:
    """A failure exactly sixty minutes old still counts, and an older one does not."""
    supervision = Supervision(SupervisionRules())
    supervision.failed(0)
    supervision.failed(1)
    assert (supervision.failed(third_at) is None) is off


def test_off_forgets() -> None:
    """A plugin that was turned off and is enabled again begins anew."""
    supervision = Supervision(SupervisionRules(failures=2))
    assert supervision.failed(0) == 1
    assert supervision.failed(1) is None
    assert supervision.failures_within(1) == 0
    assert supervision.failed(2) == 1


def test_pause_grows_to_its_bound() -> None:
    """Without a limit the pause doubles up to its longest, and shrinks when the failures grow old."""
    supervision = Supervision(SupervisionRules(failures=0, restart_pause_s=1, restart_pause_most_s=10))
    assert [supervision.failed(0) for _ in range(100)][:6] == [1, 2, 4, 8, 10, 10]
    assert supervision.failed(0) == 10
    assert supervision.failed(HOUR + 1) == 1


def test_pings() -> None:
    """A ping every thirty seconds; one that is missed is followed at once, and three in a row are a failure."""
    supervision = Supervision(SupervisionRules())
    supervision.started(100)
    assert supervision.next_ping_at == 130
    assert not supervision.missed_ping(135)
    assert supervision.next_ping_at == 135
    assert not supervision.missed_ping(140)
    supervision.answered(141)
    assert supervision.next_ping_at == 171
    assert [supervision.missed_ping(176 + 5 * number) for number in range(3)] == [False, False, True]


class SupervisionMachine(RuleBasedStateMachine):
    """Any history, judged by a model that keeps all of it."""

    @initialize(
        failures=st.integers(0, 5),
        pings=st.integers(1, 4),
        window=st.sampled_from([0.0, 1.0, 60.0]),
        pause=st.sampled_from([0.0, 1.0, 3.0]),
    )
    def begin(self, failures: int, pings: int, window: float, pause: float) -> None:
        self.numbers = SupervisionRules(
            failures=failures, pings=pings, failure_window_s=window, restart_pause_s=pause, restart_pause_most_s=7
        )
        self.supervision = Supervision(self.numbers)
        self.now = 0.0
        self.history: list[float] = []
        self.in_a_row = 0
        self.ping_at: float | None = None

    @rule(seconds=st.sampled_from([0.0, 0.5, 1.0, 59.0, 60.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule(what=st.sampled_from([Supervision.started, Supervision.answered]))
    def is_well(self, what: Callable[[Supervision, float], None]) -> None:
        what(self.supervision, self.now)
        self.in_a_row = 0
        self.ping_at = self.now + 30

    @rule()
    def misses(self) -> None:
        self.in_a_row += 1
        self.ping_at = self.now
        assert self.supervision.missed_ping(self.now) is (self.in_a_row >= self.numbers.pings)

    @rule()
    def fails(self) -> None:
        self.history.append(self.now)
        young = [at for at in self.history if at >= self.now - self.numbers.failure_window_s]
        pause = self.supervision.failed(self.now)
        if self.numbers.failures and len(young) >= self.numbers.failures:
            assert pause is None
            self.history.clear()
        else:
            expected = self.numbers.restart_pause_s
            for _ in young[1:]:
                expected = min(expected * 2, 7)
            assert pause == expected

    @invariant()
    def agrees(self) -> None:
        if hasattr(self, "numbers"):
            assert self.supervision.missed == self.in_a_row
            if self.ping_at is not None:
                assert self.supervision.next_ping_at == self.ping_at
            assert self.numbers.failures == 0 or self.supervision.failures_within(self.now) < self.numbers.failures


TestSupervisionMachine = SupervisionMachine.TestCase
TestSupervisionMachine.settings = settings(max_examples=100, stateful_step_count=30)
