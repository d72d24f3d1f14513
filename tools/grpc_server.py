"""Serve a few gRPC methods in a process of its own, for tools and tests that meet the server from outside.

``python -m tools.grpc_server --backend trio socket_write_s=0.3``: prints the port, then serves until its standard
input ends. Each ``name=value`` replaces a limit.
"""

from __future__ import annotations

import argparse
import gc
import socket
import sys

import anyio
import anyio.to_thread

from mm_plugin import limits
from mm_plugin.transport.goplugin.health import Health
from mm_plugin.transport.grpc.handlers import CallInfo, Handler, Streaming, Unary
from mm_plugin.transport.grpc.server import GRPCServer
from mm_plugin.transport.grpc.sockets import SocketListener
from mm_plugin.transport.grpc.streams import ServerStream

#: Handlers that run now, and the most that ever ran at once, cancelled ones that linger included.
_counts = {"now": 0, "most": 0}


async def _echo(request: bytes, _: CallInfo) -> bytes:
    return request


async def _hang(_request: bytes, _: CallInfo) -> bytes:
    await anyio.sleep_forever()
    return b""


async def _linger(_request: bytes, _: CallInfo) -> bytes:
    """Wait for ever, and take a moment to notice a cancellation, as real handlers may."""
    _counts["now"] += 1
    _counts["most"] = max(_counts["most"], _counts["now"])
    try:
        await anyio.sleep_forever()
    finally:
        with anyio.move_on_after(0.05, shield=True):
            await anyio.sleep_forever()
        _counts["now"] -= 1
    return b""


async def _collect_garbage(_request: bytes, _: CallInfo) -> bytes:
    return b"%d" % gc.collect()


async def _most(_request: bytes, _: CallInfo) -> bytes:
    return b"%d" % _counts["most"]


async def _big(request: bytes, _: CallInfo) -> bytes:
    """Answer with as many octets as the request says."""
    return bytes(int(request))


async def _stream(stream: ServerStream[bytes, bytes]) -> None:
    """Answer with as many pieces of 64 KiB as the request says."""
    request = await stream.recv_message()
    for _ in range(int(request or b"0")):
        await stream.send_message(bytes(65_536))


async def _collect(stream: ServerStream[bytes, bytes]) -> None:
    async for _ in stream:
        pass


def _handlers() -> dict[str, Handler]:
    health = Health()
    health.set_serving(True)
    return {
        **health.handlers(),
        "/t.T/Echo": Unary(_echo, bytes, bytes),
        "/t.T/Hang": Unary(_hang, bytes, bytes),
        "/t.T/Linger": Unary(_linger, bytes, bytes),
        "/t.T/CollectGarbage": Unary(_collect_garbage, bytes, bytes),
        "/t.T/Most": Unary(_most, bytes, bytes),
        "/t.T/Big": Unary(_big, bytes, bytes),
        "/t.T/Stream": Streaming(_stream, bytes, bytes),
        "/t.T/Collect": Streaming(_collect, bytes, bytes),
    }


async def serve() -> None:
    """Serve on a free port of the loopback, say which, and end with the standard input."""
    listening = socket.create_server(("127.0.0.1", 0), backlog=limits.listen_backlog)
    server = GRPCServer(_handlers())
    async with anyio.create_task_group() as tasks:
        await tasks.start(server.serve, SocketListener(listening))
        print(listening.getsockname()[1], flush=True)
        await anyio.to_thread.run_sync(sys.stdin.read, abandon_on_cancel=True)
        await server.aclose()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--backend", default="asyncio", choices=("asyncio", "trio"))
    parser.add_argument("limits", nargs="*", metavar="name=value")
    asked = parser.parse_args()
    for text in asked.limits:
        name, _, value = text.partition("=")
        if not hasattr(limits, name):
            parser.error(f"there is no limit {name!r}")
        setattr(limits, name, float(value) if "." in value else int(value))
    anyio.run(serve, backend=asked.backend)


if __name__ == "__main__":
    main()
