"""A process whose event loop is blocked still ends in time: whoever asks for its end, and in whatever order."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress

import anyio
import pytest
from anyio.streams.buffered import BufferedByteReceiveStream

from mm_plugin import limits
from mm_plugin._proto.services import hook_methods
from mm_plugin.transport.goplugin.host_end import open_host_link
from mm_plugin.transport.link import CallFailure, HostLink
from mm_plugin.wire.handshake import parse_handshake_line
from tests.supervisor.test_process import COOKIE, SCRIPT, environment, started

HOST = """
import subprocess, sys
plugin = subprocess.Popen(sys.argv[1:], stdout=subprocess.PIPE)
line = plugin.stdout.readline()
sys.stdout.buffer.write(str(plugin.pid).encode() + b"\\n" + line)
sys.stdout.flush()
plugin.wait()
"""


async def test_a_signal_does_not_lengthen_a_shorter_stop(anyio_backend: str) -> None:
    """SIGTERM while the stop after Shutdown is stuck in a blocked loop leaves the earlier end as it is."""
    async with started(anyio_backend, "block-stop") as plugin:
        await plugin.hook("OnActivate")
        asked_at = anyio.current_time()
        await plugin.shut_down()
        while b"blocking the stop" not in plugin.stderr:  # noqa: ASYNC110 - it comes from another process
            await anyio.sleep(0.01)
        plugin.process.send_signal(signal.SIGTERM)
        assert await plugin.process.wait() == 1
        took_s = anyio.current_time() - asked_at
    assert took_s < limits.stop_after_signal_s - 1  # about 1 s; a budget of the signal's own would be over 5 s
    assert b"on_deactivate" in plugin.stderr


async def call(link: HostLink, name: str) -> None:
    """Call a hook of a plugin that ends before it answers."""
    with suppress(CallFailure):
        await link.call_hook(name, hook_methods()[name].request())


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="needs process descriptors to watch a grandchild")
async def test_a_lost_host_ends_a_plugin_whose_hook_blocks_the_loop(anyio_backend: str) -> None:
    """A hook stands still in the loop, the host is killed, and the plugin is gone in time all the same."""
    env = environment({**COOKIE, "MM_PLUGIN_BACKEND": anyio_backend})
    command = [sys.executable, "-c", HOST, sys.executable, str(SCRIPT), "block-hook"]
    with anyio.fail_after(40):
        async with await anyio.open_process(command, env=env) as host, anyio.create_task_group() as tasks:
            assert host.stdout is not None
            assert host.stderr is not None
            stdout, stderr = BufferedByteReceiveStream(host.stdout), BufferedByteReceiveStream(host.stderr)
            plugin = os.pidfd_open(int(await stdout.receive_until(b"\n", 100)))
            handshake = parse_handshake_line(await stdout.receive_until(b"\n", 1000) + b"\n")
            try:
                async with open_host_link(handshake) as link:
                    tasks.start_soon(call, link, "OnSendDailyTelemetry")
                    await stderr.receive_until(b"blocking", 65_536)
                    host.kill()
                    with anyio.fail_after(4):  # a second is promised; this ceiling is for busy machines
                        await anyio.wait_readable(plugin)
            finally:
                os.close(plugin)
