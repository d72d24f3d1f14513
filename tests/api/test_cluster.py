"""Locks and jobs of a cluster: never two holders, whatever dies, gets lost or comes late; and it goes on."""

from __future__ import annotations

import logging
import math
from functools import partial
from itertools import pairwise
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from hypothesis import given, settings, strategies as st
from trio.testing import MockClock  # noqa: TID251 - a clock that jumps to the next deadline

from mm_plugin.api.cluster_job import ClusterJob
from mm_plugin.api.cluster_lock import ClusterLock
from mm_plugin.exceptions import LockLostError, PluginAPIError
from tests.api.kv_server import KVServer, Node


def in_virtual_time(function: Any) -> None:
    """Run with a clock that jumps to the next deadline as soon as everybody waits."""
    anyio.run(function, backend="trio", backend_options={"clock": MockClock(autojump_threshold=0)})


# -- the lock -------------------------------------------------------------------------------------------------


async def test_one_holds_and_the_next_waits() -> None:
    """A second holder comes in when the first has left, and the key is gone in the end."""
    server = KVServer()
    events: list[str] = []
    inside = anyio.Event()

    async def second() -> None:
        await inside.wait()
        async with ClusterLock(Node(server).api, "x").hold():
            events.append("second")

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(second)
        async with ClusterLock(Node(server).api, "x").hold():
            inside.set()
            with pytest.raises(TimeoutError, match="mutex_x"):
                async with ClusterLock(Node(server).api, "x").hold(wait_s=0):
                    events.append("never")
            events.append("first")
    assert events == ["first", "second"]
    assert server.values == {}


async def test_an_exception_frees_the_lock_and_stays_as_it_is() -> None:
    """What is raised inside comes out unwrapped; cancellation frees the lock too."""
    server = KVServer()
    lock = ClusterLock(Node(server).api, "x")

    async def fail() -> None:
        async with lock.hold():
            assert server.values
            raise KeyError("mine")

    with pytest.raises(KeyError):
        await fail()
    assert server.values == {}
    with anyio.CancelScope() as scope:
        async with lock.hold():
            scope.cancel()
            await anyio.sleep_forever()
    assert server.values == {}


async def test_a_call_whose_answer_is_lost_leaves_no_lock_behind() -> None:
    """Where it is unknown whether the lock was taken, it is freed and the error raised."""
    server = KVServer()
    lock = ClusterLock(Node(server, [(0, None)]).api, "x")
    with pytest.raises(PluginAPIError, match="lost"):
        async with lock.hold():
            pytest.fail("the lock was had")
    assert server.values == {}


def test_a_held_lock_is_renewed_for_as_long_as_it_takes() -> None:
    """A holder keeps others out for many leases; a renewal that fails is tried again."""

    async def main() -> None:
        server = KVServer()
        delays: list[tuple[float | None, float | None]] = [(0, 0), (0, 0), (None, 0), (0, None), (0, 0)]
        async with ClusterLock(Node(server, delays).api, "x", lease_s=5).hold():
            for _ in range(100):
                await anyio.sleep(1)
                assert server.current("mutex_x")

    in_virtual_time(main)


@pytest.mark.parametrize("how", ["unreachable", "stolen"])
def test_a_lock_that_is_lost_cancels_its_holder_in_time(how: str) -> None:
    """Where the lease cannot be renewed the holder is cancelled before it ends, and LockLostError says why."""

    async def main() -> None:
        server = KVServer()
        node = Node(server)

        async def hold() -> None:
            async with ClusterLock(node.api, "x", lease_s=10).hold():
                if how == "unreachable":
                    node.dead = True
                else:
                    server.put("mutex_x", b"somebody else")
                with pytest.raises(anyio.get_cancelled_exc_class()):
                    await anyio.sleep_forever()
                assert server.current("mutex_x")

        with pytest.raises(LockLostError, match="mutex_x"):
            await hold()
        assert anyio.current_time() <= 10

    in_virtual_time(main)


