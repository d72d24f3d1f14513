"""The engine: drives one HTTP/2 connection of ``wire/http2`` from one AnyIO byte stream.

Job:    read, hand events on, write what has to be written, and end the connection decently.
Layer:  transport/grpc, under the server's and the channel's connection.
Input:  any ``anyio.abc.ByteStream``: TCP, unix socket, a pair in memory.
Errors: none reaches the caller of ``run``: whatever the peer or the network does ends the connection.
See:    RFC 9113; ARCHITECTURE.md for why a burst becomes one write.

One task reads; another writes, from the first time that something has to wait. Where the byte stream has
``send_nowait`` (ours has), a call that answers alone writes at once and leaves only what the socket does not take to
the writer. A client's reader never waits for its writer; a server's does while its output is full, so that a peer that
asks on and reads nothing fills no memory. (Were both to wait for room in each other's sockets, they would wait for
ever.) A few big answers do not fill the output: they wait in their streams, so that a reset or a small call is heard
beside them. While the reader is at work on a burst, ``write_soon`` only takes note: the
tasks that the burst has woken get their turn, then all goes out at once.
"""

from __future__ import annotations

import logging
import math
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

import anyio
from anyio.lowlevel import cancel_shielded_checkpoint, checkpoint, checkpoint_if_cancelled, current_token

from mm_plugin import limits
from mm_plugin.transport.grpc.bodies import Bell
from mm_plugin.wire.http2 import Connection, ErrorCode, Role

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from anyio.abc import ByteStream, TaskGroup

    from mm_plugin.wire.http2 import Event, Stream

__all__ = ("Engine",)

logger = logging.getLogger(__name__)

_GONE = (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError)


