"""Calls that end in every way there is: answered, cancelled, past their deadline, reset halfway, given up unread.

A plugin process on one backend takes them from our channel; afterwards it must hold no more memory than before, have
said nothing on standard error, and answer as if nothing had happened. The whole is repeatable from its seed.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import anyio
from anyio.to_thread import run_sync

from benchmarks.servers import AS_PLUGIN, ROOT
from mm_plugin._proto.hooks_http_pb2 import ServeHTTPRequest, ServeHTTPRequestInit, ServeHTTPResponse
from mm_plugin._proto.hooks_message_pb2 import (
    MessageHasBeenPostedRequest,
    MessageHasBeenPostedResponse,
    MessageHasBeenUpdatedRequest,
    MessageHasBeenUpdatedResponse,
)
from mm_plugin._proto.post_pb2 import Post
from mm_plugin.transport.grpc.addresses import connector_to
from mm_plugin.transport.grpc.channel import GRPCChannel
from mm_plugin.transport.grpc.errors import GRPCStatusError
from mm_plugin.transport.link import FailureKind
from mm_plugin.wire.handshake import parse_handshake_line

HOOKS = "/mattermost.pluginapi.v1.PluginHooks/"
#: Longest any call may take, cancelled or not: whatever takes longer hangs.
HUNG_S = 20
_IN_FLIGHT = 50
_CHUNK = bytes(16_384)


@dataclass(frozen=True)
class Outcome:
    """What came of it.

    Attributes:
        ends: How many calls ended in which way.
        before_mb: Memory of the plugin once it was warm.
        after_mb: Memory at the end.
        said: What it wrote on standard error besides hooks that ran out of time, and an exit code that is not 0.
    """

    ends: Counter[str]
    before_mb: float
    after_mb: float
    said: str

    @property
    def growth(self) -> float:
        """Growth of the memory, as a share of what it was."""
        return self.after_mb / self.before_mb - 1


async def chaos(backend: str, *, calls: int, seed: int = 1) -> Outcome:
    """Make so many calls, a tenth of them to get warm.

    Raises:
        TimeoutError: A call hung.
    """
    ends: Counter[str] = Counter()
    with tempfile.TemporaryFile() as errors:
        async with _plugin(backend, errors.fileno()) as (process, target):
            async with GRPCChannel(connector_to(target)) as channel:
                await _many(channel, calls // 10, random.Random(seed), ends)
                before = _memory_mb(process.pid)
                await _many(channel, calls - calls // 10, random.Random(seed + 1), ends)
                await _posted(channel)
            after = _memory_mb(process.pid)
        errors.seek(0)
        lines = errors.read().decode(errors="replace").splitlines()
    # That a hook ran out of its time is what these deadlines are for.
    said = [line for line in lines if "its handler did not finish in time" not in line]
    if process.returncode:
        said.append(f"exit {process.returncode}")
    return Outcome(ends, before, after, "\n".join(said))


async def _many(channel: GRPCChannel, calls: int, chance: random.Random, ends: Counter[str]) -> None:
    left = calls

    async def caller() -> None:
        nonlocal left
        while left > 0:
            left -= 1
            with anyio.fail_after(HUNG_S):
                ends[await _one(channel, chance)] += 1

    async with anyio.create_task_group() as tasks:
        for _ in range(_IN_FLIGHT):
            tasks.start_soon(caller)


async def _one(channel: GRPCChannel, chance: random.Random) -> str:
    """Make one call and end it in some way."""
    way = chance.random()
    try:
        if way < 0.45:
            await _posted(channel)
            return "answered"
        if way < 0.65:  # cancelled before, while or after the handler runs: the peer sees a reset
            with anyio.move_on_after(chance.random() * 0.004) as scope:
                await _updated(channel, chance.choice([0, 1, 2, 5_000]))
            return "cancelled" if scope.cancelled_caught else "answered in time"
        if way < 0.85:
            deadline = anyio.current_time() + chance.choice([-1.0, 0.0, 0.001, 0.004])
            await _updated(channel, chance.choice([0, 2, 5_000]), deadline)
            return "answered in time"
        await _http(channel, chance)
    except GRPCStatusError as error:
        # UNREACHABLE: not even sent before its deadline. A lost connection is no way for a call to end here.
        if error.kind not in {FailureKind.DEADLINE, FailureKind.UNREACHABLE}:
            raise
        return error.kind.name
    else:
        return "HTTP"


async def _posted(channel: GRPCChannel) -> None:
    request = MessageHasBeenPostedRequest(post=Post(message="x" * 300))
    await channel.unary(HOOKS + "MessageHasBeenPosted", request, MessageHasBeenPostedResponse)


async def _updated(channel: GRPCChannel, milliseconds: int, deadline: float | None = None) -> None:
    request = MessageHasBeenUpdatedRequest(new_post=Post(reply_count=milliseconds))
    await channel.unary(HOOKS + "MessageHasBeenUpdated", request, MessageHasBeenUpdatedResponse, deadline=deadline)


async def _http(channel: GRPCChannel, chance: random.Random) -> None:
    """Open a stream and leave it somewhere on its way, or see it through."""
    url = chance.choice(["/upload", "/download?octets=262144", "/hang"])
    steps = chance.randrange(6)
    opened = channel.open_stream(HOOKS + "ServeHTTP", ServeHTTPRequest, ServeHTTPResponse)
    with anyio.move_on_after(0.05):
        async with opened as stream:
            await stream.send_message(ServeHTTPRequest(init=ServeHTTPRequestInit(method="POST", url=url)))
            for _ in range(steps):
                await stream.send_message(ServeHTTPRequest(body_chunk=_CHUNK))
            if steps > 3:
                await stream.send_message(ServeHTTPRequest(body_complete=True), end=True)
                while steps == 5 and await stream.recv_message() is not None:
                    pass


@asynccontextmanager
async def _plugin(backend: str, errors: int) -> AsyncIterator[tuple[subprocess.Popen[bytes], str]]:
    environment = {**os.environ, **AS_PLUGIN, "MM_PLUGIN_BACKEND": backend, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-W", "error", str(ROOT / "benchmarks" / "plugin" / "plugin.py")]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=errors) as process:  # noqa: ASYNC220
        try:
            assert process.stdout is not None
            line = await run_sync(process.stdout.readline)
            yield process, parse_handshake_line(line).address
        finally:
            process.terminate()
            await run_sync(process.wait)


def _memory_mb(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmRSS:"))