@pytest.mark.parametrize(("name", "lease_s"), [("", 15), ("x" * 45, 15), ("x", 0)])
def test_a_lock_that_cannot_be_is_refused(name: str, lease_s: int) -> None:
    """A name the server would refuse, and a lease below a second, are ValueErrors at once."""
    with pytest.raises(ValueError):
        ClusterLock(Node(KVServer()).api, name, lease_s=lease_s)


@pytest.mark.parametrize("lease_s", [1.5, True, "15"])
def test_a_lease_that_is_no_whole_number_is_refused(lease_s: Any) -> None:
    """The server counts in whole seconds: anything else is a TypeError at once, for locks and jobs."""
    api = Node(KVServer()).api
    with pytest.raises(TypeError, match="lease_s must be a whole number of seconds"):
        ClusterLock(api, "x", lease_s=lease_s)
    with pytest.raises(TypeError, match="lease_s must be a whole number of seconds"):
        ClusterJob(api, "x", anyio.lowlevel.checkpoint, every_s=1, lease_s=lease_s)


_trips = st.none() | st.sampled_from([0.0, 0.1, 1.0, 4.0, 7.0, 20.0])
_nodes = st.lists(
    st.fixed_dictionaries(
        {
            "starts_s": st.floats(0, 20),
            "holds_s": st.floats(0, 25),
            "dies_s": st.none() | st.floats(0, 40),
            "cut_s": st.none() | st.tuples(st.floats(0, 20), st.floats(8, 30)),
            "delays_s": st.lists(st.tuples(_trips, _trips), max_size=12),
        }
    ),
    min_size=2,
    max_size=4,
)


@settings(max_examples=150)
@given(nodes=_nodes, rate=st.floats(0.9, 1.1))
def test_there_are_never_two_holders(nodes: list[dict[str, Any]], rate: float) -> None:
    """Nodes die or are cut off, calls are late and get lost, the server's clock is a tenth off: at most one holds."""

    async def main() -> None:
        server = KVServer(lambda: anyio.current_time() * rate)
        holders: list[int] = []
        finished: list[int] = []

        async def work(number: int, node: Node, plan: dict[str, Any]) -> None:
            await anyio.sleep(plan["starts_s"])
            while number not in finished:
                try:
                    async with ClusterLock(node.api, "x", lease_s=10).hold():
                        assert holders == []
                        holders.append(number)
                        try:
                            await anyio.sleep(plan["holds_s"])
                        finally:
                            holders.remove(number)
                        finished.append(number)
                except (PluginAPIError, LockLostError):
                    await anyio.sleep(0.5)

        async def live(number: int, plan: dict[str, Any]) -> None:
            node = Node(server, plan["delays_s"])
            with anyio.move_on_after(plan["dies_s"] if plan["dies_s"] is not None else math.inf) as scope:
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(work, number, node, plan)
                    if plan["cut_s"] is not None:
                        tasks.start_soon(cut, node, *plan["cut_s"])
                    if plan["dies_s"] is not None:
                        tasks.start_soon(die, node, plan["dies_s"])
            assert number in finished or scope.cancelled_caught

        async def cut(node: Node, when_s: float, length_s: float) -> None:
            await anyio.sleep(when_s)
            node.cut = True
            await anyio.sleep(length_s)
            node.cut = False

        async def die(node: Node, when_s: float) -> None:
            try:
                await anyio.sleep(when_s)
            finally:
                node.dead = True

        with anyio.fail_after(2000):
            async with anyio.create_task_group() as tasks:
                for number, plan in enumerate(nodes):
                    tasks.start_soon(live, number, plan)

    in_virtual_time(main)


# -- the job --------------------------------------------------------------------------------------------------


