"""A process that is suspended, or that others do not let run, has not blocked its event loop."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import anyio
import pytest
from anyio.abc import Process
from anyio.streams.buffered import BufferedByteReceiveStream

ROOT = Path(__file__).parents[2]
SCRIPT = Path(__file__).with_name("spinning_loop.py")


pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks at the process's state in /proc")


@asynccontextmanager
async def spinning(backend: str) -> AsyncGenerator[tuple[Process, Callable[[], Awaitable[str]]]]:
    """Start the loop; yield its process, and what has it block for real and returns all that it has said."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with anyio.fail_after(60):
        async with await anyio.open_process([sys.executable, str(SCRIPT), backend], env=environment) as process:
            assert process.stdout is not None
            assert process.stdin is not None
            stdout, stdin = BufferedByteReceiveStream(process.stdout), process.stdin
            assert await stdout.receive_until(b"\n", 1000) == b"ready"

            async def said() -> str:
                await stdin.send(b"enough\n")
                pieces = [stdout.buffer, *[piece async for piece in stdout]]
                assert await process.wait() == 0
                return b"".join(pieces).decode()

            yield process, said


def told_of_the_block_alone(said: str) -> bool:
    """Whether the one report is that of the hook which does block."""
    words = "blocks the event loop"
    return said.count(words) == 1 and said.startswith(f"hook OnSendDailyTelemetry {words}")


async def test_a_suspended_process_is_not_reported(anyio_backend_name: str) -> None:
    """Suspended in the midst of a hook, for longer than a loop may stand still: no word. One that blocks gets one."""
    async with spinning(anyio_backend_name) as (process, said):
        state = Path(f"/proc/{process.pid}/stat")
        for _ in range(4):
            process.send_signal(signal.SIGSTOP)
            while state.read_text().rpartition(")")[2].split()[0] != "T":  # noqa: ASYNC110 - only the kernel knows
                await anyio.sleep(0.005)
            await anyio.sleep(0.6)  # for the clock of the suspended process to go on
            process.send_signal(signal.SIGCONT)
            await anyio.sleep(0.2)  # for its threads to run
        assert told_of_the_block_alone(await said())


async def test_a_loop_that_waits_for_a_processor_is_not_reported(anyio_backend_name: str) -> None:
    """Its thread shares a processor with others that go first; that of the watch has another."""
    here, *_ = sorted(os.sched_getaffinity(0))
    async with spinning(anyio_backend_name) as (process, said), AsyncExitStack() as busy:
        for _ in range(3):
            other = await busy.enter_async_context(
                await anyio.open_process([sys.executable, "-c", "print(flush=True)\nwhile True: pass"])
            )
            busy.callback(other.kill)
            os.sched_setaffinity(other.pid, {here})
        os.sched_setaffinity(process.pid, {here})  # of the main thread alone
        os.setpriority(os.PRIO_PROCESS, process.pid, 19)
        waited = Path(f"/proc/{process.pid}/schedstat")
        begun = int(waited.read_text().split()[1])
        while int(waited.read_text().split()[1]) - begun < 2_000_000_000:  # noqa: ASYNC110 - only the kernel knows
            await anyio.sleep(0.02)
        os.sched_setaffinity(process.pid, os.sched_getaffinity(0))
        await busy.aclose()
        assert told_of_the_block_alone(await said())
