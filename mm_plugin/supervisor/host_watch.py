"""Notice that the host has gone, however it went.

Job:    wait for the end of the parent process.
Layer:  supervisor (process layer).
See:    The end of standard input says nothing: hosts start plugins with any standard input, /dev/null included.
"""

from __future__ import annotations

import os
import select
import sys
import threading
import time
from collections.abc import Callable

import anyio

from mm_plugin import limits
from mm_plugin.supervisor.stop import StopControl

__all__ = ("guard_against_lost_host", "wait_parent_gone", "watch_host")


async def watch_host(stop: StopControl, parent: int) -> None:
    """Ask for a quick stop once the host has gone: nobody is left to answer.

    Args:
        stop: Where to ask.
        parent: The host's process id, taken when this process started.
    """
    await wait_parent_gone(parent)
    stop.ask("the host has gone", within_s=limits.stop_after_host_gone_s)


def guard_against_lost_host(parent: int, on_gone: Callable[[float], None]) -> None:
    """Watch the host in a daemon thread, too, for an event loop that is blocked when it goes.

    Args:
        parent: The host's process id, taken when this process started.
        on_gone: Called in the thread with the seconds that the stop may take.
    """

    def watch() -> None:
        descriptor = _process_descriptor(parent)
        if descriptor is not None and os.getppid() == parent:
            select.select([descriptor], [], [])
        while os.getppid() == parent:
            time.sleep(limits.parent_poll_s)
        on_gone(limits.stop_after_host_gone_s)

    threading.Thread(target=watch, name="host guard", daemon=True).start()


async def wait_parent_gone(parent: int) -> None:
    """Wait until ``parent`` is no longer this process's parent.

    The kernel tells where it can (Linux 5.3 and newer); elsewhere, and where a sandbox forbids that, the parent's id
    is looked at every ``limits.parent_poll_s``.
    """
    descriptor = _process_descriptor(parent)
    if descriptor is None:
        while os.getppid() == parent:  # noqa: ASYNC110 - nobody sets an event for this
            await anyio.sleep(limits.parent_poll_s)
        return
    try:
        # An id that was taken over by another process has not been ours: we are somebody else's child by then.
        if os.getppid() == parent:
            await anyio.wait_readable(descriptor)
    finally:
        os.close(descriptor)


def _process_descriptor(process: int) -> int | None:
    """Return a descriptor that becomes readable when the process ends; None where there is no such thing."""
    if sys.platform == "linux" and hasattr(os, "pidfd_open"):
        try:
            return os.pidfd_open(process)
        except OSError:
            return None
    return None