class Cluster:
    """Some nodes that run one job, and when it began where."""

    def __init__(self, size: int) -> None:
        self.server = KVServer()
        self.nodes = [Node(self.server) for _ in range(size)]
        self.runs: list[tuple[float, int]] = []
        self.takes_s = 1.0
        self.scopes = [anyio.CancelScope() for _ in range(size)]

    def clock_ms(self, skew_ms: int) -> int:
        return 1_000_000 + round(anyio.current_time() * 1000) + skew_ms

    async def function(self, number: int) -> None:
        self.runs.append((anyio.current_time(), number))
        await anyio.sleep(self.takes_s)

    async def run(self, number: int) -> None:
        job = ClusterJob(
            self.nodes[number].api,
            "x",
            partial(self.function, number),
            every_s=60,
            clock_ms=partial(self.clock_ms, 300 * number),
        )
        with self.scopes[number]:
            await job.run()

    def kill(self, number: int) -> None:
        self.nodes[number].dead = True
        self.scopes[number].cancel()


def test_one_node_runs_the_job_each_time() -> None:
    """Of four nodes, whose clocks differ a little, one runs the job every 60 seconds."""

    async def main() -> None:
        cluster = Cluster(4)
        with anyio.move_on_after(605):
            async with anyio.create_task_group() as tasks:
                for number in range(4):
                    tasks.start_soon(cluster.run, number)
        times = [when for when, _ in cluster.runs]
        assert len(times) == 11
        assert all(58 <= later - earlier <= 62 for earlier, later in pairwise(times))

    in_virtual_time(main)


def test_a_job_survives_the_death_of_its_node() -> None:
    """Where a node dies at the job, another begins it again within a lease and a retry."""

    async def main() -> None:
        cluster = Cluster(2)
        cluster.takes_s = 30
        with anyio.move_on_after(60):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(cluster.run, 0)
                await anyio.sleep(10)
                tasks.start_soon(cluster.run, 1)
                cluster.kill(0)
        (first, by_first), (second, by_second) = cluster.runs
        assert (first, by_first, by_second) == (0, 0, 1)
        assert 15 - 10 <= second - 10 <= 15 + 5
        assert cluster.server.current("job_x")

    in_virtual_time(main)


def test_a_job_that_fails_is_logged_and_counts(caplog: pytest.LogCaptureFixture) -> None:
    """An exception of the function is logged; it is not tried again before its time, nor does the loop end."""

    async def main() -> None:
        runs: list[float] = []

        async def fail() -> None:
            runs.append(anyio.current_time())
            raise KeyError("broken")

        clock = partial(Cluster(1).clock_ms, 0)
        job = ClusterJob(Node(KVServer()).api, "x", fail, every_s=60, clock_ms=clock)
        with anyio.move_on_after(130):
            await job.run()
        assert [round(when) for when in runs] == [0, 60, 120]

    with caplog.at_level(logging.ERROR):
        in_virtual_time(main)
    assert "job x failed" in caplog.text
    assert "KeyError: 'broken'" in caplog.text


@pytest.mark.parametrize("stored", [b"nonsense", b"\xff", b"99999999999999"])
def test_a_record_that_is_no_time_counts_as_due(stored: bytes) -> None:
    """What the key holds by mistake, or by a clock far off, does not stop the job for ever."""

    async def main() -> None:
        cluster = Cluster(1)
        cluster.server.put("job_x", stored)
        with anyio.move_on_after(5):
            await cluster.run(0)
        assert len(cluster.runs) == 1
        assert cluster.server.current("job_x") == b"1000000"

    in_virtual_time(main)


def test_an_unreachable_server_only_delays_a_job(caplog: pytest.LogCaptureFixture) -> None:
    """The job goes on when the server is back."""

    async def main() -> None:
        cluster = Cluster(1)
        cluster.nodes[0].dead = True
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(cluster.run, 0)
            await anyio.sleep(100)
            assert cluster.runs == []
            cluster.nodes[0].dead = False
            await anyio.sleep(6)
            assert len(cluster.runs) == 1
            tasks.cancel_scope.cancel()

    in_virtual_time(main)
    assert "will be tried again" in caplog.text


@pytest.mark.parametrize("every_s", [0, -1, math.inf, math.nan])
def test_an_interval_must_be_above_zero(every_s: float) -> None:
    """An interval of no length, and one without an end, which would never begin, are ValueErrors at once."""
    with pytest.raises(ValueError, match="every_s"):
        ClusterJob(Node(KVServer()).api, "x", anyio.lowlevel.checkpoint, every_s=every_s)
