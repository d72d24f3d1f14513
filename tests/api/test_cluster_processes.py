"""Locks and jobs of a cluster whose nodes are real processes: one is killed, the other takes over."""

from __future__ import annotations

import os
import signal
import textwrap
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import anyio
import pytest

from mm_plugin.devserver.api_kv import KVHandler
from mm_plugin.devserver.store import Store, open_store
from mm_plugin.host.api_receiver import HandlerAPI
from mm_plugin.host.host import open_plugin
from mm_plugin.host.running_plugin import RunningPlugin
from mm_plugin.messages.manifest import Manifest, ManifestServer
from tests.host.guard_plugin import options_for
from tests.host.stubs import write_bundle

if TYPE_CHECKING:
    from mm_plugin.devserver.app import App

#: As short as whole seconds allow with room for a machine that is busy.
LEASE_S = 3

LOCK = """
    import os

    import anyio

    from mm_plugin import ClusterLock, LockLostError, Plugin, run_plugin

    class Node(Plugin):
        async def on_activate(self):
            self.task_group.start_soon(self.work)

        async def work(self):
            while True:
                try:
                    async with ClusterLock(self.api, "work", lease_s={lease_s}).hold():
                        await self.api.log_info("in", {{"pid": os.getpid()}})
                        await anyio.sleep_forever()
                except LockLostError:
                    await self.api.log_info("lost", {{"pid": os.getpid()}})

    run_plugin(Node)
"""

JOB = """
    import os

    import anyio

    from mm_plugin import ClusterJob, Plugin, run_plugin

    class Node(Plugin):
        async def on_activate(self):
            job = ClusterJob(self.api, "work", self.work, every_s=3600, lease_s={lease_s})
            self.task_group.start_soon(job.run)

        async def work(self):
            await self.api.log_info("in", {{"pid": os.getpid()}})
            await anyio.sleep_forever()

    run_plugin(Node)
"""


class Cluster(KVHandler):
    """The store that all nodes share, the devserver's own, and what the plugins say, in order."""

    def __init__(self, store: Store) -> None:
        manifest = Manifest(id="com.example.x", name="X", server=ManifestServer(executable="plugin.py"))
        super().__init__(cast("App", SimpleNamespace(store=store)), manifest)
        self.said: list[tuple[str, object]] = []
        self.heard = anyio.Event()

    async def log_info(self, msg: str, key_value_pairs: dict[str, object]) -> None:
        self.said.append((msg, key_value_pairs["pid"]))
        self.heard.set()
        self.heard = anyio.Event()

    async def next_in(self, *, but: object = None) -> object:
        """Wait until another process is in; return its id."""
        while True:
            found = [pid for what, pid in self.said if what == "in" and pid != but]
            if found:
                return found[-1]
            await self.heard.wait()


@asynccontextmanager
async def two_nodes(folder: Path, code: str, backend: str) -> AsyncGenerator[tuple[Cluster, list[RunningPlugin]]]:
    """Run the plugin in two processes, each with a host of its own, over one store."""
    code = textwrap.dedent(code).format(lease_s=LEASE_S)
    bundles = [write_bundle(folder / name, code) for name in ("one", "two")]
    options = options_for(backend)
    async with open_store() as store:
        cluster = Cluster(store)
        with anyio.fail_after(60):
            async with (
                open_plugin(bundles[0], HandlerAPI(cluster), options=options) as one,
                open_plugin(bundles[1], HandlerAPI(cluster), options=options) as two,
            ):
                yield cluster, [one, two]


@pytest.mark.parametrize("code", [LOCK, JOB], ids=["lock", "job"])
async def test_the_death_of_a_holder_frees_what_it_holds(tmp_path: Path, anyio_backend: str, code: str) -> None:
    """Killed by SIGKILL it cannot free anything; the other process is let in when the lease has passed, not before."""
    async with two_nodes(tmp_path, code, anyio_backend) as (cluster, nodes):
        pids = {node.pid for node in nodes}
        holder = await cluster.next_in()
        assert holder in pids
        with anyio.move_on_after(LEASE_S + 1):  # renewed: the other one stays outside for longer than a lease
            await cluster.next_in(but=holder)
        assert cluster.said == [("in", holder)]
        killed_at = anyio.current_time()
        os.kill(cast("int", holder), signal.SIGKILL)
        assert await cluster.next_in(but=holder) in pids - {holder}
        # The holder has renewed within the last four fifths of the lease, or it would have given up.
        assert anyio.current_time() - killed_at >= LEASE_S / 5 - 0.1
