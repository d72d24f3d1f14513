"""The gRPC server: handlers by path, served on any AnyIO listener.

Job:    own the connections, and end them: draining, closing.
Layer:  transport/grpc. Knows no Mattermost, and no go-plugin either.
Errors: none that a client could cause; each connection and each call fails by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import anyio

from mm_plugin import limits
from mm_plugin.transport.grpc.bodies import Bell
from mm_plugin.transport.grpc.memory_return import MemoryReturn
from mm_plugin.transport.grpc.server_calls import Bound
from mm_plugin.transport.grpc.server_connection import ServerConnection

if TYPE_CHECKING:
    from anyio.abc import ByteStream, Listener, TaskStatus

    from mm_plugin.transport.grpc.handlers import Handler
    from mm_plugin.transport.grpc.server_calls import ServerCall

__all__ = ("GRPCServer",)


class GRPCServer:
    """Answers gRPC calls with handlers.

    Args:
        handlers: By path, such as ``/package.Service/Method``; calls of other paths end with UNIMPLEMENTED.
        message_limit_octets: Longest request taken and longest response sent.
        stop_asked: Whether somebody has asked for the stop that ``drain`` will begin.

    Attributes:
        bound: The handlers as connections use them.
        message_limit_octets: As given.
        draining: New calls are answered as such and do not reach their handlers.
        closing: The same for calls of clients that do not know of the drain yet.
    """

    def __init__(
        self,
        handlers: Mapping[str, Handler],
        *,
        message_limit_octets: int = limits.message_limit_octets,
        stop_asked: Callable[[], bool] = lambda: False,
    ) -> None:
        self.bound: dict[bytes, Bound] = {
            path.encode(): Bound.of(path, handler, message_limit_octets) for path, handler in handlers.items()
        }
        self.message_limit_octets = message_limit_octets
        self.draining = False
        self.closing = False
        self._stop_asked = stop_asked
        self._connections: set[ServerConnection] = set()
        self._running = 0
        self._drained = Bell()
        self._closing = anyio.Event()
        self._left = Bell()

    @property
    def stopping(self) -> bool:
        """Whether a stop is under way: unary calls then go on without their callers, as long as the stop lets them."""
        return self.draining or self._stop_asked()

    @property
    def running(self) -> int:
        """Calls whose handlers run, but for those in the background."""
        return self._running

    async def serve(
        self, listener: Listener[ByteStream], *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED
    ) -> None:
        """Serve what connects until ``aclose``; reports started once connections are taken.

        The listener is closed at the end. Cancellation cancels all calls and closes the connections; each gets a
        GOAWAY.
        """
        async with listener, anyio.create_task_group() as tasks:
            tasks.start_soon(listener.serve, self.serve_connection)
            tasks.start_soon(self._reset_stalled)
            tasks.start_soon(self._return_memory)
            task_status.started()
            await self._closing.wait()
            tasks.cancel_scope.cancel()

    async def serve_connection(self, byte_stream: ByteStream) -> None:
        """Serve one client until it or the server has gone; closes the byte stream.

        Cancellation cancels its calls and closes it with a GOAWAY.
        """
        connection = ServerConnection(self, byte_stream)
        self._connections.add(connection)
        try:
            if self._closing.is_set():
                connection.close_soon()
            await connection.run()
        finally:
            self._connections.discard(connection)
            self._left.ring()
            self._drained.ring()

    async def _reset_stalled(self) -> None:
        """Look after streams whose peers do not go on; one task for all connections."""
        while True:
            await anyio.sleep(limits.http2_stall_s)
            for connection in list(self._connections):
                connection.reset_stalled()

    async def _return_memory(self) -> None:
        """Give back, soon after a connection has ended, what it has needed."""
        memory = MemoryReturn()
        while True:
            await self._left.wait()
            await anyio.sleep(limits.memory_return_pause_s)  # others may end with it, and their tasks let go
            memory.look()

    async def drain(self, *, grace_s: float) -> int:
        """Take no more calls, and wait for those that run.

        Clients are told with a GOAWAY in two steps, so that no call that has been sent is lost: it is served, or
        refused as certainly not processed; whoever connects later is answered as draining. Cancellation leaves the
        server draining; calling again is allowed.

        Args:
            grace_s: Longest wait in seconds.

        Returns:
            Calls still running when the wait ended, background calls left out; 0 means a clean drain.
        """
        if not self.draining:
            self.draining = True
            for connection in self._connections:
                connection.drain_soon()
        with anyio.move_on_after(grace_s):
            with anyio.move_on_after(limits.connection_linger_s):
                while any(connection.unheard for connection in self._connections):
                    await self._drained.wait()
            while self._running:
                await self._drained.wait()
        return self._running

    async def aclose(self) -> None:
        """Cut what still runs and end ``serve``; returns when no connection is left. Safe to call twice.

        Unary calls whose handlers have a policy are answered by it before they are cut, within ``limits.cleanup_s``.
        """
        self.draining = self.closing = True
        with anyio.move_on_after(limits.cleanup_s):
            async with anyio.create_task_group() as answers:
                for connection in self._connections:
                    for call in connection.policy_calls():
                        answers.start_soon(call.answer_stopping)
        self._closing.set()
        for connection in self._connections:
            connection.close_soon()
        while self._connections:
            await self._left.wait()

    def connection_heard(self) -> None:
        """Take note that a client knows of the drain; for connections."""
        self._drained.ring()

    def call_started(self, call: ServerCall) -> None:
        """Count a call; for connections."""
        if not call.background:
            self._running += 1

    def call_finished(self, call: ServerCall) -> None:
        """Uncount a call; for connections."""
        if not call.background:
            self._running -= 1
            if self.draining:  # nobody else waits
                self._drained.ring()
