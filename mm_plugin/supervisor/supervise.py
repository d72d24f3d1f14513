"""The root of a running plugin: joins it to its link, and stops both in order.

Job:    own the two tasks of a plugin, its activation and its link, and carry out the stop.
Layer:  supervisor; knows the link's Protocol only, so it runs alike on every wire.
Errors: whatever the plugin's own tasks raise, in an exception group; the link is closed then.
See:    docs/explanation/lifecycle.md
"""

from __future__ import annotations

import math

import anyio
from anyio.abc import TaskStatus

from mm_plugin import limits
from mm_plugin.supervisor.stop import StopControl
from mm_plugin.supervisor.supervised import Supervised
from mm_plugin.transport.link import PluginLink
from mm_plugin.wire.drain import Happening, Phase

__all__ = ("supervise",)


async def supervise(
    plugin: Supervised,
    link: PluginLink,
    *,
    stop: StopControl | None = None,
    task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED,
) -> None:
    """Serve a plugin over a link until somebody asks for a stop, then stop both in order.

    Reports started once calls can arrive and health says so, or once it is known that they never will because a stop
    was asked before; ``stop.phase`` tells which. The order of the stop: health NOT_SERVING, no new
    calls, a grace for the running ones, on_deactivate if it has not run, the activation's group cancelled and
    joined, the link closed, which answers the hooks that still run. Cancellation and a crash skip to the last two.

    Args:
        plugin: The plugin.
        link: Its end of the link, not serving yet; closed on the way out, however that comes.
        stop: Where others ask for the stop; the link's own request is passed to it.
        task_status: For ``TaskGroup.start``.

    Raises:
        BaseExceptionGroup: A task of the plugin crashed.
    """
    stop = stop or StopControl()
    activation, serving = _Activation(plugin, stop), _Serving(link, stop)
    async with anyio.create_task_group() as tasks:
        try:
            await tasks.start(activation.run, name="activation")
            await tasks.start(serving.run, plugin, name="link")
            tasks.start_soon(_pass_on_stop, link, stop, name="stop asked by the host")
            if stop.note_started():
                link.set_serving(True)
            task_status.started()
            await stop.wait_asked()
            await _stop(plugin, link, stop, activation)
        except BaseException:
            with anyio.move_on_after(limits.cleanup_s / 2, shield=True):
                await activation.cancel()
            raise
        finally:
            await serving.end()
        tasks.cancel_scope.cancel()


class _Activation:
    """The task that owns the plugin's activation, and the way to end it."""

    def __init__(self, plugin: Supervised, stop: StopControl) -> None:
        self._plugin = plugin
        self._stop = stop
        self._scope = anyio.CancelScope()
        self._over = anyio.Event()

    async def run(self, *, task_status: TaskStatus[None]) -> None:
        try:
            with self._scope:
                await self._plugin.run(task_status=task_status)
        except BaseException:
            if anyio.current_effective_deadline() != -math.inf:  # no cancellation
                self._stop.note_crash()
            raise
        finally:
            self._over.set()

    async def cancel(self) -> None:
        self._scope.cancel()
        await self._over.wait()


class _Serving:
    """The task that serves the link, which outlives a crash and a cancellation until running hooks are answered."""

    def __init__(self, link: PluginLink, stop: StopControl) -> None:
        self._link = link
        self._stop = stop
        self._scope = anyio.CancelScope(shield=True)
        self._ending = False

    async def run(self, plugin: Supervised, *, task_status: TaskStatus[None]) -> None:
        with self._scope:
            await self._link.serve(plugin.receiver, task_status=task_status)
        if not self._ending and self._stop.phase is Phase.SERVING:
            self._stop.hurry("the link has ended")

    async def end(self) -> None:
        """Close the link, even while everything is being cancelled."""
        self._ending = True
        self._link.set_serving(False)
        with anyio.move_on_after(limits.cleanup_s, shield=True):
            await self._link.aclose()
        self._scope.cancel()


async def _pass_on_stop(link: PluginLink, stop: StopControl) -> None:
    await link.wait_stop_asked()
    stop.ask("the host asked", within_s=limits.stop_after_shutdown_s)


async def _stop(plugin: Supervised, link: PluginLink, stop: StopControl, activation: _Activation) -> None:
    async def refuse() -> None:
        link.set_serving(False)

    async def drain() -> None:
        await link.drain(grace_s=math.inf)  # the step's own deadline ends it, and that may move while we wait

    await stop.step(Phase.REFUSING, Happening.REFUSED, refuse)
    await stop.step(Phase.DRAINING, Happening.DRAINED, drain)
    await stop.step(Phase.DEACTIVATING, Happening.DEACTIVATED, plugin.deactivate)
    await stop.step(Phase.CANCELLING, Happening.CANCELLED, activation.cancel)
    await stop.step(Phase.CLOSING, Happening.CLOSED, link.aclose)
