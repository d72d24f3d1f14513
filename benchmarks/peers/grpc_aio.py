"""The same handlers on grpc.aio; prints a handshake line as a plugin does."""

from __future__ import annotations

import asyncio  # noqa: TID251 - the peer's own loop
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import grpc.aio

from mm_plugin._proto.services import hook_methods

CHUNK = bytes(65_536)


async def posted(_request: Any, _context: object) -> Any:
    return hook_methods()["MessageHasBeenPosted"].response()


async def serve_http(requests: AsyncIterator[Any], _context: object) -> AsyncIterator[Any]:
    response = hook_methods()["ServeHTTP"].response
    first = await anext(requests)
    head: Any = response()
    head.init.status_code = 200
    yield head
    url = urlsplit(first.init.url)
    if url.path == "/upload":
        octets = 0
        async for request in requests:
            octets += len(request.body_chunk)
        yield response(body_chunk=str(octets).encode())
    else:
        for _ in range(int(parse_qs(url.query)["octets"][0]) // len(CHUNK)):
            yield response(body_chunk=CHUNK)
    yield response(body_complete=True)


def handlers() -> Any:
    """Return the two methods, with the real messages."""
    hook, http = hook_methods()["MessageHasBeenPosted"], hook_methods()["ServeHTTP"]
    return grpc.method_handlers_generic_handler(
        "mattermost.pluginapi.v1.PluginHooks",
        {
            "MessageHasBeenPosted": grpc.unary_unary_rpc_method_handler(
                posted, hook.request.FromString, hook.response.SerializeToString
            ),
            "ServeHTTP": grpc.stream_stream_rpc_method_handler(
                serve_http, http.request.FromString, http.response.SerializeToString
            ),
        },
    )


async def hang(_request: bytes, _context: object) -> bytes:
    await asyncio.sleep(3_600)
    return b""


async def collect(requests: AsyncIterator[bytes], _context: object) -> bytes:
    async for _ in requests:
        pass
    return b""


async def echo(request: bytes, _context: object) -> bytes:
    return request


def test_handlers() -> Any:
    """Return what tools/report.py attacks."""
    return grpc.method_handlers_generic_handler(
        "t.T",
        {
            "Hang": grpc.unary_unary_rpc_method_handler(hang),
            "Collect": grpc.stream_unary_rpc_method_handler(collect),
            "Echo": grpc.unary_unary_rpc_method_handler(echo),
        },
    )


async def main() -> None:
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((handlers(), test_handlers()))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(f"1|1|tcp|127.0.0.1:{port}|grpc", flush=True)
    await server.wait_for_termination()


if __name__ == "__main__":
    asyncio.run(main())
