"""A real server in a process of its own, to be killed: `python api_server_process.py PORT`; port 0 means any.

Prints its port. `kv_get("wait …")` never answers but writes a line; any other key is answered with itself.
"""

from __future__ import annotations

import sys

import anyio
from anyio.abc import SocketAttribute

from mm_plugin.host.api_receiver import HandlerAPI
from mm_plugin.transport.grpc.api_end import api_handlers
from mm_plugin.transport.grpc.server import GRPCServer


class Server:
    async def kv_get(self, key: str) -> bytes:
        if key.startswith("wait"):
            print(key, flush=True)
            await anyio.sleep_forever()
        return key.encode()


async def main(port: int) -> None:
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1", local_port=port, reuse_port=True)
    server = GRPCServer(api_handlers(HandlerAPI(Server())))
    async with anyio.create_task_group() as tasks:
        await tasks.start(server.serve, listener)
        print(listener.extra(SocketAttribute.local_port), flush=True)


if __name__ == "__main__":
    anyio.run(main, int(sys.argv[1]))
