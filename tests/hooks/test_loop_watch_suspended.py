"""A process that is suspended, by SIGSTOP or a debugger, has not blocked its event loop."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import anyio
import pytest
from anyio.streams.buffered import BufferedByteReceiveStream

ROOT = Path(__file__).parents[2]
SCRIPT = Path(__file__).with_name("spinning_loop.py")


@pytest.mark.skipif(sys.platform != "linux", reason="looks at the process's state in /proc")
async def test_a_suspended_process_is_not_reported(anyio_backend_name: str) -> None:
    """Suspended in the midst of a hook, for longer than a loop may stand still: no word. One that blocks gets one."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with anyio.fail_after(60):
        async with await anyio.open_process(
            [sys.executable, str(SCRIPT), anyio_backend_name], env=environment
        ) as process:
            assert process.stdout is not None
            assert process.stdin is not None
            stdout = BufferedByteReceiveStream(process.stdout)
            assert await stdout.receive_until(b"\n", 1000) == b"ready"
            state = Path(f"/proc/{process.pid}/stat")
            for _ in range(4):
                process.send_signal(signal.SIGSTOP)
                while state.read_text().rpartition(")")[2].split()[0] != "T":  # noqa: ASYNC110 - only the kernel knows
                    await anyio.sleep(0.005)
                await anyio.sleep(0.6)  # for the clock of the suspended process to go on
                process.send_signal(signal.SIGCONT)
                await anyio.sleep(0.2)  # for its threads to run
            await process.stdin.send(b"enough\n")
            said = b"".join([piece async for piece in process.stdout]).decode()
            assert await process.wait() == 0
    said = stdout.buffer.decode() + said
    assert said.count("blocks the event loop") == 1
    assert said.startswith("hook OnSendDailyTelemetry blocks the event loop")
