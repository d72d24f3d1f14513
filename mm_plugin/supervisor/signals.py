"""Signals that end a plugin: the first one drains, the next one cancels.

Layer:  supervisor (process layer).
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from types import FrameType

import anyio
from anyio.abc import TaskStatus

from mm_plugin.supervisor.stop import StopControl

__all__ = ("leave_interrupts_to_the_host", "watch_signals")


def leave_interrupts_to_the_host() -> None:
    """Let SIGINT pass without effect: Ctrl-C reaches the whole terminal, and the host then stops us in order.

    A handler of our own rather than SIG_IGN, which the plugin's child processes would inherit.
    """
    signal.signal(signal.SIGINT, _pass)


def _pass(number: int, frame: FrameType | None) -> None:
    """Do nothing."""


async def watch_signals(
    stop: StopControl,
    *,
    within_s: float,
    obey_interrupts: bool,
    on_signal: Callable[[float], None] | None = None,
    task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED,
) -> None:
    """Ask for a stop at the first SIGTERM, hurry it at the next; reports started once signals are heard.

    Never returns by itself. Cancellation gives the signals their former handlers back. Belongs to the main thread.

    Args:
        stop: Where to ask.
        within_s: Seconds for the whole stop.
        obey_interrupts: Whether SIGINT counts too.
        on_signal: Called with ``within_s`` at each signal, also while the event loop is blocked by Python code.
        task_status: For ``TaskGroup.start``.
    """
    numbers = (signal.SIGTERM, signal.SIGINT) if obey_interrupts else (signal.SIGTERM,)
    with anyio.open_signal_receiver(*numbers) as received, _told_at_once(numbers, on_signal, within_s):
        task_status.started()
        first = True
        async for number in received:
            if first:
                stop.ask(f"signal {number.name}", within_s=within_s)
            else:
                stop.hurry(f"another signal, {number.name}")
            first = False


@contextmanager
def _told_at_once(
    numbers: Sequence[signal.Signals], on_signal: Callable[[float], None] | None, within_s: float
) -> Generator[None]:
    """Call ``on_signal`` in the handlers themselves, which run in the main thread whatever the event loop does.

    Loops learn of signals by a file descriptor or by the handler that is here already; both still work.
    """
    if on_signal is None:
        yield
        return
    before = {number: signal.getsignal(number) for number in numbers}

    def handle(number: int, frame: FrameType | None) -> None:
        on_signal(within_s)
        handler = before[signal.Signals(number)]
        if callable(handler):
            handler(number, frame)

    for number in numbers:
        signal.signal(number, handle)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
