"""Hooks from the host's side: what is sent, how answers are read, and what a failure decides."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest
from google.protobuf.message import Message

from mm_plugin._proto.command_pb2 import CommandArgs
from mm_plugin._proto.common_pb2 import AppError, RequestContext
from mm_plugin._proto.post_pb2 import Post
from mm_plugin._proto.user_pb2 import User
from mm_plugin.exceptions import NotFoundError, PluginAPIError, StatusCode
from mm_plugin.hooks.names import HookName
from mm_plugin.hooks.results import DISMISS_REASON
from mm_plugin.hooks.table import HOOK_TABLE
from mm_plugin.host.hook_client import HookClient, HookContext
from mm_plugin.transport.link import CallFailure, HookCall
from tests.host.stubs import Answer, StubPlugin, joined

POST = Post(id="p", message="hello")


@asynccontextmanager
async def client(plugin: StubPlugin) -> AsyncGenerator[HookClient]:
    async with joined(plugin) as link:
        hooks = HookClient(link, "com.example.x")
        await hooks.ask_implemented()
        plugin.calls.clear()
        yield hooks


def _context_of(call: HookCall) -> RequestContext:
    request: Any = call.request
    context: RequestContext = request.context
    return context


def fails(request: Message) -> None:
    raise CallFailure("broken", code=StatusCode.UNAVAILABLE)


async def test_implemented(caplog: pytest.LogCaptureFixture) -> None:
    """Names are matched exactly; unknown ones are logged and ignored."""
    plugin = StubPlugin(implements=["OnActivate", "UserWillLogIn", "userWillLogIn", "ServeMetrics"])
    async with client(plugin) as hooks:
        assert hooks.implemented == {HookName.OnActivate, HookName.UserWillLogIn}
    assert [record.message for record in caplog.records] == [
        "plugin com.example.x implements 'userWillLogIn', which is no hook; ignored",
        "plugin com.example.x implements 'ServeMetrics', which is no hook; ignored",
    ]


async def test_implemented_refused() -> None:
    """An error inside the answer is raised whole."""
    error = AppError(id="a.b", message="no", detailed_error="d", status_code=404, where="w", request_id="r")
    plugin = StubPlugin({"Implemented": lambda _: {"error": error}})
    async with joined(plugin) as link:
        with pytest.raises(NotFoundError) as raised:
            await HookClient(link, "x").ask_implemented()
    found = raised.value
    assert (found.id, found.message, found.detailed_error, found.where) == ("a.b", "no", "d", "w")
    assert (found.status_code, found.request_id) == (404, "r")


@pytest.mark.parametrize("name", [name for name, row in HOOK_TABLE.items() if not row.streaming])
async def test_not_implemented_is_never_sent(name: HookName) -> None:
    """A hook the plugin does not have is no call at all."""
    plugin = StubPlugin(implements=[])
    async with client(plugin) as hooks:
        assert await hooks.call(name) is None
    assert plugin.called == []


@pytest.mark.parametrize("name", [name for name, row in HOOK_TABLE.items() if not row.streaming])
async def test_contexts(name: HookName) -> None:
    """Every unary hook carries RequestContext, and PluginContext where the table has one."""
    plugin = StubPlugin(implements=[name])
    context = HookContext(
        user_id="u", session_id="s", request_id="r", ip_address="ip", accept_language="al", user_agent="ua"
    )
    async with client(plugin) as hooks:
        assert await hooks.call(name, context=context) is not None
    (call,) = plugin.calls
    sent = _context_of(call)  # field 1 everywhere
    assert (sent.plugin_id, sent.request_id, sent.session_id, sent.user_id) == ("com.example.x", "r", "s", "u")
    assert isinstance(call.request, Message)
    fields = {field.name: value for field, value in call.request.ListFields()}
    if "plugin_context" in HOOK_TABLE[name].fields:
        sent = fields["plugin_context"]
        assert (sent.session_id, sent.request_id, sent.ip_address) == ("s", "r", "ip")
        assert (sent.accept_language, sent.user_agent) == ("al", "ua")
    else:
        assert set(fields) == {"context"}


async def test_fresh_request_ids() -> None:
    """Without a request id each call gets its own, of Mattermost's form."""
    plugin = StubPlugin(implements=["MessageHasBeenPosted"])
    async with client(plugin) as hooks:
        for _ in range(2):
            await hooks.message_has_been_posted(POST)
    ids = [_context_of(call).request_id for call in plugin.calls]
    assert [len(found) for found in ids] == [26, 26]
    assert ids[0] != ids[1]


