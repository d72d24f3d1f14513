"""ClusterJob: work that one node of a Mattermost cluster does at intervals.

Layer:  api, over ``cluster_lock``. When the job last began stands in the key-value store, so that it survives restarts.
Errors: what the job raises is logged; ``run`` goes on.
See:    docs/how-to/kv.md
"""

from __future__ import annotations

import logging
import math
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import anyio

from mm_plugin import limits
from mm_plugin.api.cluster_lock import ClusterLock
from mm_plugin.api.kv_codecs import TEXT
from mm_plugin.api.kv_store import KVStore
from mm_plugin.exceptions import KVValueError, LockLostError, PluginAPIError
from mm_plugin.messages.helpers import now_ms

if TYPE_CHECKING:
    from mm_plugin.api.client import PluginAPIClient

__all__ = ("ClusterJob",)

logger = logging.getLogger("mm_plugin.api")


class _JobLock(ClusterLock):
    """The lock of a job, under a key of its own."""

    _prefix = "jobmx_"  # as long as the other, so that names may be as long


class ClusterJob:
    """Run a function every so often, on one node.

    ::

        async def on_activate(self) -> None:
            job = ClusterJob(self.api, "cleanup", self.clean_up, every_s=3600)
            self.task_group.start_soon(job.run)

    While the function runs the node holds a ClusterLock. Where the node dies, another one runs the function again
    within a lease: it should stand being begun twice. An exception of the function is logged, and counts as a run.
    Intervals are counted from beginning to beginning, by the clocks of the nodes: where these disagree, a run comes
    early by as much as they do, so keep them together, and ``every_s`` well above what they may differ.

    Args:
        api: The client.
        name: The job's name, of up to 44 characters.
        function: What to run.
        every_s: Seconds from one beginning to the next; a run that takes longer delays the next.
        lease_s: Whole seconds after which a dead node's run counts as over.
        clock_ms: The time in milliseconds since 1970.

    Raises:
        TypeError: ``lease_s`` is no int.
        ValueError: The name is empty or too long, or a number is out of range.
    """

    def __init__(
        self,
        api: PluginAPIClient,
        name: str,
        function: Callable[[], Awaitable[None]],
        *,
        every_s: float,
        lease_s: int = limits.cluster_lease_s,
        clock_ms: Callable[[], int] = now_ms,
    ) -> None:
        if not 0 < every_s < math.inf:
            raise ValueError(f"every_s must be above 0 and finite, not {every_s}")
        self._lock = _JobLock(api, name, lease_s=lease_s)
        self._begun = KVStore(api, TEXT, prefix="job_")
        self._name = name
        self._function = function
        self._every_s = every_s
        self._retry_s = lease_s / 3
        self._clock_ms = clock_ms

    async def run(self) -> None:
        """Run the function whenever it is due and no other node does, until cancelled; never returns.

        Cancellation cancels the function and frees the lock; the run does not count then.
        """
        while True:
            try:
                await anyio.sleep(await self._due_in_s())
                async with self._lock.hold(wait_s=0):
                    if await self._due_in_s() > 0:
                        continue
                    begun_ms = self._clock_ms()
                    await self._run_once()
                    await self._begun.set(self._name, str(begun_ms))
            except TimeoutError:
                await anyio.sleep(self._retry_s)  # another node is at it, or has died at it
            except (PluginAPIError, LockLostError) as error:
                logger.warning("job %s will be tried again: %s", self._name, error)
                await anyio.sleep(self._retry_s)

    async def _run_once(self) -> None:
        try:
            await self._function()
        except Exception:
            logger.exception("job %s failed", self._name)

    async def _due_in_s(self) -> float:
        """Seconds until the next run; what lies further off than clocks can disagree is no time, and counts as now."""
        try:
            begun_ms = int(await self._begun.get(self._name) or 0)
        except (ValueError, KVValueError):
            begun_ms = 0
        due_in_s = self._every_s + (begun_ms - self._clock_ms()) / 1000
        return due_in_s if 0 < due_in_s <= 2 * self._every_s else 0.0
