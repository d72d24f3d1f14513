"""Is a plugin's process under a debugger, so that its silence means nothing?

Layer:  host.
Input:  what the operator said; else what debugpy and PyCharm leave in the environment, and the kernel's word about
        tracing (Linux). A debugger that the plugin itself has loaded cannot be seen from outside: say so by the option.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import anyio

from mm_plugin import limits

__all__ = ("Debugger", "is_debugged_from_the_start")

#: Variables that debuggers give to a program they start.
_VARIABLES = ("DEBUGPY_RUNNING", "DEBUGPY_LAUNCHER_PORT", "PYDEVD_LOAD_VALUES_ASYNC")


def is_debugged_from_the_start(option: bool | None, environment: Mapping[str, str]) -> bool:
    """Tell whether a plugin starts under a debugger.

    Args:
        option: What the operator said; None looks at the environment.
        environment: The plugin's.
    """
    return any(environment.get(name) for name in _VARIABLES) if option is None else option


class Debugger:
    """Watches one process.

    Args:
        option: What the operator said; None finds out.
        environment: The process's.
        pid: The process.
    """

    def __init__(self, option: bool | None, environment: Mapping[str, str], pid: int) -> None:
        self._always = is_debugged_from_the_start(option, environment)
        self._status = Path(f"/proc/{pid}/status") if option is None else None
        self._traced = False
        self._look_again_at = 0.0

    def attached(self) -> bool:
        """Whether there is a debugger now; the kernel is asked at most every ``limits.host_debugger_poll_s``."""
        if self._always or self._status is None:
            return self._always
        now = anyio.current_time()
        if now >= self._look_again_at:
            self._look_again_at = now + limits.host_debugger_poll_s
            self._traced = _is_traced(self._status)
        return self._traced


def _is_traced(status: Path) -> bool:
    try:
        lines = status.read_bytes().splitlines()
    except OSError:  # no such system, or no such process any more
        return False
    return any(line.startswith(b"TracerPid:") and line.split()[1:] != [b"0"] for line in lines)
