"""What the host's tests stand on: hooks answered inside the test, and processes that speak the handshake line only."""

import json
import os
import signal
import sys
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, cast

import anyio
from google.protobuf.message import Message

from mm_plugin._proto.hooks_lifecycle_pb2 import ImplementedResponse
from mm_plugin._proto.services import hook_methods
from mm_plugin.exceptions import StatusCode
from mm_plugin.host.options import HostOptions
from mm_plugin.host.supervision import SupervisionRules
from mm_plugin.host.wires import HostWire
from mm_plugin.transport.link import APIReceiver, CallFailure, HookCall, HostLink, HTTPExchange
from mm_plugin.transport.memory import memory_link
from mm_plugin.wire.handshake import Handshake

#: Answers one hook: a response, its fields, or a failure to raise.
Answer = Callable[[Message], "Message | Mapping[str, object] | None"]

#: Ends without a word when it is asked to stop, which the stub wire does with SIGUSR1.
POLITE = """
import os, signal, sys
signal.signal(signal.SIGUSR1, lambda *_: os._exit(0))
print(f"1|1|unix|/{os.getpid()}|grpc", flush=True)
while True:
    signal.pause()
"""
#: Does not mind being asked.
DEAF = POLITE.replace("lambda *_: os._exit(0)", "signal.SIG_IGN")
#: Does not mind SIGTERM either.
STUBBORN = DEAF.replace("print(", "signal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint(", 1)

#: Budgets that let every test end soon; a polite process needs none of them.
QUICK = HostOptions(
    interpreter=Path(sys.executable),
    exit_grace_s=0.2,
    terminate_grace_s=0.2,
    supervision=SupervisionRules(failures=1),
)


def write_bundle(folder: Path, code: str = POLITE, *, plugin_id: str = "com.example.x", **server: object) -> Path:
    """Write a bundle of one script."""
    folder.mkdir(parents=True, exist_ok=True)
    manifest = {"id": plugin_id, "name": "X", "server": {"executable": "plugin.py", **server}}
    (folder / "plugin.json").write_text(json.dumps(manifest))
    (folder / "plugin.py").write_text(code)
    return folder


def says(**fields: object) -> Answer:
    """Answer with these fields of the response."""
    return lambda _: fields


class NoAPI:
    """An API that knows no method."""

    async def handle_api(self, method: str, request: Message, *, deadline: float | None) -> Message:
        raise CallFailure(f"unknown method {method}", code=StatusCode.UNIMPLEMENTED)


class _MessageClass(Protocol):
    def __call__(self, **fields: object) -> Message: ...


@dataclass
class StubPlugin:
    """The plugin's side of a memory link, with a note of every call."""

    answers: dict[str, Answer] = field(default_factory=dict)
    implements: list[str] | None = None
    calls: list[HookCall] = field(default_factory=list)

    @property
    def called(self) -> list[str]:
        return [call.name for call in self.calls]

    async def handle_hook(self, call: HookCall) -> Message:
        self.calls.append(call)
        await anyio.lowlevel.checkpoint()
        if call.name == "Implemented" and "Implemented" not in self.answers:
            names = ["OnActivate", "OnDeactivate", *self.answers] if self.implements is None else self.implements
            return ImplementedResponse(hooks=names)
        answer = self.answers.get(call.name, says())(cast("Message", call.request))
        if isinstance(answer, Message):
            return answer
        return cast("_MessageClass", hook_methods()[call.name].response)(**(answer or {}))

    async def handle_http(self, exchange: HTTPExchange) -> None:
        raise NotImplementedError


@asynccontextmanager
async def joined(plugin: StubPlugin, *, pid: int | None = None) -> AsyncGenerator[HostLink]:
    """Join a stub to a host's link; with ``pid`` that process gets SIGUSR1 when the plugin is asked to stop."""
    plugin_end, host_end = memory_link(NoAPI())

    async def pass_on_stop() -> None:
        await plugin_end.wait_stop_asked()
        if pid is not None:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGUSR1)

    async with anyio.create_task_group() as tasks:
        await tasks.start(plugin_end.serve, plugin)
        tasks.start_soon(pass_on_stop)
        yield host_end
        await host_end.aclose()
        tasks.cancel_scope.cancel()


class StubWire:
    """A wire whose calls never leave the test; the process gives its own id as the address."""

    def __init__(self, *plugins: StubPlugin) -> None:
        self.plugins = list(plugins)
        self.events: list[str] = []
        self.wire = HostWire(self.serve_api, self.open_link)

    @asynccontextmanager
    async def serve_api(self, receiver: APIReceiver, /, *, secret: str) -> AsyncGenerator[str]:
        self.events.append("API open")
        yield "127.0.0.1:1"
        self.events.append("API closed")

    @asynccontextmanager
    async def open_link(self, handshake: Handshake, /) -> AsyncGenerator[HostLink]:
        pid = int(handshake.address.removeprefix("/"))
        self.events.append("link open")
        async with joined(self.plugins.pop(0), pid=pid) as link:
            yield link
        self.events.append("link closed")
