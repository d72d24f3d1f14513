"""The channel under a server that does not behave: resets, goodbyes, lost connections, silence, and calls given up.

The memory that is looked at is this process's own. Afterwards no stream and no task may be left.
"""

from __future__ import annotations

import random
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
from anyio.to_thread import run_sync

from benchmarks.chaos import Outcome, many
from benchmarks.fickle_server import CALL, LARGE_OCTETS, STREAM, Wish
from benchmarks.memory import Course
from benchmarks.servers import ROOT
from mm_plugin.transport.grpc.addresses import connector_to
from mm_plugin.transport.grpc.channel import GRPCChannel
from mm_plugin.transport.grpc.errors import GRPCStatusError
from mm_plugin.transport.link import FailureKind

#: How a call may fail here; all others are faults of ours.
_FAILURES = {FailureKind.STATUS, FailureKind.DEADLINE, FailureKind.LOST, FailureKind.REFUSED, FailureKind.UNREACHABLE}
_RARE = 0.001  # of all calls end every connection


async def channel_chaos(*, calls: int, seed: int = 1) -> Outcome:
    """Make so many calls.

    Raises:
        TimeoutError: A call hung.
    """
    ends: Counter[str] = Counter()
    course = Course(calls)
    chance = random.Random(seed)
    said: list[str] = []
    async with _server() as target, GRPCChannel(connector_to(target)) as channel:
        await many(lambda: _one(channel, chance), ends, course, "self")
        assert await channel.unary(CALL, bytes((Wish.ECHO,)), bytes) == bytes((Wish.ECHO,))
        connection = channel._connection  # noqa: SLF001 - what is left behind is nobody else's business
        assert connection is not None
        if connection.http2.streams:
            said.append(f"{len(connection.http2.streams)} streams were left")
    return Outcome(ends, course, "\n".join(said))


async def _one(channel: GRPCChannel, chance: random.Random) -> str:
    way = chance.random()
    try:
        if way < _RARE:
            wish = Wish.CUT if way < _RARE / 2 else Wish.LEAVE
            return await _unary(channel, wish, 5)
        if way < 0.5:
            return await _unary(channel, Wish.ECHO, 10)
        if way < 0.6:
            wish = chance.choice([Wish.LARGE, Wish.STATUS, Wish.SLOW])
            return await _unary(channel, wish, 10)
        if way < 0.7:
            return await _unary(
                channel, chance.choice([Wish.HANG, Wish.SLOW]), chance.choice([-1.0, 0.0, 0.001, 0.004])
            )
        if way < 0.85:
            with anyio.move_on_after(chance.random() * 0.004) as scope:
                await _unary(channel, chance.choice([Wish.HANG, Wish.LARGE, Wish.ECHO, Wish.SLOW]), None)
            return "cancelled" if scope.cancelled_caught else "answered"
        with anyio.move_on_after(0.05) as scope:
            await _stream(channel, chance)
    except GRPCStatusError as error:
        if error.kind not in _FAILURES:
            raise
        return error.kind.name
    else:
        return "stream, cancelled" if scope.cancelled_caught else "stream"


async def _unary(channel: GRPCChannel, wish: Wish, timeout_s: float | None) -> str:
    deadline = None if timeout_s is None else anyio.current_time() + timeout_s
    request = bytes((wish,)) * 300
    answer = await channel.unary(CALL, request, bytes, deadline=deadline)
    assert len(answer) == LARGE_OCTETS if wish is Wish.LARGE else answer == request
    return "answered"


async def _stream(channel: GRPCChannel, chance: random.Random) -> None:
    async with channel.open_stream(STREAM, bytes, bytes) as stream:
        for _ in range(chance.randrange(4)):
            await stream.send_message(bytes((Wish.ECHO,)) * 1_000)
            if chance.random() < 0.7:
                await stream.recv_message()
        last = chance.choice([Wish.RESET, Wish.STATUS, Wish.HANG, Wish.LARGE, None])
        if last is not None:
            await stream.send_message(bytes((last,)), end=chance.random() < 0.5)
            await stream.recv_message()


@asynccontextmanager
async def _server() -> AsyncIterator[str]:
    command = [sys.executable, "-W", "error", "-m", "benchmarks.fickle_server"]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:  # noqa: ASYNC220
        try:
            assert process.stdout is not None
            yield (await run_sync(process.stdout.readline)).decode().strip()
        finally:
            process.kill()
