"""A plugin's interceptors: around every hook, ServeHTTP among them, and every API call, and the figures they give."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from contextvars import ContextVar
from typing import Any

import anyio
import pytest

from mm_plugin._proto.services import hook_methods
from mm_plugin.hooks.results import Reject
from mm_plugin.plugin.plugin import Plugin
from mm_plugin.settings import RuntimeConfig
from mm_plugin.transport.call_metrics import prometheus_text
from mm_plugin.transport.interceptors import CallDirection, CallInfo, CallNext, Interceptor
from mm_plugin.transport.link import RequestHead
from mm_plugin.transport.memory import MemoryHostLink
from tests.plugin.running import linked

USER: ContextVar[str] = ContextVar("user", default="")


class Watched(Plugin):
    """Notes its calls, refuses some, and hands a context variable on."""

    def __init__(self) -> None:
        self.events: list[str] = []
        self.result: object = None

    def interceptors(self) -> Sequence[Interceptor]:
        return (self.watch,)

    async def watch(self, call: CallInfo, call_next: CallNext) -> object:
        self.events.append(f"{call.direction.value} {call.name}")
        USER.set("ada")
        if call.name == "UserWillLogIn":
            return Reject("not by this door")
        if call.name == "ServeHTTP":
            request, response = call.arguments
            if request.path == "/secret":  # type: ignore[attr-defined]
                response.status = 401  # type: ignore[attr-defined]
                return None
        if call.name == "ReactionHasBeenAdded":
            raise PermissionError
        self.result = await call_next()
        return self.result

    async def on_activate(self) -> None:
        await self.api.get_server_version()

    def message_will_be_posted(self, context: Any, post: Any) -> Reject:
        return Reject(f"for {USER.get()}")  # in a worker thread

    async def user_will_log_in(self, context: Any, user: Any) -> None:
        self.events.append("let in")

    async def reaction_has_been_added(self, context: Any, reaction: Any) -> None: ...

    async def configuration_will_be_saved(self, new_config: Any) -> None:
        await anyio.sleep_forever()

    async def serve_http(self, request: Any, response: Any) -> None:
        response.status = 204


async def ask(host: MemoryHostLink, name: str) -> Any:
    return await host.call_hook(name, hook_methods()[name].request())


async def get(host: MemoryHostLink, path: str) -> int:
    async with host.open_http(RequestHead(method="GET", url=path)) as call:
        await call.finish()
        return (await call.receive_head()).status


async def test_hooks_and_api_calls_pass_the_interceptors() -> None:
    """Results and context variables pass, into threads too; the hook's policy answers an interceptor that raises."""
    plugin = Watched()
    async with linked(plugin) as host:
        await ask(host, "OnActivate")
        assert plugin.events == ["hook OnActivate", "hook OnConfigurationChange", "api GetServerVersion"]
        assert (await ask(host, "MessageWillBePosted")).rejection_reason == "for ada"
        assert plugin.result == Reject("for ada")
        assert (await ask(host, "UserWillLogIn")).rejection_reason == "not by this door"
        assert "let in" not in plugin.events
        assert await ask(host, "ReactionHasBeenAdded") == hook_methods()["ReactionHasBeenAdded"].response()
        assert plugin.events[-1] == "hook ReactionHasBeenAdded"
        assert await get(host, "/open") == 204
        assert await get(host, "/secret") == 401
    assert plugin.events[-2:] == ["hook ServeHTTP"] * 2


async def test_the_plugin_has_its_figures() -> None:
    """Each hook and API call is counted once, with its success; a deadline that passes is none."""
    plugin = Watched()
    async with linked(plugin, RuntimeConfig(plugin_id="x.y", hook_timeout_s=0.05)) as host:
        await ask(host, "OnActivate")
        await ask(host, "ConfigurationWillBeSaved")
        assert await get(host, "/open") == 204
        figures = {(one.direction, one.name, one.success): one.count for one in plugin.metrics.snapshot()}
    assert figures == {
        (CallDirection.HOOK, "OnActivate", True): 1,
        (CallDirection.HOOK, "OnConfigurationChange", True): 1,
        (CallDirection.API, "GetServerVersion", True): 1,
        (CallDirection.HOOK, "ConfigurationWillBeSaved", False): 1,
        (CallDirection.HOOK, "ServeHTTP", True): 1,
    }
    text = prometheus_text(plugin.metrics.snapshot(), plugin_id=plugin.plugin_id)
    assert 'mattermost_plugin_hook_time_count{plugin_id="x.y",hook_name="OnActivate",success="true"} 1' in text
    assert 'mattermost_plugin_api_time_count{plugin_id="x.y",api_name="GetServerVersion",success="true"} 1' in text


async def test_a_blocking_serve_http_runs_in_a_worker_thread() -> None:
    """Def works for HTTP too, with the interceptors around it."""
    seen: list[tuple[int, str]] = []

    class Blocking(Watched):
        def serve_http(self, request: Any, response: Any) -> None:  # type: ignore[override]
            seen.append((threading.get_ident(), USER.get()))
            response.status = 202

    async with linked(Blocking()) as host:
        assert await get(host, "/open") == 202
    ((thread, user),) = seen
    assert thread != threading.get_ident()
    assert user == "ada"


async def test_a_plugin_without_interceptors_of_its_own_is_quiet(caplog: pytest.LogCaptureFixture) -> None:
    """Fast calls that succeed leave figures and no log record."""
    plugin = Plugin()
    async with linked(plugin) as host:
        await ask(host, "OnActivate")
        assert [(one.name, one.success) for one in plugin.metrics.snapshot()] == [
            ("OnActivate", True),
            ("OnConfigurationChange", True),
        ]
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]