class Engine(ABC):
    """One connection. Subclasses say what an event means and what becomes of their calls when it is over.

    Attributes:
        http2: The protocol's state.
        over: Nothing more will be read; calls that are not complete never will be.
        tasks: Where the tasks of this connection live; cancelled and joined at its end.
    """

    def __init__(self, byte_stream: ByteStream, role: Role) -> None:
        self.http2 = Connection(role)
        self.over = False
        self.tasks: TaskGroup
        self._byte_stream = byte_stream
        self._corked = False
        self._to_write = Bell()
        self._written = Bell()
        self._writing_scope: anyio.CancelScope | None = None
        self._reading_scope = anyio.CancelScope()
        self._outliving_scope = anyio.CancelScope()
        self._dead = False  # the peer takes nothing any more
        self._send_nowait: Callable[[bytes], int] | None = getattr(byte_stream, "send_nowait", None)
        # A stream that has ``send_nowait`` is one of ours and takes views, too; no other is given one.
        self._send: Callable[[Any], Awaitable[None]] = byte_stream.send
        self._has_writer = False
        self._writing = False  # the writer is at work: what comes now waits for it
        self._rest: bytes | memoryview = b""  # what the socket did not take at once

    # -- what subclasses give ---------------------------------------------------------------------------------

    @abstractmethod
    def handle(self, event: Event) -> None:
        """Act on one event; must not wait and must not raise for what a peer can cause."""

    def begin(self) -> None:  # noqa: B027 - a server has nothing to add
        """Start what else the connection needs, in ``tasks``."""

    def handle_burst(self) -> None:  # noqa: B027 - a client has nothing to add
        """Act on the events of one read or write together, once ``handle`` has had them all."""

    @abstractmethod
    def handle_over(self) -> None:
        """Tell every call that is left that the connection is over."""

    async def outlive(self) -> None:  # noqa: B027 - a client has nothing to add
        """Wait, once the peer has gone, for calls that may go on without it; cut by ``close_soon``."""

    # -- what calls use ---------------------------------------------------------------------------------------

    def write_soon(self) -> None:
        """Have all that the protocol wants to send written, together with what others of this moment add."""
        if not self._corked and self.http2.output_octets:
            if len(self.http2.streams) > 1:
                self._wake_writer()  # others may finish in this turn of the loop, too
            else:
                self._write_now()

    async def wait_writable(self, stream: Stream, writable: Bell) -> None:
        """Wait while the stream's queue or the connection's output is full; returns when either side is over, too.

        Args:
            stream: The stream to send on.
            writable: Rung on its StreamWritable and when it is over.
        """
        # A sender that never has to wait must still see its cancellation, and let others run once nobody reads.
        await (checkpoint_if_cancelled() if stream.local_open else checkpoint())
        while stream.local_open and stream.queued_octets >= limits.http2_stream_output_octets:
            await writable.wait()
        await self.wait_output()

    async def wait_output(self) -> None:
        """Wait while too much waits for the socket."""
        while self.http2.output_octets >= limits.http2_output_octets and not self.over:
            await self._written.wait()

    def close_soon(self) -> None:
        """Say goodbye and end the connection; ``run`` returns when nothing is left of it. Safe to call twice."""
        self._reading_scope.cancel()
        self._outliving_scope.cancel()

    # -- life -------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Drive the connection until it is over. Cancellation ends it as ``close_soon`` does."""
        try:
            async with anyio.create_task_group() as self.tasks:
                try:
                    self.begin()
                    with self._reading_scope:
                        await self._read()
                    if anyio.current_time() >= self._reading_scope.deadline:
                        self.http2.goaway(ErrorCode.ENHANCE_YOUR_CALM, "what was begun was not finished in time")
                    self._end()
                    with self._outliving_scope:
                        await self.outlive()
                finally:
                    if not self.over:
                        self._end()
                    self.tasks.cancel_scope.cancel()
        except Exception:
            logger.exception("a gRPC connection ended by a fault of ours")
        finally:
            with anyio.move_on_after(limits.connection_linger_s, shield=True):
                if not self._dead:
                    await self._part()
            self._rest = b""
            self.http2.drop_output()
            with anyio.CancelScope(shield=True):
                await self._byte_stream.aclose()

    async def _read(self) -> None:
        http2, receive = self.http2, self._byte_stream.receive
        # Turns of the loop after which every task of a burst has run: asyncio runs them in order; Trio runs each
        # batch forwards or backwards by chance, so only the end of a second batch is sure to come after the first.
        turns = 2 if current_token().backend_class.__name__ == "TrioBackend" else 1
        renewal = anyio.current_time() + limits.http2_budget_renewal_s
        # What the peer has begun (its greeting, a frame, a header block) must be finished by then.
        patience_s = limits.http2_unfinished_s
        patience_end = self._reading_scope.deadline = anyio.current_time() + patience_s
        self.write_soon()  # the preface
        is_server = http2.role is Role.SERVER
        while not http2.terminated:
            while is_server and not self.over and self._is_full():
                patience_end = self._reading_scope.deadline = math.inf  # it is we who wait: the write has its own limit
                await self._written.wait()
            try:
                events = http2.receive(await receive(limits.socket_read_octets))
            except _GONE:
                events = http2.receive_eof()
            if (now := anyio.current_time()) >= renewal:
                renewal = now + limits.http2_budget_renewal_s
                http2.renew_budget()
            if not http2.unfinished:
                if patience_end != math.inf:
                    patience_end = self._reading_scope.deadline = math.inf
            elif patience_end == math.inf or (events and patience_end - now < patience_s / 2):
                patience_end = self._reading_scope.deadline = now + patience_s
            self._corked = True
            try:
                for event in events:
                    self.handle(event)
                self.handle_burst()
                for _ in range(turns):
                    await cancel_shielded_checkpoint()
            finally:
                self._corked = False
            if http2.output_octets:
                self._write_now()

    def _is_full(self) -> bool:
        """Tell whether a peer that does not read has been answered enough."""
        http2 = self.http2
        return http2.output_octets >= limits.http2_output_octets or http2.streams_ready >= limits.http2_waiting_streams

    def _write_now(self) -> None:
        """Write what the socket takes at once; the writer does the rest, or all where it is at work."""
        if self._send_nowait is None or self._writing:
            self._wake_writer()
            return
        data = self.http2.take(limits.socket_write_octets)
        try:
            sent = self._send_nowait(data)
        except _GONE:
            self._give_up()
            return
        if sent < len(data) or self.http2.output_octets:
            self._rest = memoryview(data)[sent:]
            self._writing = True  # nobody overtakes the rest
            self._wake_writer()
        else:
            self._written.ring()
            for event in self.http2.take_events():  # as in _write: the peer may have no reason to send anything
                self.handle(event)

    def _wake_writer(self) -> None:
        """Let the writer go on; it begins with its first work, since idle connections are many and need none."""
        if self._has_writer:
            self._to_write.ring()
        elif not self.over:
            self._has_writer = True
            self.tasks.start_soon(self._write)

    async def _write(self) -> None:
        while True:
            if not self._rest and not self.http2.output_octets:
                self._writing = False
                await self._to_write.wait()
            self._writing = True
            data, self._rest = self._rest or self.http2.take(limits.socket_write_octets), b""
            for event in self.http2.take_events():  # streams have room again, whose data this has taken
                self.handle(event)
            self.handle_burst()
            # A write is never cut by a cancellation: half a frame on the wire is the end of the connection.
            with anyio.CancelScope(shield=True) as self._writing_scope:
                try:
                    # Each piece has the whole time, so that a slow peer is not taken for a dead one.
                    budget_s = limits.connection_linger_s if self.over else limits.socket_write_s
                    self._writing_scope.deadline = anyio.current_time() + budget_s
                    await self._send(data)
                except _GONE:
                    self._dead = True
            if self._dead or self._writing_scope.cancelled_caught:
                self._give_up()
                return
            self._writing_scope = None
            self._written.ring()

    def _give_up(self) -> None:
        """End the connection without a word: the peer has gone, or takes nothing any more."""
        self._dead = True
        self._reading_scope.cancel()

    def _end(self) -> None:
        """Mark the end, and let a write that hangs in a full socket hold it up only briefly."""
        self.over = True
        if not self.http2.terminated:
            self.http2.goaway(ErrorCode.NO_ERROR)
        if self._writing_scope is not None:
            self._writing_scope.deadline = anyio.current_time() + limits.connection_linger_s
        self._written.ring()
        self.handle_over()

    async def _part(self) -> None:
        """Send the last frames, half-close, and let the peer read them before the socket goes away."""
        try:
            while data := self._rest or self.http2.take(limits.socket_write_octets):
                self._rest = b""
                await self._send(data)
            await self._byte_stream.send_eof()
            while True:
                await self._byte_stream.receive(limits.socket_read_octets)
        except (*_GONE, OSError):
            pass  # the peer was faster
