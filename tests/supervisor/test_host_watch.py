"""Watching the host: the kernel tells, or the parent's id does; both really tried in child processes."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import anyio
import pytest

from mm_plugin.supervisor import host_watch
from mm_plugin.supervisor.host_watch import wait_parent_gone

ROOT = Path(__file__).parents[2]

# A middle process starts a watcher and waits to be killed; the watcher says when its parent has gone.
WATCHER = """
import os, sys
import anyio
from mm_plugin.supervisor import host_watch
parent = os.getppid()
if sys.argv[2] == "poll":
    host_watch._process_descriptor = lambda process: None
async def main():
    sys.stdout.write("watching\\n"); sys.stdout.flush()
    await host_watch.wait_parent_gone(parent)
    sys.stdout.write("gone\\n"); sys.stdout.flush()
anyio.run(main, backend=sys.argv[1])
"""
MIDDLE = "import subprocess, sys; subprocess.run([sys.executable, '-c', *sys.argv[1:]])"


@pytest.mark.parametrize("way", ["kernel", "poll"])
async def test_killed_parent_is_noticed(anyio_backend: str, way: str) -> None:
    """A parent that is killed without a word is noticed, with and without the kernel's help."""
    command = [sys.executable, "-c", MIDDLE, WATCHER, anyio_backend, way]
    with anyio.fail_after(30):
        async with await anyio.open_process(command, env={**os.environ, "PYTHONPATH": str(ROOT)}) as middle:
            assert middle.stdout is not None
            assert await middle.stdout.receive() == b"watching\n"
            middle.kill()
            assert await middle.stdout.receive() == b"gone\n"


async def test_living_parent_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """As long as the parent lives, the wait goes on, and can be cancelled."""
    for descriptor in (True, False):
        if not descriptor:
            monkeypatch.setattr(host_watch, "_process_descriptor", lambda process: None)
        with anyio.move_on_after(0.05) as scope:
            await wait_parent_gone(os.getppid())
        assert scope.cancelled_caught


async def test_parent_that_has_gone_before_the_watch_began() -> None:
    """Another process's child does not wait for it."""
    with anyio.fail_after(5):
        await wait_parent_gone(os.getpid())
        await wait_parent_gone(2**22 + 1)  # no process has this id
