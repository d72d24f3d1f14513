"""The same handlers on grpclib; prints a handshake line as a plugin does."""

from __future__ import annotations

import asyncio  # noqa: TID251 - the peer's own loop
import socket
from typing import Any
from urllib.parse import parse_qs, urlsplit

from google.protobuf.empty_pb2 import Empty
from grpclib.const import Cardinality, Handler
from grpclib.server import Server

from mm_plugin._proto.services import hook_methods

CHUNK = bytes(65_536)


class Hooks:
    """What grpclib serves: anything with a ``__mapping__``."""

    def __mapping__(self) -> dict[str, Handler]:
        hook, http = hook_methods()["MessageHasBeenPosted"], hook_methods()["ServeHTTP"]
        return {
            hook.path: Handler(self.posted, Cardinality.UNARY_UNARY, hook.request, hook.response),
            http.path: Handler(self.serve_http, Cardinality.STREAM_STREAM, http.request, http.response),
        }

    async def posted(self, stream: Any) -> None:
        await stream.recv_message()
        await stream.send_message(hook_methods()["MessageHasBeenPosted"].response())

    async def serve_http(self, stream: Any) -> None:
        response = hook_methods()["ServeHTTP"].response
        first = await stream.recv_message()
        head: Any = response()
        head.init.status_code = 200
        await stream.send_message(head)
        url = urlsplit(first.init.url)
        if url.path == "/upload":
            octets = 0
            async for request in stream:
                octets += len(request.body_chunk)
            await stream.send_message(response(body_chunk=str(octets).encode()))
        else:
            for _ in range(int(parse_qs(url.query)["octets"][0]) // len(CHUNK)):
                await stream.send_message(response(body_chunk=CHUNK))
        await stream.send_message(response(body_complete=True))


class Attacked:
    """What tools/report.py attacks."""

    def __mapping__(self) -> dict[str, Handler]:
        return {
            "/t.T/Hang": Handler(self.hang, Cardinality.UNARY_UNARY, Empty, Empty),
            "/t.T/Collect": Handler(self.collect, Cardinality.STREAM_UNARY, Empty, Empty),
            "/t.T/Echo": Handler(self.echo, Cardinality.UNARY_UNARY, Empty, Empty),
        }

    async def hang(self, stream: Any) -> None:
        await stream.recv_message()
        await asyncio.sleep(3_600)

    async def collect(self, stream: Any) -> None:
        async for _ in stream:
            pass
        await stream.send_message(Empty())

    async def echo(self, stream: Any) -> None:
        await stream.send_message(await stream.recv_message())


async def main() -> None:
    # With its protocol named, asyncio turns Nagle's algorithm off; without, each call alone takes 40 ms.
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.bind(("127.0.0.1", 0))
    server = Server([Hooks(), Attacked()])
    await server.start(sock=listening)
    print(f"1|1|tcp|127.0.0.1:{listening.getsockname()[1]}|grpc", flush=True)
    await server.wait_closed()


if __name__ == "__main__":
    asyncio.run(main())
