"""grpc-go and grpc-js, clients of other languages, call our server: each plays its cases and says how they went."""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping
from subprocess import PIPE

import anyio
import pytest

from mm_plugin.transport.grpc.server import GRPCServer
from mm_plugin.transport.grpc.sockets import SocketListener

from .conftest import OurService, in_thread
from .peer_builds import command_of

CASES = {"cancel", "concurrent", "deadline", "gzip", "metadata", "ping_pong", "status", "unary"}

pytestmark = pytest.mark.timeout(300)  # with the first build of a peer


async def played(peer: str, service: OurService, *arguments: str) -> Mapping[str, str]:
    """Let a client play against our server; what went wrong by the case, empty where nothing did."""
    command = await in_thread(lambda: command_of(peer, "client"))
    listening = socket.create_server(("127.0.0.1", 0))
    target = f"127.0.0.1:{listening.getsockname()[1]}"
    server = GRPCServer(service.handlers())
    async with anyio.create_task_group() as tasks:
        await tasks.start(server.serve, SocketListener(listening))
        done = await anyio.run_process([*command, target, *arguments], check=False, stderr=PIPE)
        await server.aclose()
    assert done.returncode == 0, done.stderr.decode()
    found: dict[str, str] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("peer", ["grpc-go", "grpc-js"])
async def test_cases_of_other_clients(peer: str, service: OurService) -> None:
    """Sizes up to 10 MB, gzip both ways, deadline, cancel, metadata, status, ping-pong, 100 calls at a time."""
    assert await played(peer, service) == dict.fromkeys(CASES, "")
    with anyio.fail_after(5):
        await service.cancelled.wait()


async def test_keepalive_pings_are_welcome() -> None:
    """Clients that rest and send a ping every ten seconds, as our hosts may, keep their connections."""
    found: list[Mapping[str, str]] = []

    async def rest(peer: str, time: str) -> None:
        found.append(await played(peer, OurService(), time))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(rest, "grpc-go", "25s")
        tasks.start_soon(rest, "grpc-js", "25000")
    assert found == [{"idle": ""}] * 2
