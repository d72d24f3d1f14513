"""Signals, really sent to this very process: the first drains, the next cancels."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from functools import partial

import anyio
import pytest

from mm_plugin.supervisor.signals import leave_interrupts_to_the_host, watch_signals
from mm_plugin.supervisor.stop import StopControl
from mm_plugin.wire.drain import Phase


async def until(condition: Callable[[], bool]) -> None:
    with anyio.fail_after(10):
        while not condition():  # noqa: ASYNC110 - signals arrive when the kernel likes
            await anyio.sleep(0.001)


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
async def test_first_signal_drains_and_the_next_cancels(second: signal.Signals) -> None:
    """Where interrupts count, they count like SIGTERM; afterwards the former handlers are back."""
    stop = StopControl()
    stop.note_started()
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    async with anyio.create_task_group() as tasks:
        await tasks.start(partial(watch_signals, stop, within_s=60, obey_interrupts=True))
        os.kill(os.getpid(), signal.SIGTERM)
        await until(lambda: stop.phase is Phase.REFUSING)
        os.kill(os.getpid(), second)
        await until(lambda: stop.phase is Phase.CANCELLING)
        tasks.cancel_scope.cancel()
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before


def test_interrupts_left_to_the_host_do_nothing_and_are_not_inherited() -> None:
    """A handler that does nothing, not SIG_IGN, which children would keep."""
    before = signal.getsignal(signal.SIGINT)
    try:
        leave_interrupts_to_the_host()
        os.kill(os.getpid(), signal.SIGINT)
        assert callable(signal.getsignal(signal.SIGINT))
    finally:
        signal.signal(signal.SIGINT, before)
