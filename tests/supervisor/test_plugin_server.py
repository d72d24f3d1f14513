"""PluginServer and serve_plugin: a plugin inside a running program, by the names kept from an earlier SDK."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import anyio
import pytest

from mm_plugin._proto.grpc_controller_pb2 import Empty
from mm_plugin._proto.health_pb2 import HealthCheckRequest, HealthCheckResponse
from mm_plugin._proto.services import hook_methods
from mm_plugin.plugin.plugin import Plugin
from mm_plugin.settings import RuntimeConfig
from mm_plugin.supervisor.plugin_server import PluginServer
from mm_plugin.transport.grpc.addresses import connector_to
from mm_plugin.transport.grpc.channel import GRPCChannel

ROOT = Path(__file__).parents[2]
CONFIG = RuntimeConfig(plugin_id="test")


class Recording(Plugin):
    """Writes down its lifecycle."""

    def __init__(self) -> None:
        self.log: list[str] = []

    async def on_activate(self) -> None:
        self.log.append("activated")

    async def on_deactivate(self) -> None:
        self.log.append("deactivated")


class Crashing(Plugin):
    """Crashes in the background."""

    async def on_activate(self) -> None:
        self.task_group.start_soon(self.crash)

    async def crash(self) -> None:
        raise ValueError("boom")


async def call(address: str, name: str) -> None:
    method = hook_methods()[name]
    async with GRPCChannel(connector_to(address)) as channel:
        await channel.unary(method.path, method.request(), method.response)


async def test_start_gives_the_port_and_leaving_stops_in_order() -> None:
    """start() returns the port, address has it too, and the context's end deactivates."""
    plugin = Recording()
    with anyio.fail_after(20):
        async with PluginServer(plugin, CONFIG) as server:
            port = await server.start()
            assert server.address == f"127.0.0.1:{port}"
            await call(server.address, "OnActivate")
            assert plugin.log == ["activated"]
        await server.wait_for_termination()
    assert plugin.log == ["activated", "deactivated"]
    with pytest.raises(OSError):
        await anyio.connect_tcp("127.0.0.1", port)


async def test_second_start_is_an_error() -> None:
    """A server serves once."""
    with anyio.fail_after(20):
        async with PluginServer(Recording(), CONFIG) as server:
            with pytest.raises(RuntimeError, match="no address"):
                _ = server.address
            await server.start()
            with pytest.raises(RuntimeError, match="already"):
                await server.start()
            await server.stop()
            with pytest.raises(RuntimeError, match="already"):
                await server.start()


async def test_start_outside_the_context_is_an_error() -> None:
    """Its tasks need an owner."""
    with pytest.raises(RuntimeError, match="async with"):
        await PluginServer(Recording(), CONFIG).start()


async def test_stop_may_be_called_at_any_time() -> None:
    """Before the start and after the end it does nothing."""
    plugin = Recording()
    with anyio.fail_after(20):
        async with PluginServer(plugin, CONFIG) as server:
            await server.stop()
            await server.start()
            await call(server.address, "OnActivate")
            await server.stop(grace_s=1.0)
            await server.stop()
            await server.wait_for_termination()
    assert plugin.log == ["activated", "deactivated"]


async def test_host_may_ask_for_the_stop() -> None:
    """Shutdown over the wire ends it as well."""
    with anyio.fail_after(20):
        async with PluginServer(Recording(), CONFIG) as server:
            await server.start()
            async with GRPCChannel(connector_to(server.address)) as channel:
                await channel.unary("/plugin.GRPCController/Shutdown", Empty(), Empty)
            await server.wait_for_termination()


async def test_watchers_of_health_see_the_stop_coming() -> None:
    """Health says SERVING while calls are taken, and NOT_SERVING before the connection goes."""
    with anyio.fail_after(20):
        async with PluginServer(Recording(), CONFIG) as server:
            await server.start()
            async with (
                GRPCChannel(connector_to(server.address)) as channel,
                channel.open_stream("/grpc.health.v1.Health/Watch", HealthCheckRequest, HealthCheckResponse) as health,
            ):
                await health.send_message(HealthCheckRequest(service="plugin"), end=True)
                assert await health.recv_message() == HealthCheckResponse(status=HealthCheckResponse.SERVING)
                await channel.unary("/plugin.GRPCController/Shutdown", Empty(), Empty)
                assert await health.recv_message() == HealthCheckResponse(status=HealthCheckResponse.NOT_SERVING)


async def test_unix_socket_has_a_name_and_no_port(tmp_path: Path) -> None:
    """With unix_socket_dir the address is a path, and the file goes with the server."""
    config = RuntimeConfig(plugin_id="test", unix_socket_dir=str(tmp_path))
    with anyio.fail_after(20):
        async with PluginServer(Recording(), config) as server:
            assert await server.start() == 0
            await call(f"unix:{server.address}", "OnActivate")
    assert os.listdir(tmp_path) == []


async def serve_and_activate(plugin: Plugin) -> None:
    async with PluginServer(plugin, CONFIG) as server:
        await server.start()
        method = hook_methods()["OnActivate"]
        async with GRPCChannel(connector_to(server.address)) as channel:
            await channel.unary(method.path, method.request(), method.response)
            await anyio.sleep_forever()


async def test_crash_of_the_plugin_comes_out_of_the_context() -> None:
    """The program that serves a plugin learns of its crash."""
    with anyio.fail_after(20):
        with pytest.raises(BaseExceptionGroup) as info:
            await serve_and_activate(Crashing())
        assert info.value.subgroup(ValueError) is not None


async def test_cancellation_cuts_the_plugin() -> None:
    """A cancelled program leaves nothing behind and does not deactivate."""
    plugin = Recording()
    with anyio.fail_after(20):
        with anyio.CancelScope() as scope:
            async with PluginServer(plugin, CONFIG) as server:
                await server.start()
                await call(server.address, "OnActivate")
                scope.cancel()
                await anyio.sleep_forever()
        await server.wait_for_termination()
    assert plugin.log == ["activated"]


PROGRAM = """
import sys, anyio
from mm_plugin.plugin.plugin import Plugin
from mm_plugin.supervisor.run import serve_plugin

class Served(Plugin):
    async def on_deactivate(self):
        print("deactivated")

async def main():
    await serve_plugin(Served)
    print("standard output is back")

anyio.run(main, backend=sys.argv[1])
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_serve_plugin_needs_no_cookie_and_obeys_interrupts(anyio_backend: str, number: signal.Signals) -> None:
    """Run by hand it announces itself, stops in order at Ctrl-C, and gives standard output back."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(("PLUGIN_", "MATTERMOST_"))}
    command = [sys.executable, "-c", PROGRAM, anyio_backend]
    with anyio.fail_after(30):
        async with await anyio.open_process(command, env={**env, "PYTHONPATH": str(ROOT)}, stderr=None) as process:
            assert process.stdout is not None
            line = (await process.stdout.receive()).decode()
            assert line.startswith("1|1|tcp|127.0.0.1:")
            await call(line.split("|")[3], "OnActivate")
            process.send_signal(number)
            rest = b"".join([piece async for piece in process.stdout])
            assert rest == b"standard output is back\n"
            assert await process.wait() == 0
