"""Byte streams over plain sockets whose writes can be tried without waiting.

Job:    what AnyIO's own socket streams do, and besides ``send_nowait``, so that a response that is ready goes out at
        once instead of after a turn of the loop. Reads wait by ``anyio.wait_readable``, alike on both backends.
Layer:  transport/grpc, below the engine, which works with any other ``ByteStream`` too.
Errors: AnyIO's: EndOfStream, BrokenResourceError, ClosedResourceError; OSError for connecting and listening.
"""

from __future__ import annotations

import errno
import logging
import os
import socket
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import anyio
from anyio.abc import ByteStream, Listener, SocketAttribute
from anyio.lowlevel import checkpoint, checkpoint_if_cancelled

from mm_plugin import limits
from mm_plugin.transport.grpc.readiness import Readiness

if TYPE_CHECKING:
    from anyio.abc import TaskGroup

__all__ = ("SocketListener", "SocketStream", "connect_tcp", "connect_unix")

logger = logging.getLogger(__name__)

#: What ``accept`` raises when the process or the system has no more descriptors or memory for now.
_EXHAUSTED = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}


class SocketStream(ByteStream):
    """A byte stream over a connected socket, which it owns from then on."""

    def __init__(self, connected: socket.socket) -> None:
        connected.setblocking(False)
        if connected.family != socket.AF_UNIX:
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket = connected
        self._readiness = Readiness(connected)
        self._empty = True  # the last read took all there was: the next one waits before it tries

    async def receive(self, max_bytes: int = limits.socket_read_octets) -> bytes:
        """Wait for octets; see ByteReceiveStream. Cancellation loses nothing."""
        await checkpoint_if_cancelled()
        while True:
            if self._empty:
                if self._socket.fileno() < 0:
                    raise anyio.ClosedResourceError
                await self._readiness.wait()
            try:
                data = self._socket.recv(max_bytes)
            except (BlockingIOError, InterruptedError):
                self._empty = True
                continue
            except OSError as error:
                raise self._gone(error) from error
            if not data:
                raise anyio.EndOfStream
            self._empty = len(data) < max_bytes
            return data

    async def send(self, item: bytes | memoryview) -> None:
        """Send all octets; see ByteSendStream. Cancellation may leave a part of them sent."""
        await checkpoint_if_cancelled()
        rest = memoryview(item)
        while rest := rest[self.send_nowait(rest) :]:
            if self._socket.fileno() < 0:
                raise anyio.ClosedResourceError
            await anyio.wait_writable(self._socket)

    def send_nowait(self, data: bytes | memoryview) -> int:
        """Send what the socket takes now and return how many octets that were.

        Raises:
            BrokenResourceError: The peer has gone.
            ClosedResourceError: We have closed.
        """
        try:
            return self._socket.send(data)
        except (BlockingIOError, InterruptedError):
            return 0
        except OSError as error:
            raise self._gone(error) from error

    async def send_eof(self) -> None:
        """Say that nothing more comes; the peer may still send."""
        try:
            self._socket.shutdown(socket.SHUT_WR)
        except OSError as error:
            raise self._gone(error) from error
        await checkpoint()

    async def aclose(self) -> None:
        """Close; who waits on the stream gets ClosedResourceError."""
        if self._socket.fileno() >= 0:
            self._readiness.close()
            anyio.notify_closing(self._socket)
            self._socket.close()
        await checkpoint()

    @property
    def extra_attributes(self) -> Mapping[Any, Callable[[], Any]]:
        """What AnyIO's socket streams say of themselves."""
        return _attributes(self._socket) | {SocketAttribute.remote_address: self._socket.getpeername}

    def _gone(self, error: OSError) -> Exception:
        return anyio.ClosedResourceError() if self._socket.fileno() < 0 else anyio.BrokenResourceError(str(error))


class SocketListener(Listener[SocketStream]):
    """Takes connections from a listening socket, which it owns from then on."""

    def __init__(self, listening: socket.socket) -> None:
        listening.setblocking(False)
        self._socket = listening

    async def accept(self) -> SocketStream:
        """Wait for the next connection.

        Raises:
            ClosedResourceError: The listener has been closed.
        """
        await checkpoint_if_cancelled()
        while True:
            if self._socket.fileno() < 0:
                raise anyio.ClosedResourceError
            try:
                return SocketStream(self._socket.accept()[0])
            except BlockingIOError:
                await anyio.wait_readable(self._socket)
            except OSError as error:
                if error.errno in _EXHAUSTED:  # wait until somebody closes something; the queue keeps the others
                    logger.warning("cannot take a connection: %s", os.strerror(error.errno or 0))
                    await anyio.sleep(limits.accept_pause_s)
                # else: the peer has gone before we came

    async def serve(self, handler: Callable[[SocketStream], Any], task_group: TaskGroup | None = None) -> None:
        """Hand each connection to ``handler`` in a task of its own, until cancelled or closed."""
        if task_group is None:
            async with anyio.create_task_group() as tasks:
                await self.serve(handler, tasks)
        else:
            while True:
                task_group.start_soon(handler, await self.accept())
                await checkpoint()

    async def aclose(self) -> None:
        """Stop listening."""
        if self._socket.fileno() >= 0:
            anyio.notify_closing(self._socket)
            self._socket.close()
        await checkpoint()

    @property
    def extra_attributes(self) -> Mapping[Any, Callable[[], Any]]:
        """What AnyIO's listeners say of themselves."""
        return _attributes(self._socket)


async def connect_tcp(host: str, port: int) -> SocketStream:
    """Connect to ``host``, trying its addresses one after the other.

    Raises:
        OSError: None of them answers; the last one's reason.
    """
    reason = OSError(f"{host} has no address")
    for family, _, _, _, address in await anyio.getaddrinfo(host, port, type=socket.SOCK_STREAM):
        try:
            return await _connect(family, address)
        except OSError as error:
            reason = error
    raise reason


async def connect_unix(path: str) -> SocketStream:
    """Connect to the unix socket at ``path``.

    Raises:
        OSError: Nobody listens there.
    """
    return await _connect(socket.AF_UNIX, path)


async def _connect(family: int, address: tuple[Any, ...] | str) -> SocketStream:
    connecting = socket.socket(family, socket.SOCK_STREAM)
    try:
        connecting.setblocking(False)
        code = connecting.connect_ex(address)
        while code in {errno.EINPROGRESS, errno.EAGAIN}:
            # A unix socket whose backlog is full says EAGAIN and never becomes writable: it has to be asked again.
            if code == errno.EAGAIN:
                await anyio.sleep(limits.accept_pause_s)
                code = connecting.connect_ex(address)
            else:
                await anyio.wait_writable(connecting)
                code = connecting.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            raise OSError(code, f"{os.strerror(code)}: {address if isinstance(address, str) else address[:2]}")
        return SocketStream(connecting)
    except BaseException:
        connecting.close()
        raise


def _attributes(owned: socket.socket) -> dict[Any, Callable[[], Any]]:
    attributes: dict[Any, Callable[[], Any]] = {
        SocketAttribute.family: lambda: owned.family,
        SocketAttribute.local_address: owned.getsockname,
        SocketAttribute.raw_socket: lambda: owned,
    }
    if owned.family != socket.AF_UNIX:
        attributes[SocketAttribute.local_port] = lambda: owned.getsockname()[1]
    return attributes
