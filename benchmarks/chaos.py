"""Calls that end in every way there is: answered, cancelled, past their deadline, reset halfway, given up unread.

A plugin process on one backend takes them from our channel; its memory must lie flat once it is warm, it must have said
nothing on standard error, and answer as if nothing had happened. The whole is repeatable from its seed.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import anyio
from anyio.to_thread import run_sync

from benchmarks.memory import SAMPLES, Course, resident_mb
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
#: What the plugin may say: that a hook ran out of its time, which these deadlines are for, and that one was slow, which
#: a machine with other work makes of any.
_EXPECTED = ("its handler did not finish in time", '"mm_plugin.calls"')


@dataclass(frozen=True)
class Outcome:
    """What came of it.

    Attributes:
        ends: How many calls ended in which way.
        course: The memory of the process that was tried.
        said: What it wrote on standard error besides what these calls are for, and an exit code that is not 0.
    """

    ends: Counter[str]
    course: Course
    said: str


async def chaos(backend: str, *, calls: int, seed: int = 1) -> Outcome:
    """Make so many calls.

    Raises:
        TimeoutError: A call hung.
    """
    ends: Counter[str] = Counter()
    course = Course(calls)
    with tempfile.TemporaryFile() as errors:
        async with (
            _plugin(backend, errors.fileno()) as (process, target),
            GRPCChannel(connector_to(target)) as channel,
        ):
            chance = random.Random(seed)
            await many(lambda: _one(channel, chance), ends, course, process.pid)
            await _posted(channel)
        errors.seek(0)
        lines = errors.read().decode(errors="replace").splitlines()
    said = [line for line in lines if not any(what in line for what in _EXPECTED)]
    if process.returncode:
        said.append(f"exit {process.returncode}")
    return Outcome(ends, course, "\n".join(said))


async def many(one: Callable[[], Awaitable[str]], ends: Counter[str], course: Course, pid: int | str) -> None:
    """Make as many calls as the course is long, fifty at a time, and look at the memory now and then.

    Raises:
        TimeoutError: A call hung.
    """
    begun = 0
    step = max(course.of // SAMPLES, 1)

    async def caller() -> None:
        nonlocal begun
        while begun < course.of:
            begun += 1
            number = begun
            with anyio.fail_after(HUNG_S):
                ends[await one()] += 1
            if number % step == 0:
                course.note(number, resident_mb(pid))

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
            if not line:
                raise RuntimeError(f"the plugin did not start: {os.pread(errors, 10_000, 0).decode(errors='replace')}")
            yield process, parse_handshake_line(line).address
        finally:
            process.terminate()
            await run_sync(process.wait)