async def test_unknown_field() -> None:
    """A field the request does not have is the caller's mistake; nothing is sent."""
    plugin = StubPlugin(implements=["MessageHasBeenPosted"])
    async with client(plugin) as hooks:
        with pytest.raises(ValueError, match="nonsense"):
            await hooks.call(HookName.MessageHasBeenPosted, nonsense=1)
    assert plugin.called == []


async def test_deadline() -> None:
    """The time given reaches the plugin as its deadline, and ends the call."""
    plugin = StubPlugin(implements=["MessageHasBeenPosted"])
    async with client(plugin) as hooks:
        before = anyio.current_time()
        await hooks.call(HookName.MessageHasBeenPosted, timeout_s=7)
        deadline = plugin.calls[0].deadline
        assert deadline is not None
        assert before + 7 <= deadline <= anyio.current_time() + 7


@pytest.mark.parametrize(
    ("answer", "message", "rejection", "dismissed"),
    [
        (lambda _: {}, "hello", "", False),
        (lambda _: {"modified_post": Post(message="changed")}, "changed", "", False),
        (lambda _: {"modified_post": Post(message="changed"), "rejection_reason": "no"}, None, "no", False),
        (lambda _: {"rejection_reason": DISMISS_REASON}, None, DISMISS_REASON, True),
        (fails, "hello", "", False),
    ],
)
async def test_message_will_be_posted(answer: Answer, message: str | None, rejection: str, dismissed: bool) -> None:
    """A reason wins over a change, a change over nothing; a failure lets the post pass."""
    async with client(StubPlugin({"MessageWillBePosted": answer})) as hooks:
        decision = await hooks.message_will_be_posted(POST)
    assert (decision.post.message if decision.post else None) == message
    assert (decision.rejection, decision.dismissed) == (rejection, dismissed)
    assert decision.rejected_by == ("com.example.x" if rejection else "")


@pytest.mark.parametrize(
    ("answer", "reason"), [(lambda _: {}, ""), (lambda _: {"rejection_reason": "no"}, "no"), (fails, "")]
)
async def test_user_will_log_in(answer: Answer, reason: str) -> None:
    """The reason, or none; a call that fails lets the user in, as the Go host does."""
    async with client(StubPlugin({"UserWillLogIn": answer})) as hooks:
        assert await hooks.user_will_log_in(User(id="u")) == reason


async def test_absent_answers() -> None:
    """A plugin without the hooks lets everything pass and runs no command."""
    async with client(StubPlugin(implements=[])) as hooks:
        assert (await hooks.message_will_be_posted(POST)).post is POST
        assert await hooks.user_will_log_in(User()) == ""
        assert await hooks.execute_command(CommandArgs(command="/x")) is None


async def test_execute_command() -> None:
    """The response, none where the plugin gave none, its own error, or the server's where it failed."""
    plugin = StubPlugin({"ExecuteCommand": lambda _: {"response": {"text": "done"}}})
    async with client(plugin) as hooks:
        response = await hooks.execute_command(CommandArgs(command="/x"))
        assert response is not None
        assert response.text == "done"
        plugin.answers["ExecuteCommand"] = lambda _: {}
        assert await hooks.execute_command(CommandArgs()) is None
        plugin.answers["ExecuteCommand"] = lambda _: {"error": AppError(message="own", status_code=400)}
        with pytest.raises(PluginAPIError, match="own"):
            await hooks.execute_command(CommandArgs())
        plugin.answers["ExecuteCommand"] = fails
        with pytest.raises(PluginAPIError) as raised:
            await hooks.execute_command(CommandArgs())
        assert (raised.value.id, raised.value.status_code) == ("plugin.grpc.execute_command.error", 500)
        assert "broken" in raised.value.detailed_error


@pytest.mark.parametrize("name", [name for name, row in HOOK_TABLE.items() if not row.streaming])
async def test_failures_decide_by_the_table(name: HookName) -> None:
    """Where the server lets things pass a failure is no answer; elsewhere it is an error."""
    async with client(StubPlugin({name: fails})) as hooks:
        with pytest.raises(CallFailure):
            await hooks.call(name)
        if HOOK_TABLE[name].allows_by_failing:
            assert await hooks.call_or_allow(name) is None
        else:
            with pytest.raises(CallFailure):
                await hooks.call_or_allow(name)
