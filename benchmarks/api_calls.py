"""API calls per second: our client on both backends next to grpc.aio's client, against the same servers, in one run.

``python -m benchmarks.api_calls [CALLS]``, or ``python -m benchmarks api_calls``. Each server has a process of its own;
the clients take turns, five times each, and the median counts. Every call is a whole one: arguments in, message out,
errors looked for. The processor time is the client's alone.
"""

from __future__ import annotations

import argparse
import asyncio  # noqa: TID251 - grpc.aio runs on nothing else
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from typing import Any

import anyio
from anyio.abc import SocketAttribute

from benchmarks.table import Row, print_table
from mm_plugin._proto.api_user_pb2 import GetUserRequest, GetUserResponse
from mm_plugin._proto.services import api_methods
from mm_plugin._proto.user_pb2 import User
from mm_plugin.api.client import PluginAPIClient
from mm_plugin.host.api_receiver import HandlerAPI
from mm_plugin.transport.grpc.api_end import api_handlers
from mm_plugin.transport.grpc.server import GRPCServer

TASKS = 100
ROUNDS = 5
CALLS = 3000
PATH = api_methods()["GetUser"].path
USER_ID = "8bmk5s1qzbyqtn6rpzx7t6wfhc"

Ask = Callable[[], Awaitable[object]]
#: Calls per second and the client's microseconds per call, one after another and with many at once.
Measured = tuple[float, float, float, float]


def answer(user_id: str) -> User:
    """Return a user as a server has them."""
    return User(id=user_id, username="alice", email="alice@example.com", first_name="Alice", roles="system_user")


# -- servers --------------------------------------------------------------------------------------------------


class Handler:
    """Answers GetUser."""

    async def get_user(self, user_id: str) -> User:
        return answer(user_id)


async def serve_ours() -> None:
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1", local_port=0)
    print(listener.extra(SocketAttribute.local_port), flush=True)
    await GRPCServer(api_handlers(HandlerAPI(Handler()))).serve(listener)


async def serve_grpc_aio() -> None:
    import grpc
    import grpc.aio

    async def get_user(request: GetUserRequest, _: object) -> GetUserResponse:
        return GetUserResponse(user=answer(request.user_id))

    method = grpc.unary_unary_rpc_method_handler(get_user, GetUserRequest.FromString, GetUserResponse.SerializeToString)
    server = grpc.aio.server()
    service = PATH.split("/")[1]
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, {"GetUser": method}),))
    print(server.add_insecure_port("127.0.0.1:0"), flush=True)
    await server.start()
    await server.wait_for_termination()


SERVERS: dict[str, Callable[[], Any]] = {"ours": serve_ours, "grpc.aio": serve_grpc_aio}


@contextmanager
def running(name: str) -> Iterator[str]:
    """Run a server in a process of its own and yield its address."""
    command = [sys.executable, "-m", "benchmarks.api_calls", "--serve", name]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield f"127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.kill()


# -- clients --------------------------------------------------------------------------------------------------


async def measure(ask: Ask, calls: int) -> Measured:
    """Measure calls one after another, and by many tasks."""

    async def repeat(times: int) -> None:
        for _ in range(times):
            await ask()

    await repeat(100)
    begun, used = time.perf_counter(), time.process_time()
    await repeat(calls)
    alone_s, alone_used = time.perf_counter() - begun, time.process_time() - used
    begun, used = time.perf_counter(), time.process_time()
    async with anyio.create_task_group() as tasks:
        for _ in range(TASKS):
            tasks.start_soon(repeat, calls // TASKS)
    many_s, many_used = time.perf_counter() - begun, time.process_time() - used
    many = calls // TASKS * TASKS
    return calls / alone_s, alone_used / calls * 1e6, many / many_s, many_used / many * 1e6


async def ours(target: str, calls: int) -> Measured:
    async with PluginAPIClient(target) as api:
        assert (await api.get_user(USER_ID)).id == USER_ID
        return await measure(lambda: api.get_user(USER_ID), calls)


async def grpc_aio(target: str, calls: int) -> Measured:
    import grpc.aio

    async with grpc.aio.insecure_channel(target) as channel:
        method = channel.unary_unary(PATH, GetUserRequest.SerializeToString, GetUserResponse.FromString)

        async def ask() -> User | None:
            response = await method(GetUserRequest(user_id=USER_ID), timeout=30)
            assert not response.HasField("error")
            return response.user if response.HasField("user") else None

        assert await ask() == answer(USER_ID)
        return await measure(ask, calls)


CLIENTS: dict[str, Callable[[str, int], Measured]] = {
    "asyncio": lambda target, calls: anyio.run(ours, target, calls, backend="asyncio"),
    "trio": lambda target, calls: anyio.run(ours, target, calls, backend="trio"),
    "grpc.aio": lambda target, calls: asyncio.run(grpc_aio(target, calls)),
}


def print_api_calls(calls: int = CALLS) -> None:
    """Measure, and print one table for each server."""
    for server in SERVERS:
        turns: dict[str, list[Measured]] = {name: [] for name in CLIENTS}
        with running(server) as target:
            for _ in range(ROUNDS):
                for name, client in CLIENTS.items():
                    turns[name].append(client(target, calls))
        print(f"\nget_user, server {server}, median of {ROUNDS} turns of {calls} calls each")
        print_table({name: _rows(found) for name, found in turns.items()})


def main() -> None:
    """Serve, or measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.api_calls", description=__doc__)
    parser.add_argument("calls", nargs="?", type=int, default=CALLS, help="calls of each kind in one turn")
    parser.add_argument("--serve", choices=list(SERVERS), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        anyio.run(SERVERS[given.serve])
        return
    versions = ", ".join(f"{name} {version(name)}" for name in ("anyio", "trio", "grpcio", "protobuf"))
    print(f"Python {platform.python_version()} on {platform.system()} {platform.machine()}; {versions}")
    print_api_calls(given.calls)


def _rows(turns: list[Measured]) -> list[Row]:
    alone, alone_us, many, many_us = (statistics.median(values) for values in zip(*turns, strict=True))
    return [
        Row("one after another", "calls/s", alone),
        Row("one after another, client's processor time", "us/call", alone_us),
        Row(f"by {TASKS} tasks at once", "calls/s", many),
        Row(f"by {TASKS} tasks at once, client's processor time", "us/call", many_us),
    ]


if __name__ == "__main__":
    main()
