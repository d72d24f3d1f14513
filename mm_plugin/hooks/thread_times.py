"""How long a thread has been kept waiting for a processor, which is nobody's fault in the program.

Job:    tell a thread that stands still from one that others on the machine do not let run.
Layer:  hooks.
See:    the Linux kernel's Documentation/scheduler/sched-stats.rst, "/proc/<pid>/schedstat"; proc(5), "stat".
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

__all__ = ("ThreadTimes", "thread_times")


class ThreadTimes(NamedTuple):
    """What a thread has done until now, in seconds.

    Attributes:
        ran_s: It ran.
        waited_s: It could have run, and waited for a processor; a wait that goes on is not in it.
        ready: It runs now, or waits for a processor; otherwise it sleeps.
    """

    ran_s: float
    waited_s: float
    ready: bool

    def waited_since_s(self, before: ThreadTimes, passed_s: float) -> float:
        """Return how much of the time since ``before`` the thread waited for a processor.

        Args:
            before: The same thread's times then.
            passed_s: How long ago that was.
        """
        if self.ready:
            return max(0.0, passed_s - (self.ran_s - before.ran_s))
        return self.waited_s - before.waited_s


def thread_times(native_id: int) -> ThreadTimes:
    """Return the times of a thread of this process; zeros where the system does not tell.

    Args:
        native_id: What ``threading.get_native_id`` says in that thread.
    """
    task = Path(f"/proc/self/task/{native_id}")
    try:
        ran, waited, _ = (task / "schedstat").read_text().split()
        state = (task / "stat").read_text().rpartition(")")[2].split()[0]
        return ThreadTimes(int(ran) / 1e9, int(waited) / 1e9, state == "R")
    except (OSError, ValueError, IndexError):
        return ThreadTimes(0.0, 0.0, ready=False)
