"""When a plugin is pinged, when it counts as failed, and when it is started again.

Job:    the policy of supervision, without a clock: every method is given the time.
Layer:  host, sans-IO.
Input:  what has happened, and when, in seconds on any clock that does not go back.
Output: when to ping next; whether to start again and after which pause.
See:    reference of the Go host, sections 1.7 and 1.8. Unlike it, a ping has a deadline, a restart has a pause that
        grows, a restart that fails is a failure like any other, and time under a debugger does not count.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from mm_plugin import limits

__all__ = ("Supervision", "SupervisionRules")


@dataclass(frozen=True, slots=True, kw_only=True)
class SupervisionRules:
    """The numbers of the policy.

    Attributes:
        ping_interval_s: From one health check to the next.
        pings: How many pings in a row must fail before the plugin counts as failed; each after the first goes at once.
        failures: The failure, among those within the window, that turns the plugin off; 1 means no restart, 0 no limit.
        failure_window_s: How long a failure counts; one exactly as old still does.
        restart_pause_s: Before the first restart; it doubles with each further failure within the window.
        restart_pause_most_s: The longest pause.
    """

    ping_interval_s: float = limits.host_ping_interval_s
    pings: int = limits.host_pings
    failures: int = limits.host_failures
    failure_window_s: float = limits.host_failure_window_s
    restart_pause_s: float = limits.host_restart_pause_s
    restart_pause_most_s: float = limits.host_restart_pause_most_s


class Supervision:
    """What is remembered of one plugin over its lives.

    Args:
        rules: The numbers.
    """

    def __init__(self, rules: SupervisionRules) -> None:
        self._rules = rules
        self._failed_at: deque[float] = deque(maxlen=max(rules.failures, limits.host_failures_remembered))
        self._missed = 0
        self._next_ping_at = 0.0

    @property
    def next_ping_at(self) -> float:
        """When the plugin is to be pinged next."""
        return self._next_ping_at

    @property
    def missed(self) -> int:
        """How many pings in a row were not answered."""
        return self._missed

    def failures_within(self, now: float) -> int:
        """Return how many failures count now."""
        return sum(now - at <= self._rules.failure_window_s for at in self._failed_at)

    def started(self, now: float) -> None:
        """The plugin runs: its pings begin."""
        self._missed = 0
        self._next_ping_at = now + self._rules.ping_interval_s

    def answered(self, now: float) -> None:
        """A ping was answered, or there is a debugger that explains why not."""
        self.started(now)

    def missed_ping(self, now: float) -> bool:
        """Note that a ping was not answered; the next one goes at once.

        Returns:
            Whether the plugin has failed by that.
        """
        self._missed += 1
        self._next_ping_at = now
        return self._missed >= self._rules.pings

    def failed(self, now: float) -> float | None:
        """Note a failure: a death, missed pings, or a restart that did not succeed.

        Returns:
            The pause before the next start, in seconds; None where the plugin is off from now on, and what it did
            before is forgotten.
        """
        self._failed_at.append(now)
        count = self.failures_within(now)
        if 0 < self._rules.failures <= count:
            self._failed_at.clear()
            return None
        doublings = min(count - 1, 32)
        return min(self._rules.restart_pause_s * 2.0**doublings, self._rules.restart_pause_most_s)
