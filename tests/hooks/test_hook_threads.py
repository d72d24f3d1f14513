"""Worker threads of blocking handlers: bounded, and a thread keeps its slot until it ends."""

from __future__ import annotations

from threading import Event, Semaphore, get_ident

import anyio
import pytest

from mm_plugin.hooks.threads import HookThreads


async def test_results_and_errors_come_back() -> None:
    """A function runs in another thread, and its result or exception reaches the caller."""
    threads = HookThreads(1)
    assert await threads.run(get_ident) != get_ident()
    with pytest.raises(ZeroDivisionError):
        await threads.run(lambda: 1 // 0)
    assert threads.busy == 0


async def test_no_more_functions_run_than_there_are_slots() -> None:
    """A function beyond the bound waits for a slot."""
    threads, began, release, running = HookThreads(2), Semaphore(0), Event(), list[int]()

    def work() -> None:
        running.append(1)
        began.release()
        release.wait(30)

    async with anyio.create_task_group() as tasks:
        for _ in range(5):
            tasks.start_soon(threads.run, work)
        for _ in range(2):
            await anyio.to_thread.run_sync(began.acquire)
        await anyio.wait_all_tasks_blocked()
        assert threads.busy == 2
        assert len(running) == 2
        release.set()
    assert len(running) == 5
    assert threads.busy == 0


async def test_an_abandoned_thread_holds_its_slot_until_it_ends() -> None:
    """After cancellation the slot is still taken; it comes back when the function returns."""
    threads, began, release = HookThreads(1), Event(), Event()

    def work() -> None:
        began.set()
        release.wait(30)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(threads.run, work)
        await anyio.to_thread.run_sync(began.wait, 10)
        tasks.cancel_scope.cancel()
    assert threads.busy == 1
    with anyio.move_on_after(0.02) as scope:
        await threads.run(lambda: None)
    assert scope.cancelled_caught
    release.set()
    with anyio.fail_after(10):
        assert await threads.run(lambda: 7) == 7
    assert threads.busy == 0


async def test_cancellation_while_waiting_for_a_slot_takes_none() -> None:
    """A call that is cancelled before it begins neither runs nor holds a slot."""
    threads, ran = HookThreads(1), list[int]()
    with anyio.CancelScope() as scope:
        scope.cancel()
        await threads.run(lambda: ran.append(1))
    assert not ran
    assert threads.busy == 0
