"""Sockets that wait for octets in a standing registration."""

from __future__ import annotations

import socket

import anyio
import pytest

from mm_plugin.transport.grpc.sockets import SocketStream


async def test_octets_nobody_waits_for_keep_the_loop_at_rest() -> None:
    """What arrives between two reads is there for the next one, and makes the loop spin no longer than two turns."""
    ours, theirs = socket.socketpair()
    with theirs:
        async with SocketStream(ours) as stream:
            theirs.send(b"one")
            assert await stream.receive() == b"one"
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(stream.receive)
                await anyio.wait_all_tasks_blocked()
                tasks.cancel_scope.cancel()
            theirs.send(b"two")
            # Returns only when no callback is due: a standing report of unread octets would keep it from that.
            with anyio.fail_after(5):
                await anyio.wait_all_tasks_blocked()
                await anyio.sleep(0.01)
            assert stream._readiness._standing is False
            assert await stream.receive() == b"two"
            theirs.send(b"three")
            assert await stream.receive() == b"three"


async def test_reads_in_a_row_and_a_cancelled_one() -> None:
    """Reads get everything in order, whether it came before or after they began to wait; a cancelled one loses none."""
    ours, theirs = socket.socketpair()
    received = b""
    with theirs:
        async with SocketStream(ours) as stream:
            for number in range(50):
                with anyio.move_on_after(0 if number % 3 == 0 else 0.001):
                    received += await stream.receive()
                theirs.send(bytes([number]))
                if number % 2:
                    await anyio.lowlevel.checkpoint()
            while len(received) < 50:
                received += await stream.receive()
    assert received == bytes(range(50))


async def test_closing_wakes_who_waits() -> None:
    """A task that waits for octets learns that its end was closed, also after earlier reads."""
    ours, theirs = socket.socketpair()
    with theirs:
        stream = SocketStream(ours)
        theirs.send(b"one")
        await stream.receive()

        async def read() -> None:
            with pytest.raises(anyio.ClosedResourceError):
                await stream.receive()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(read)
            await anyio.wait_all_tasks_blocked()
            await stream.aclose()
