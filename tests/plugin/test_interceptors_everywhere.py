"""Interceptors stand around every call that arrives: faulty ones, unhandled hooks, the lifecycle, commands, HTTP."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import anyio
import pytest

from mm_plugin import limits
from mm_plugin._proto.services import hook_methods
from mm_plugin.hooks.codec import codec_of
from mm_plugin.hooks.names import HookName
from mm_plugin.hooks.results import Reject
from mm_plugin.hooks.table import HOOK_TABLE
from mm_plugin.plugin.command_mark import command
from mm_plugin.plugin.plugin import Plugin
from mm_plugin.transport.interceptors import CallDirection, CallInfo, CallNext, Interceptor
from mm_plugin.transport.link import CallFailure, CallFault, HookCall, RequestHead
from tests.contract.links import LINKS, MESSAGE_LIMIT_OCTETS
from tests.hooks.rows import READS, each_row, host_reads, request_of
from tests.hooks.test_hook_outcomes import ask, behind
from tests.plugin.running import running

FAULTS = tuple(CallFault)


async def handler_of_nothing(self: Plugin, *arguments: object) -> None:
    """Handle any hook by doing nothing."""


class Watching(Plugin):
    """Notes what its interceptor sees, and has it give a result of its own where one is set."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, CallFault | None, int]] = []
        self.raised: list[str] = []
        self.instead: dict[str, object] = {}

    def interceptors(self) -> Sequence[Interceptor]:
        return (self.watch,)

    async def watch(self, call: CallInfo, call_next: CallNext) -> object:
        if call.direction is CallDirection.API:
            return await call_next()
        self.seen.append((call.name, call.fault, len(call.arguments)))
        try:
            return await call_next()
        except Exception:
            self.raised.append(call.name)
            if call.name in self.instead:
                return self.instead[call.name]
            raise

    def figures(self) -> dict[tuple[str, bool], int]:
        series = self.metrics.snapshot()
        return {(one.name, one.success): one.count for one in series if one.direction is CallDirection.HOOK}


@pytest.mark.parametrize("fault", FAULTS)
@each_row
async def test_a_call_without_a_message_passes_the_interceptors(row: Any, fault: CallFault) -> None:
    """They see the fault and no arguments, ``call_next`` raises it, it counts as a failure, the policy answers."""
    plugin = type("Case", (Watching,), {row.method: handler_of_nothing})()
    async with running(plugin) as run:
        try:
            answer: Any = await run.runtime.handle_hook(HookCall(name=row.name, request=fault))
        except CallFailure as failure:
            answer = failure
        assert host_reads(row, answer) == READS[row.default_policy]
        assert plugin.seen == [(row.name, fault, 0)]
        assert plugin.raised == [row.name]
        assert plugin.figures() == {(row.name, False): 1}


@each_row
async def test_a_hook_that_nobody_handles_passes_the_interceptors(row: Any) -> None:
    """The answer stays that of an absent hook, with a message and without one."""
    plugin = Watching()
    async with running(plugin) as run:
        lifecycle = row.name in {HookName.OnActivate, HookName.OnDeactivate}
        requests: list[Any] = [request_of(row.name), *(() if lifecycle else FAULTS)]
        for request in requests:
            answer = await run.runtime.handle_hook(HookCall(name=row.name, request=request))
            assert answer == codec_of(row.name).absent()
        assert (row.name, None, 0 if lifecycle else len(row.arguments)) in plugin.seen
        assert not plugin.raised


@pytest.mark.parametrize("link", LINKS)
async def test_an_interceptor_may_decide_a_call_without_a_message(link: str) -> None:
    """Its result counts as a handler's would, over every link."""

    class Guard(Watching):
        async def user_will_log_in(self, context: Any, user: Any) -> None: ...

        async def configuration_will_be_saved(self, new_config: Any) -> None: ...

    plugin = Guard()
    plugin.instead = {"UserWillLogIn": Reject("too much to read"), "ConfigurationWillBeSaved": {"mended": True}}
    async with behind(link, plugin) as host:
        request: Any = request_of(HookName.UserWillLogIn)
        request.context.request_id = "x" * (MESSAGE_LIMIT_OCTETS + 1)
        answer: Any = await ask(host, HOOK_TABLE[HookName.UserWillLogIn], request)
        assert answer.rejection_reason == "too much to read"
        broken: Any = hook_methods()["ConfigurationWillBeSaved"].request()
        broken.new_config.config_json = b"[no object"
        answer = await ask(host, HOOK_TABLE[HookName.ConfigurationWillBeSaved], broken)
        assert answer.modified_config.config_json == b'{"mended":true}'
    assert plugin.seen == [
        ("UserWillLogIn", CallFault.TOO_LARGE, 0),
        ("ConfigurationWillBeSaved", CallFault.UNDECODABLE, 0),
    ]


