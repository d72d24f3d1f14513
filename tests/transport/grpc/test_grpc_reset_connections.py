"""Connections that are reset before, or as soon as, the server has taken them."""

from __future__ import annotations

import socket
import struct
from functools import partial

import anyio
import pytest

from mm_plugin.transport.grpc.channel import GRPCChannel
from mm_plugin.transport.grpc.server import GRPCServer
from mm_plugin.transport.grpc.sockets import SocketListener, connect_tcp
from mm_plugin.wire.http2 import Connection, Role

from .raw_peers import ECHO, HANDLERS


@pytest.mark.parametrize("greeting", [b"", Connection(Role.CLIENT).take()], ids=["silent", "greeted"])
async def test_a_connection_that_was_reset_in_the_queue(greeting: bytes) -> None:
    """The server takes it from the queue like any other, finds nobody, and serves the next."""
    listening = socket.create_server(("127.0.0.1", 0))
    host, port = listening.getsockname()
    for _ in range(3):
        with socket.create_connection((host, port)) as peer:
            peer.sendall(greeting)
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # close means reset
    server = GRPCServer(HANDLERS)
    with anyio.fail_after(10):
        async with anyio.create_task_group() as tasks:
            await tasks.start(server.serve, SocketListener(listening))
            async with GRPCChannel(partial(connect_tcp, host, port)) as channel:
                assert await channel.unary(ECHO, b"alive", bytes) == b"alive"
            await server.aclose()
