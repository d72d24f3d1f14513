"""A thread that never ends cannot keep a plugin's process alive beyond the budget of its stop."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import anyio
import pytest
from anyio.streams.buffered import BufferedByteReceiveStream

from mm_plugin import limits
from mm_plugin._proto.services import hook_methods
from mm_plugin.transport.goplugin.host_end import open_host_link
from mm_plugin.transport.link import CallFailure
from mm_plugin.wire.handshake import parse_handshake_line

ROOT = Path(__file__).parents[2]
SCRIPT = Path(__file__).with_name("stuck_plugin.py")


async def test_a_stuck_hook_does_not_hold_the_stop(anyio_backend_name: str) -> None:
    """After Shutdown the process is gone within its budget and the overrun that is allowed, whatever a thread does."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PLUGIN_", "M"))}
    environment = {
        **kept,
        "PYTHONPATH": str(ROOT),
        "MATTERMOST_PLUGIN": "Securely message teams, anywhere.",
        "MATTERMOST_PLUGIN_HOOK_TIMEOUT": "0.2",
        "MM_PLUGIN_BACKEND": anyio_backend_name,
    }
    with anyio.fail_after(40):
        async with await anyio.open_process([sys.executable, str(SCRIPT)], env=environment) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            line = await BufferedByteReceiveStream(process.stdout).receive_until(b"\n", 1000)
            stderr = BufferedByteReceiveStream(process.stderr)
            async with open_host_link(parse_handshake_line(line)) as host:
                name = "OnSendDailyTelemetry"
                with pytest.raises(CallFailure):
                    await host.call_hook(name, hook_methods()[name].request())
                await stderr.receive_until(b"stuck\n", 65_536)
                asked_at = anyio.current_time()
                await host.ask_stop()
                await process.wait()
                took_s = anyio.current_time() - asked_at
    # Ended by itself (0), or by the watch over the stop (1); never held until somebody kills it.
    assert process.returncode in {0, 1}
    assert took_s < limits.stop_after_shutdown_s + limits.stop_overrun_s + 1
