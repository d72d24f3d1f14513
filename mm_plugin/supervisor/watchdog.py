"""Ends the process where its stop overruns: by C code, which works while the event loop or the interpreter is held up.

Layer:  supervisor (process layer).
Output: the stacks of all threads on standard error, and exit code 1.
"""

from __future__ import annotations

import atexit
import faulthandler
import math
import threading
import time

from mm_plugin import limits

__all__ = ("Watchdog",)


class Watchdog:
    """The end of one process, which can be moved forward only.

    It is called off once the interpreter has joined all threads: nothing of the plugin can hold the process up then,
    and what is left to clear away must not turn an orderly stop into an overrun.
    """

    def __init__(self) -> None:
        self._end_at = math.inf
        self._lock = threading.RLock()  # a signal handler may interrupt its own thread in here
        atexit.register(faulthandler.cancel_dump_traceback_later)

    @property
    def remaining_s(self) -> float:
        """Seconds until the stop must be over, without ``limits.stop_overrun_s``; infinite where nothing was set."""
        return self._end_at - limits.stop_overrun_s - time.monotonic()

    def end_after(self, seconds: float) -> None:
        """End the process unless it has ended by itself; of several ends the earliest counts.

        May be called from any thread and from signal handlers.

        Args:
            seconds: What the stop may take; ``limits.stop_overrun_s`` is added.
        """
        with self._lock:
            self._end_at = min(self._end_at, time.monotonic() + seconds + limits.stop_overrun_s)
            armed = math.inf
            while armed > self._end_at:  # a signal in between has moved it forward
                armed = self._end_at
                faulthandler.dump_traceback_later(max(armed - time.monotonic(), 0.001), exit=True)
