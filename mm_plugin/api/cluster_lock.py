"""ClusterLock: at most one holder among all nodes of a Mattermost cluster, on the key-value store.

Job:    a lease under a key, taken and renewed by compare-and-set, with a token that tells the holder from all others.
Layer:  api, beside the client.
Errors: LockLostError where the lease could not be renewed, TimeoutError where it was not had in time, and the client's.
See:    docs/how-to/kv.md

The holder counts its lease from before the call that took it, the server from when it carried that call out, so the
holder stops first. It stops a fifth of the lease early, which covers clocks that run at different speeds and the time
that cancelled code takes to end.
"""

from __future__ import annotations

import logging
import math
import random
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import anyio

from mm_plugin import limits
from mm_plugin.api.kv_store import check_key
from mm_plugin.exceptions import LockLostError, PluginAPIError

if TYPE_CHECKING:
    from mm_plugin.api.client import PluginAPIClient

__all__ = ("ClusterLock",)

logger = logging.getLogger("mm_plugin.api")

_PREFIX = "mutex_"
#: Parts of the lease: between renewals, between tries of a renewal that failed, and kept back at its end.
_RENEW, _RETRY, _MARGIN = 1 / 3, 1 / 15, 1 / 5


class _Lease:
    """One holder's claim: its token, until when it may rely on it, and whether the key may hold the token."""

    def __init__(self) -> None:
        from mm_plugin.messages.helpers import new_id

        self.token = new_id().encode()
        self.safe_until = -math.inf
        self.may_stand = False
        self.lost = False


class ClusterLock:
    """A lock that plugins of one id on all nodes share.

    ::

        async with ClusterLock(api, "import").hold():
            ...  # nobody else is here

    A holder that dies frees the lock within ``lease_s``. A holder that cannot renew its lease is cancelled before the
    lease ends; code that swallows cancellation, or blocks the event loop for longer than a fifth of the lease, breaks
    the promise.

    Args:
        api: The client.
        name: The lock's name, of up to 44 characters; the key is ``mutex_<name>``.
        lease_s: Whole seconds that the lock outlives its holder.

    Raises:
        TypeError: ``lease_s`` is no int.
        ValueError: The name is empty or too long, or ``lease_s`` is below 1.
    """

    #: What keys begin with; a job's lock has another, so that a job may hold the lock of its own name.
    _prefix = _PREFIX

    def __init__(self, api: PluginAPIClient, name: str, *, lease_s: int = limits.cluster_lease_s) -> None:
        if not name:
            raise ValueError("a lock needs a name")
        if isinstance(lease_s, bool) or not isinstance(lease_s, int):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise TypeError(f"lease_s must be a whole number of seconds, not {type(lease_s).__name__}")
        if lease_s < 1:
            raise ValueError(f"lease_s must be at least 1, not {lease_s}")
        self._api = api
        self._key = check_key(self._prefix + name)
        self._lease_s = lease_s

    @asynccontextmanager
    async def hold(self, *, wait_s: float = math.inf) -> AsyncGenerator[None]:
        """Wait for the lock, hold it inside the context, and free it.

        Cancellation frees it too, within ``limits.cleanup_s``; where the server cannot be told, it expires.

        Args:
            wait_s: Longest wait, calls under way included but for ``limits.cleanup_s`` for the answer of the last; 0
                tries once.

        Raises:
            LockLostError: The lease could not be renewed; what was inside has been cancelled.
            PluginAPIError: The lock could not be asked for.
            TimeoutError: Somebody else held it all the time, or the server did not answer.
        """
        lease = _Lease()
        try:
            await self._acquire(lease, anyio.current_time() + wait_s)
            error: Exception | None = None
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._renew, lease, tasks.cancel_scope)
                try:
                    yield
                except Exception as raised:  # noqa: BLE001 - raised again below, where no task group wraps it
                    error = raised
                tasks.cancel_scope.cancel()
            if lease.lost:
                raise LockLostError(f"lock {self._key!r} could not be renewed before it expired") from error
            if error is not None:
                raise error
        finally:
            await self._release(lease)

    async def _acquire(self, lease: _Lease, give_up_at: float) -> None:
        pause_s = limits.cluster_poll_s
        while True:
            if await self._try(lease, give_up_at):
                if anyio.current_time() < lease.safe_until:
                    return
                await self._release(lease)  # the answer came so late that the lease is as good as over
            rest_s = give_up_at - anyio.current_time()
            if rest_s <= 0:
                raise TimeoutError(f"lock {self._key!r} is held by somebody else")
            await anyio.sleep(min(pause_s * random.uniform(0.5, 1), rest_s))  # noqa: S311 - no secret
            pause_s = min(2 * pause_s, limits.cluster_poll_max_s)

    async def _try(self, lease: _Lease, give_up_at: float) -> bool:
        """Ask for the lock once.

        Neither cancellation nor the end of the wait leaves a call alone that the server may yet carry out: its answer
        has ``limits.cleanup_s`` to come, so that a lock that nobody wants any more is known, and freed.
        """
        answers: list[bool | Exception] = []
        answered = anyio.Event()

        async def ask() -> None:
            with asking:
                try:
                    answers.append(await self._take(lease, b""))
                except Exception as error:  # noqa: BLE001 - raised again below, where no task group wraps it
                    answers.append(error)
            answered.set()

        asking = anyio.CancelScope(shield=True, deadline=max(give_up_at, anyio.current_time()) + limits.cleanup_s)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ask)
            try:
                await answered.wait()
            except anyio.get_cancelled_exc_class():
                asking.deadline = min(asking.deadline, anyio.current_time() + limits.cleanup_s)
                raise
        if not answers:
            raise TimeoutError(f"lock {self._key!r}: the server did not answer in time")
        if isinstance(answers[0], Exception):
            raise answers[0]
        return answers[0]

    async def _take(self, lease: _Lease, held: bytes) -> bool:
        """Take the lock where the key holds this, and count the lease from now."""
        from mm_plugin._proto.plugin_pb2 import PluginKVSetOptions

        begun = anyio.current_time()
        lease.may_stand = True
        options = PluginKVSetOptions(atomic=True, old_value=held, expire_in_seconds=self._lease_s)
        lease.may_stand = await self._api.kv_set_with_options(self._key, lease.token, options=options)
        if lease.may_stand:
            lease.safe_until = begun + self._lease_s * (1 - _MARGIN)
        return lease.may_stand

    async def _renew(self, lease: _Lease, scope: anyio.CancelScope) -> None:
        """Renew the lease until cancelled; cancel the scope where that does not succeed in time."""
        pause_s = self._lease_s * _RENEW
        while True:
            with anyio.CancelScope(deadline=lease.safe_until):
                await anyio.sleep(pause_s)
                try:
                    if not await self._take(lease, lease.token):
                        break
                    pause_s = self._lease_s * _RENEW
                except PluginAPIError as error:
                    logger.warning("lock %s could not be renewed yet: %s", self._key, error)
                    pause_s = self._lease_s * _RETRY
            if anyio.current_time() >= lease.safe_until:
                break
        lease.lost = True
        scope.cancel()

    async def _release(self, lease: _Lease) -> None:
        """Free the lock if it is ours; also where it is unknown whether we got it."""
        if not lease.may_stand:
            return
        with anyio.move_on_after(limits.cleanup_s, shield=True):
            try:
                await self._api.kv_compare_and_delete(self._key, lease.token)
            except PluginAPIError as error:
                logger.warning("lock %s could not be freed and will expire: %s", self._key, error)
