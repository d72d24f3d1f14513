"""PluginServer: a plugin served inside a running program, for tests and for programs that own their process.

Layer:  supervisor. No signals, no standard output, no cookie, no host watch: those are run_plugin's and serve_plugin's.
"""

from __future__ import annotations

import os
from types import TracebackType
from typing import TYPE_CHECKING, Self

import anyio
from anyio.abc import TaskGroup, TaskStatus

from mm_plugin import limits
from mm_plugin.plugin.runtime import PluginRuntime
from mm_plugin.settings import RuntimeConfig, load_runtime_config
from mm_plugin.supervisor.stop import StopControl
from mm_plugin.supervisor.supervise import supervise
from mm_plugin.transport.goplugin.plugin_end import open_plugin_link
from mm_plugin.transport.goplugin.versions import negotiate_version
from mm_plugin.wire.handshake import Handshake

if TYPE_CHECKING:
    from mm_plugin.plugin.plugin import Plugin

__all__ = ("APP_PROTOCOL_VERSIONS", "PluginServer")

#: The versions of Mattermost's plugin protocol that we know.
APP_PROTOCOL_VERSIONS = (1,)


class PluginServer:
    """Serves one plugin over gRPC; an async context manager that owns its tasks.

    Leaving the context stops the plugin in order; leaving it by an exception or cancellation cuts it. A crash of a
    task of the plugin cancels the body of the context and comes out of it in an exception group.

    Args:
        plugin: The plugin.
        config: Settings; read from the environment where absent.

    Raises:
        ConfigurationError: The environment holds what it must not.
    """

    def __init__(self, plugin: Plugin, config: RuntimeConfig | None = None) -> None:
        self._plugin = plugin
        self._config = config or load_runtime_config(os.environ)
        self._stop = StopControl()
        self._tasks: TaskGroup | None = None
        self._handshake: Handshake | None = None
        self._started = False
        self._terminated = anyio.Event()

    async def __aenter__(self) -> Self:
        self._tasks = anyio.create_task_group()
        await self._tasks.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        assert self._tasks is not None
        if error is None:
            await self.stop()
        else:
            self._tasks.cancel_scope.cancel()
        return await self._tasks.__aexit__(kind, error, traceback)

    @property
    def handshake(self) -> Handshake:
        """Where it listens, as hosts are told.

        Raises:
            RuntimeError: It has not been started.
        """
        if self._handshake is None:
            raise RuntimeError("the plugin server has no address before start()")
        return self._handshake

    @property
    def address(self) -> str:
        """The socket's name: ``host:port``, or the path of a unix socket.

        Raises:
            RuntimeError: It has not been started.
        """
        return self.handshake.address

    async def start(self) -> int:
        """Listen and serve; calls are taken when this returns.

        Returns:
            The TCP port; 0 on a unix socket, whose path is in ``address``.

        Raises:
            RuntimeError: It has been started before, or stands outside its context.
            ConfigurationError: The environment asks for an address that cannot be had.
        """
        if self._tasks is None:
            raise RuntimeError("start the plugin server inside its context: async with PluginServer(...) as server")
        if self._started:
            raise RuntimeError("the plugin server has been started already; make a new one")
        self._started = True
        handshake: Handshake = await self._tasks.start(self._run, name="plugin server")
        self._handshake = handshake
        return int(handshake.address.rpartition(":")[2]) if handshake.network == "tcp" else 0

    async def stop(self, grace_s: float = limits.stop_after_signal_s) -> None:
        """Stop in order and wait for the end; does nothing where it does not run.

        Cancellation leaves it stopping.

        Args:
            grace_s: Seconds for the whole stop.
        """
        if self._started and not self._terminated.is_set():
            self._stop.ask("stop() was called", within_s=grace_s)
            await self._terminated.wait()

    async def wait_for_termination(self) -> None:
        """Wait until it has ended, because of ``stop`` or because its host asked."""
        await self._terminated.wait()

    async def _run(self, *, task_status: TaskStatus[Handshake]) -> None:
        version = negotiate_version(os.environ, APP_PROTOCOL_VERSIONS)
        try:
            async with (
                open_plugin_link(self._config, os.environ, app_version=version) as (link, handshake),
                anyio.create_task_group() as tasks,
            ):
                runtime = PluginRuntime(self._plugin, link, self._config)

                async def serve(*, task_status: TaskStatus[None]) -> None:
                    await supervise(runtime, link, stop=self._stop, task_status=task_status)

                await tasks.start(serve, name="plugin")
                task_status.started(handshake)
        finally:
            self._terminated.set()
