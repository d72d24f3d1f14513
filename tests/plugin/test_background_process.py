"""Background work in a real process, started by the host: a crash ends it, or the work begins again."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import anyio
import pytest
from google.protobuf.message import Message

from mm_plugin.host.host import open_plugin
from mm_plugin.host.options import HostOptions
from mm_plugin.host.running_plugin import RunningPlugin
from mm_plugin.host.state import PluginState
from mm_plugin.messages.commands import CommandArgs
from tests.host.stubs import write_bundle
from tests.plugin.running import EmptyAPI

ROOT = Path(__file__).parents[2]

PLUGIN = """
    from dataclasses import dataclass

    from mm_plugin import CommandArgs, OnCrash, Plugin, command, every, run_plugin

    @dataclass
    class Settings:
        crashes: int = 2

    class Crashing(Plugin[Settings]):
        async def on_activate(self):
            self.left = self.settings.crashes
            self.start_soon(self.work, name="the work", on_crash=OnCrash.{policy})

        async def work(self):
            if self.left:
                self.left -= 1
                raise LookupError("in the background")
            await self.api.get_server_version()

        @every(seconds=3600)
        def tick(self):
            self.logger.info("tick")

        @command("left")
        async def tell(self) -> str:
            return f"{{self.left}} left"

    run_plugin(Crashing)
"""


class Server(EmptyAPI):
    """Notes when the work has come through."""

    def __init__(self) -> None:
        super().__init__()
        self.reached = anyio.Event()

    async def handle_api(self, method: str, request: Message, *, deadline: float | None) -> Message:
        if method == "GetServerVersion":
            self.reached.set()
        return await super().handle_api(method, request, deadline=deadline)


Open = Callable[[str], AbstractAsyncContextManager[tuple[RunningPlugin, Server]]]


@pytest.fixture
def open_crashing(tmp_path: Path, anyio_backend: str) -> Open:
    options = HostOptions(
        interpreter=Path(sys.executable),
        environment={"MM_PLUGIN_BACKEND": anyio_backend, "PYTHONPATH": str(ROOT)},
    )

    @asynccontextmanager
    async def open_it(policy: str) -> AsyncGenerator[tuple[RunningPlugin, Server]]:
        server = Server()
        bundle = write_bundle(tmp_path, textwrap.dedent(PLUGIN).format(policy=policy))
        with anyio.fail_after(40):
            async with open_plugin(bundle, server, options=options) as plugin:
                yield plugin, server

    return open_it


async def test_a_crash_ends_the_process_with_a_code(open_crashing: Open) -> None:
    """The host sees a non-zero exit, and the log names the work."""
    async with open_crashing("STOP") as (plugin, server):
        assert await plugin.wait_over() is PluginState.FAILED_TO_STAY_RUNNING
        assert "exited with code 1" in plugin.reason
        assert any("in the background" in line for line in plugin.stderr)
        assert any("'the work'" in line for line in plugin.stderr)
        assert not server.reached.is_set()


async def test_work_that_may_be_restarted_keeps_the_process_alive(open_crashing: Open) -> None:
    """After its crashes the work comes through, settings and commands beside it."""
    async with open_crashing("RESTART") as (plugin, server):
        await server.reached.wait()
        assert plugin.state is PluginState.RUNNING
        assert {"LoadPluginConfiguration", "RegisterCommand"} <= set(server.asked)
        assert plugin.hooks is not None
        response = await plugin.hooks.execute_command(CommandArgs(command="/left"))
        assert response is not None
        assert response.text == "0 left"
