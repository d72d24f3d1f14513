"""The names kept from an earlier SDK: each works as its users expect, where no decision says otherwise."""

from __future__ import annotations

import inspect
import socket
from pathlib import Path

import anyio
import pytest

import mm_plugin
from mm_plugin import (
    Plugin,
    PluginAPIClient,
    PluginServer,
    RuntimeConfig,
    UnavailableError,
    format_handshake_line,
    hook,
    load_runtime_config,
    run_plugin,
    serve_plugin,
)

CONFIG = RuntimeConfig(plugin_id="kept")


class Kept(Plugin):
    @hook("UserHasLoggedIn")
    def logged_in(self, context: object, user: object) -> None: ...

    @hook
    async def ExecuteCommand(self, context: object, args: object) -> None: ...  # noqa: N802 - named as the hook


def test_implemented_hooks() -> None:
    """The author's own hooks, sorted; what the runtime adds for the rpc is not among them."""
    assert Kept().implemented_hooks() == ["ExecuteCommand", "UserHasLoggedIn"]


async def test_plugin_server() -> None:
    """start() gives the port that is listening, address the socket's name; stop() ends it."""
    async with PluginServer(Kept(), CONFIG) as server:
        port = await server.start()
        assert server.address == f"127.0.0.1:{port}"
        async with await anyio.connect_tcp("127.0.0.1", port):
            pass
        await server.stop(grace_s=5.0)
        await server.wait_for_termination()
        with pytest.raises(OSError, match=r"."), socket.create_connection(("127.0.0.1", port), timeout=1):
            pass


async def test_plugin_server_on_a_unix_socket(tmp_path: Path) -> None:
    """Address is the socket's path, and the file is gone in the end."""
    config = RuntimeConfig(plugin_id="kept", unix_socket_dir=str(tmp_path))
    async with PluginServer(Kept(), config) as server:
        await server.start()
        async with await anyio.connect_unix(server.address):
            pass
    assert list(tmp_path.iterdir()) == []


async def test_plugin_server_starts_once() -> None:
    """A second start is a RuntimeError and changes nothing."""
    async with PluginServer(Kept(), CONFIG) as server:
        port = await server.start()
        with pytest.raises(RuntimeError, match="started already"):
            await server.start()
        async with await anyio.connect_tcp("127.0.0.1", port):
            pass


def test_serve_plugin_and_run_plugin() -> None:
    """Their signatures stay."""
    assert inspect.iscoroutinefunction(serve_plugin)
    assert list(inspect.signature(serve_plugin).parameters) == ["plugin_class", "config"]
    assert inspect.signature(serve_plugin).parameters["config"].default is None
    parameters = inspect.signature(run_plugin).parameters
    assert list(parameters) == ["plugin_class", "backend"]
    assert parameters["backend"].kind is inspect.Parameter.KEYWORD_ONLY
    assert parameters["backend"].default is None


async def test_plugin_api_client(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a target the environment's counts; without that, too, a call names the variable."""
    monkeypatch.delenv("MATTERMOST_PLUGIN_API_TARGET", raising=False)
    async with PluginAPIClient() as api:
        with pytest.raises(UnavailableError, match="MATTERMOST_PLUGIN_API_TARGET"):
            await api.get_server_version()
    monkeypatch.setenv("MATTERMOST_PLUGIN_API_TARGET", "127.0.0.1:1")
    async with PluginAPIClient() as api:
        assert api.target == "127.0.0.1:1"
        with pytest.raises(UnavailableError):
            await api.get_server_version()
    async with PluginAPIClient("127.0.0.1:2") as api:
        assert api.target == "127.0.0.1:2"


def test_runtime_config() -> None:
    """load_runtime_config takes any mapping and gives a RuntimeConfig."""
    assert isinstance(load_runtime_config({"MATTERMOST_PLUGIN_ID": "x"}), RuntimeConfig)


def test_format_handshake_line() -> None:
    """Five fields, no line end."""
    assert format_handshake_line(54321) == "1|1|tcp|127.0.0.1:54321|grpc"


def test_hook_names() -> None:
    """HookName has the 41 hooks, and its members are their Go names."""
    assert len(mm_plugin.HookName) == 41
    assert mm_plugin.HookName.OnSAMLLogin == "OnSAMLLogin"
