"""A client's process: keeps GetUser calls in flight for a while and prints what came of it as JSON.

``python -m benchmarks.caller CLIENT HOST:PORT IN_FLIGHT SECONDS``; see CLIENTS.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, closing

import anyio

from mm_plugin._proto.api_user_pb2 import GetUserRequest, GetUserResponse

PATH = "/mattermost.pluginapi.v1.PluginAPI/GetUser"
USER_ID = "u" * 26
Call = Callable[[], Awaitable[object]]
WARM_UP_S = 0.3


async def our_channel(target: str, stack: AsyncExitStack) -> Call:
    from mm_plugin.transport.grpc.addresses import connector_to
    from mm_plugin.transport.grpc.channel import GRPCChannel

    channel = await stack.enter_async_context(GRPCChannel(connector_to(target)))

    def call() -> Awaitable[object]:
        deadline = anyio.current_time() + 30
        return channel.unary(PATH, GetUserRequest(user_id=USER_ID), GetUserResponse, deadline=deadline)

    return call


async def our_api(target: str, stack: AsyncExitStack) -> Call:
    from mm_plugin import PluginAPIClient

    api = await stack.enter_async_context(PluginAPIClient(target))
    return lambda: api.get_user(USER_ID)


async def grpc_aio(target: str, stack: AsyncExitStack) -> Call:
    import grpc.aio

    channel = await stack.enter_async_context(grpc.aio.insecure_channel(target))
    stub = channel.unary_unary(PATH, GetUserRequest.SerializeToString, GetUserResponse.FromString)
    return lambda: stub(GetUserRequest(user_id=USER_ID), timeout=30)


async def grpclib(target: str, stack: AsyncExitStack) -> Call:
    from grpclib.client import Channel, UnaryUnaryMethod

    host, _, port = target.rpartition(":")
    channel = stack.enter_context(closing(Channel(host, int(port))))
    method = UnaryUnaryMethod(channel, PATH, GetUserRequest, GetUserResponse)
    return lambda: method(GetUserRequest(user_id=USER_ID), timeout=30)


CLIENTS: dict[str, tuple[Callable[[str, AsyncExitStack], Awaitable[Call]], str]] = {
    "our channel, asyncio": (our_channel, "asyncio"),
    "our channel, trio": (our_channel, "trio"),
    "our typed API, asyncio": (our_api, "asyncio"),
    "our typed API, trio": (our_api, "trio"),
    "grpc.aio": (grpc_aio, "asyncio"),
    "grpclib": (grpclib, "asyncio"),
}


async def run(name: str, target: str, in_flight: int, seconds: float) -> dict[str, float]:
    """Call for a while; how often, at what cost, how fast."""
    async with AsyncExitStack() as stack:
        call = await CLIENTS[name][0](target, stack)
        await _calls(call, in_flight, WARM_UP_S)
        cpu, begun = time.process_time(), time.perf_counter()
        taken = sorted(await _calls(call, in_flight, seconds))
        elapsed, used = time.perf_counter() - begun, time.process_time() - cpu
    return {
        "per_s": len(taken) / elapsed,
        "cpu_us": used / len(taken) * 1e6,
        "p50_us": taken[len(taken) // 2] * 1e6,
        "p99_us": taken[len(taken) * 99 // 100] * 1e6,
    }


async def _calls(call: Call, in_flight: int, seconds: float) -> list[float]:
    taken: list[float] = []
    clock = time.perf_counter
    end = clock() + seconds

    async def one_after_the_other() -> None:
        while (begun := clock()) < end:
            await call()
            taken.append(clock() - begun)

    async with anyio.create_task_group() as tasks:
        for _ in range(in_flight):
            tasks.start_soon(one_after_the_other)
    return taken


def main() -> None:
    name, target, in_flight, seconds = sys.argv[1:]
    print(json.dumps(anyio.run(run, name, target, int(in_flight), float(seconds), backend=CLIENTS[name][1])))


if __name__ == "__main__":
    main()
