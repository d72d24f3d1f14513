"""A plugin behind the memory link: the hooks of every day, from the host's call to the author's method and back."""

from __future__ import annotations

import logging
from typing import Any

import anyio
import pytest

from mm_plugin._proto.services import hook_methods
from mm_plugin.hooks.decorator import hook
from mm_plugin.hooks.names import HookName
from mm_plugin.hooks.results import Dismiss, Reject
from mm_plugin.hooks.table import HOOK_TABLE
from mm_plugin.messages.commands import CommandArgs, CommandResponse
from mm_plugin.messages.common import PluginContext
from mm_plugin.messages.posts import Post
from mm_plugin.messages.users import User
from mm_plugin.plugin.plugin import Plugin
from mm_plugin.serve_http.request import Request
from mm_plugin.serve_http.response import Response
from mm_plugin.settings import RuntimeConfig
from mm_plugin.transport.link import RequestHead
from mm_plugin.transport.memory import MemoryHostLink
from tests.plugin.running import linked


class Guard(Plugin):
    """Filters posts, keeps a user out, answers a command and serves HTTP."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    @hook(HookName.MessageWillBePosted)
    async def screen(self, context: PluginContext, post: Post) -> Post | Reject | Dismiss | None:
        match post.message:
            case "no":
                return Reject(f"not here, {context.session_id}")
            case "hush":
                return Dismiss()
            case "crash":
                raise LookupError
            case "who":
                await self.api.get_user(post.user_id)
            case "change":
                post.message = "changed"
                post.props.update({"by": "guard"})
        return post

    def message_has_been_posted(self, context: PluginContext, post: Post) -> None:
        self.seen.append(post.message)
        if post.message == "crash":
            raise LookupError

    async def user_will_log_in(self, context: PluginContext, user: User) -> Reject | None:
        if user.username == "crash":
            raise LookupError
        return Reject("not you") if user.username == "mallory" else None

    async def execute_command(self, context: PluginContext, args: CommandArgs) -> CommandResponse | Reject:
        if args.command == "/no":
            return Reject("cannot")
        return CommandResponse(text=args.command.upper())

    async def serve_http(self, request: Request, response: Response) -> None:
        response.status = 201
        async for piece in request.body:
            await response.write(piece.upper())


async def ask(host: MemoryHostLink, name: str, **fields: Any) -> Any:
    return await host.call_hook(name, hook_methods()[name].request(**fields))


async def post(host: MemoryHostLink, message: str) -> Any:
    return await ask(host, "MessageWillBePosted", plugin_context={"session_id": "s"}, post={"message": message})


async def test_implemented_lists_the_authors_hooks_and_the_lifecycle() -> None:
    """The three lifecycle hooks are always listed, ServeHTTP where the plugin serves HTTP."""
    async with linked(Guard()) as host:
        response = await ask(host, "Implemented")
        assert list(response.hooks) == sorted(
            [*Guard.implemented_hooks(), "OnActivate", "OnDeactivate", "OnConfigurationChange"]
        )
        assert "ServeHTTP" in response.hooks
    async with linked(Plugin()) as host:
        assert list((await ask(host, "Implemented")).hooks) == ["OnActivate", "OnConfigurationChange", "OnDeactivate"]


async def test_posts_are_let_pass_changed_refused_and_dismissed() -> None:
    """MessageWillBePosted over the link, in each of its outcomes."""
    async with linked(Guard()) as host:
        await ask(host, "OnActivate")
        assert (await post(host, "fine")).ByteSize() == 0
        changed = await post(host, "change")
        assert changed.modified_post.message == "changed"
        assert changed.modified_post.props["by"] == "guard"
        assert (await post(host, "no")).rejection_reason == "not here, s"
        assert (await post(host, "hush")).rejection_reason == "plugin.message_will_be_posted.dismiss_post"
        assert (await post(host, "who")).ByteSize() == 0
        assert (await post(host, "crash")).ByteSize() == 0


async def test_notices_reach_blocking_handlers_and_their_crashes_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    """MessageHasBeenPosted is answered with nothing, whatever its handler does."""
    plugin = Guard()
    async with linked(plugin) as host:
        assert (await ask(host, "MessageHasBeenPosted", post={"message": "a"})).ByteSize() == 0
        assert not [record for record in caplog.records if record.levelname == "ERROR"]
        assert (await ask(host, "MessageHasBeenPosted", post={"message": "crash"})).ByteSize() == 0
        assert len([record for record in caplog.records if record.levelname == "ERROR"]) == 1
        assert plugin.seen == ["a", "crash"]


async def test_a_crashing_login_filter_answers_with_a_rejection() -> None:
    """The response carries the rejection, so no status can drop it."""
    async with linked(Guard()) as host:
        assert (await ask(host, "UserWillLogIn", user={"username": "alice"})).rejection_reason == ""
        assert (await ask(host, "UserWillLogIn", user={"username": "mallory"})).rejection_reason == "not you"
        assert (await ask(host, "UserWillLogIn", user={"username": "crash"})).rejection_reason


async def test_commands_answer_and_refuse() -> None:
    """ExecuteCommand gives its response, or the error of a Reject."""
    async with linked(Guard()) as host:
        assert (await ask(host, "ExecuteCommand", args={"command": "/hi"})).response.text == "/HI"
        assert (await ask(host, "ExecuteCommand", args={"command": "/no"})).error.detailed_error == "cannot"


async def test_http_reaches_serve_http_or_404() -> None:
    """An exchange goes to the author's method; without one the answer is 404."""
    head = RequestHead(method="POST", url="/x")
    async with linked(Guard()) as host, host.open_http(head) as call:
        await call.send(b"abc")
        await call.finish()
        assert (await call.receive_head()).status == 201
        body = b""
        while (part := await call.receive()) is not None:
            body += part.data
        assert body == b"ABC"
    async with linked(Plugin()) as host, host.open_http(head) as call:
        await call.finish()
        assert (await call.receive_head()).status == 404


async def test_the_hook_timeout_of_the_settings_applies() -> None:
    """A handler that hangs is answered by policy after hook_timeout_s."""

    class Stuck(Plugin):
        async def user_will_log_in(self, context: Any, user: Any) -> None:
            await anyio.sleep_forever()

    async with linked(Stuck(), RuntimeConfig(hook_timeout_s=0.05)) as host:
        with anyio.fail_after(10):
            assert (await ask(host, "UserWillLogIn")).rejection_reason


async def test_a_host_that_gives_up_cancels_the_handler(caplog: pytest.LogCaptureFixture) -> None:
    """Cancelling the host's call unwinds the handler, and nothing is logged as a failure."""
    entered, unwound = anyio.Event(), anyio.Event()

    class Stuck(Plugin):
        async def user_will_log_in(self, context: Any, user: Any) -> None:
            try:
                entered.set()
                await anyio.sleep_forever()
            finally:
                unwound.set()

    async with linked(Stuck()) as host:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ask, host, "UserWillLogIn")
            await entered.wait()
            tasks.cancel_scope.cancel()
        with anyio.fail_after(10):
            await unwound.wait()
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


async def test_every_other_row_works_over_the_link() -> None:
    """Each unary hook without a handler is answered neutrally over the link."""
    async with linked(Plugin()) as host:
        for row in HOOK_TABLE.values():
            if not row.streaming:
                response: Any = await ask(host, row.name)
                assert [field.name for field, _ in response.ListFields()] == list(row.absent)
