"""A thread that never ends cannot keep a plugin's process alive beyond the budget of its stop."""

from __future__ import annotations

import json
import os
import sys
from contextlib import suppress
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
STUCK = "OnSendDailyTelemetry"
SCRIPT = Path(__file__).with_name("stuck_plugin.py")


@pytest.mark.parametrize(
    ("hook", "work"),
    [("OnSendDailyTelemetry", "hook OnSendDailyTelemetry"), ("OnInstall", "background work waiting"), ("", "")],
)
async def test_a_stuck_thread_does_not_hold_the_stop(hook: str, work: str, anyio_backend_name: str) -> None:
    """The process is gone within its budget, with 1 and a word about whose thread it was, alike on both backends.

    A thread that was given up but has returned by then counts for nothing: the exit code is 0.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PLUGIN_", "M"))}
    environment = {
        **kept,
        "PYTHONPATH": str(ROOT),
        "MATTERMOST_PLUGIN": "Securely message teams, anywhere.",
        "MATTERMOST_PLUGIN_HOOK_TIMEOUT": "0.2",
        "MM_PLUGIN_BACKEND": anyio_backend_name,
        **({} if hook else {"MM_TEST_RETURN": "1"}),
    }
    with anyio.fail_after(40):
        async with await anyio.open_process([sys.executable, str(SCRIPT)], env=environment) as process:
            assert process.stdout is not None
            assert process.stderr is not None
            line = await BufferedByteReceiveStream(process.stdout).receive_until(b"\n", 1000)
            stderr = BufferedByteReceiveStream(process.stderr)
            async with open_host_link(parse_handshake_line(line)) as host:
                await host.call_hook("OnActivate", hook_methods()["OnActivate"].request())
                with suppress(CallFailure):
                    await host.call_hook(hook or STUCK, hook_methods()[hook or STUCK].request())
                await stderr.receive_until(b"stuck\n" if hook else b"returned\n", 65_536)
                asked_at = anyio.current_time()
                await host.ask_stop()
                await process.wait()
                took_s = anyio.current_time() - asked_at
            rest = stderr.buffer + b"".join([piece async for piece in process.stderr])
    assert process.returncode == (1 if hook else 0)
    assert took_s < limits.stop_after_shutdown_s + limits.stop_overrun_s + 1
    said = [json.loads(line) for line in rest.splitlines() if b"left a thread behind" in line]
    if not hook:
        assert not said
        return
    (entry,) = said
    assert entry["@message"].startswith(f"the stop left a thread behind: {work} does not return, at ")
    assert entry["@message"].endswith("in wait_for_nothing")