@pytest.mark.parametrize("handled", [False, True])
@pytest.mark.parametrize("link", LINKS)
async def test_the_lifecycle_passes_the_interceptors(link: str, handled: bool) -> None:
    """All three hooks are seen once each, whether or not the author handles them."""
    members = dict.fromkeys(("on_activate", "on_deactivate", "on_configuration_change"), handler_of_nothing)
    plugin = type("Case", (Watching,), members if handled else {})()
    async with behind(link, plugin) as host:
        for name in ("OnActivate", "OnConfigurationChange", "OnDeactivate"):
            await ask(host, HOOK_TABLE[HookName(name)], request_of(HookName(name)))
    names = [name for name, _, _ in plugin.seen]
    assert names == ["OnActivate", "OnConfigurationChange", "OnConfigurationChange", "OnDeactivate"]
    assert plugin.figures() == {("OnActivate", True): 1, ("OnConfigurationChange", True): 2, ("OnDeactivate", True): 1}


async def test_the_stop_passes_the_interceptors_once() -> None:
    """OnDeactivate at the end of the process is seen where the host left it out, and not a second time."""
    for by_host in (False, True):
        plugin = Watching()
        async with running(plugin) as run:
            await run.call("OnActivate")
            if by_host:
                await run.call("OnDeactivate")
            await run.runtime.deactivate()
        assert [name for name, _, _ in plugin.seen].count("OnDeactivate") == 1


async def test_an_activation_that_fails_early_passes_the_interceptors() -> None:
    """A refusal before the author's code is a failure for them, and one that raises ends the activation's group."""

    class Refused(Watching):
        closed = False

        async def watch(self, call: CallInfo, call_next: CallNext) -> object:
            result = await super().watch(call, call_next)
            if call.name == "OnActivate" and self.closed:
                raise PermissionError
            return result

    plugin = Refused()
    async with running(plugin) as run:
        plugin.closed = True
        assert "PermissionError" in str(await run.call("OnActivate"))
        with pytest.raises(RuntimeError, match="not active"):
            _ = plugin.task_group
        plugin.closed = False
        await run.call("OnActivate")
        assert "active already" in str(await run.call("OnActivate"))
    assert plugin.raised == ["OnActivate"]


async def test_commands_pass_the_interceptors() -> None:
    """A command is an ExecuteCommand for them, with its context and arguments; help and mistakes are, too."""

    class Told(Watching):
        @command("tell")
        async def tell(self, word: str) -> str:
            return word

    plugin = Told()
    async with running(plugin) as run:
        for text in ("/tell a", "/tell", "/tell help", "/other"):
            await run.call("ExecuteCommand", args={"command": text})
    assert plugin.seen == [("ExecuteCommand", None, 2)] * 4


@pytest.mark.parametrize("link", LINKS)
async def test_http_that_nobody_serves_passes_the_interceptors(link: str) -> None:
    """The client gets 404, and the interceptor has seen request and response."""
    plugin = Watching()
    with anyio.fail_after(20):
        async with behind(link, plugin) as host, host.open_http(RequestHead(method="GET", url="/x")) as call:
            await call.finish()
            assert (await call.receive_head()).status == 404
    assert plugin.seen == [("ServeHTTP", None, 2)]


@pytest.mark.parametrize("link", LINKS)
async def test_calls_refused_for_handlers_that_do_not_end_pass_the_interceptors(
    link: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They see the fault and may decide; the handler is not begun; a fault of the call's own is told as that."""
    monkeypatch.setattr(limits, "hook_lingering_handlers", 1)
    release, began = anyio.Event(), 0

    class Stuck(Watching):
        async def user_will_log_in(self, context: Any, user: Any) -> None:
            nonlocal began
            began += 1
            with anyio.CancelScope(shield=True):
                await release.wait()

    plugin, row = Stuck(), HOOK_TABLE[HookName.UserWillLogIn]
    with anyio.fail_after(20):
        async with behind(link, plugin, 0.02) as host:
            first: Any = await ask(host, row, request_of(row.name))
            second: Any = await ask(host, row, request_of(row.name))
            assert first.rejection_reason
            assert first == second
            plugin.instead = {"UserWillLogIn": Reject("come back later")}
            third: Any = await ask(host, row, request_of(row.name))
            assert third.rejection_reason == "come back later"
            request: Any = request_of(row.name)
            request.context.request_id = "x" * (MESSAGE_LIMIT_OCTETS + 1)
            await ask(host, row, request)
            release.set()
    assert began == 1
    assert [(fault, arguments) for _, fault, arguments in plugin.seen] == [
        (None, 2),
        (CallFault.OVERLOADED, 0),
        (CallFault.OVERLOADED, 0),
        (CallFault.TOO_LARGE, 0),
    ]


@pytest.mark.parametrize("link", LINKS)
async def test_http_bodies_over_the_limit_pass_the_interceptors(link: str) -> None:
    """A declared length over the plugin's limit is refused inside of them, and the handler is not begun."""
    served = False

    class Limited(Watching):
        max_body_octets = 4

        async def serve_http(self, request: Any, response: Any) -> None:
            nonlocal served
            served = True

    plugin = Limited()
    head = RequestHead(method="POST", url="/x", content_length=5)
    with anyio.fail_after(20):
        async with behind(link, plugin) as host, host.open_http(head) as call:
            assert (await call.receive_head()).status == 413
    assert plugin.seen == [("ServeHTTP", None, 2)]
    assert plugin.raised == ["ServeHTTP"]
    assert not served
