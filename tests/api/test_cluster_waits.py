"""Locks whose calls are slow: the wait is bounded, and a cancelled one leaves nothing behind; jobs beside locks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import pytest

from mm_plugin import limits
from mm_plugin.api.cluster_job import ClusterJob
from mm_plugin.api.cluster_lock import ClusterLock
from tests.api.kv_server import KVServer, Node
from tests.api.test_cluster import in_virtual_time

if TYPE_CHECKING:
    from anyio.abc import TaskGroup
    from google.protobuf.message import Message


def test_a_server_that_hangs_does_not_stretch_the_wait() -> None:
    """``wait_s`` bounds the calls too; where the answer never comes, TimeoutError does."""

    async def main() -> None:
        server = KVServer()
        lock = ClusterLock(Node(server, [(1000, 0)]).api, "x")
        with pytest.raises(TimeoutError, match="mutex_x"):
            async with lock.hold(wait_s=0.1):
                pytest.fail("the lock was had")
        assert anyio.current_time() <= 0.1 + 2 * limits.cleanup_s + 0.1

    in_virtual_time(main)


def test_a_try_without_waiting_still_gets_its_answer() -> None:
    """``wait_s=0`` tries once, on a server that takes a moment."""

    async def main() -> None:
        server = KVServer()
        async with ClusterLock(Node(server, [(0.1, 0.1)]).api, "x").hold(wait_s=0):
            assert server.current("mutex_x")

    in_virtual_time(main)


class Distant(Node):
    """A way to the server on which a request cannot be called back: it is carried out when it arrives."""

    tasks: TaskGroup

    async def call_api(self, method: str, request: Message, *, deadline: float | None = None) -> Message:
        responses: list[Message] = []
        done = anyio.Event()

        async def carry_out() -> None:
            responses.append(await super(Distant, self).call_api(method, request, deadline=deadline))
            done.set()

        self.tasks.start_soon(carry_out)
        await done.wait()
        return responses[0]


def test_a_wait_that_is_cancelled_leaves_no_lock_behind() -> None:
    """A call that the server carries out after the cancellation is awaited, and its lock freed."""

    async def main() -> None:
        server = KVServer()
        node = Distant(server, [(0.3, 0.3)])
        async with anyio.create_task_group() as node.tasks:
            with anyio.move_on_after(0.1) as scope:
                async with ClusterLock(node.api, "x").hold():
                    pytest.fail("the lock was had")
            assert scope.cancelled_caught
            await anyio.sleep(1)
            assert server.values == {}

    in_virtual_time(main)


def test_a_job_may_hold_the_lock_of_its_own_name() -> None:
    """Jobs and locks have names of their own: a job's function takes the lock of the job's name."""

    async def main() -> None:
        api = Node(KVServer()).api
        done = anyio.Event()

        async def function() -> None:
            async with ClusterLock(api, "import").hold(wait_s=1):
                done.set()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ClusterJob(api, "import", function, every_s=60).run)
            with anyio.fail_after(10):
                await done.wait()
            tasks.cancel_scope.cancel()

    in_virtual_time(main)
