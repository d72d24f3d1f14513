"""A real plugin in a real process, started by the host, over the real wire."""

import logging
import os
import signal
import sys
import textwrap
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from pathlib import Path

import anyio
import pytest

from mm_plugin._proto.command_pb2 import CommandArgs
from mm_plugin._proto.post_pb2 import Post
from mm_plugin._proto.user_pb2 import User
from mm_plugin.exceptions import NotFoundError, PluginAPIError, PluginStartError
from mm_plugin.hooks.names import HookName
from mm_plugin.host.api_receiver import HandlerAPI
from mm_plugin.host.hook_client import HookClient, HookContext
from mm_plugin.host.host import open_plugin
from mm_plugin.host.options import HostOptions
from mm_plugin.host.running_plugin import RunningPlugin
from mm_plugin.host.state import PluginState
from mm_plugin.host.supervision import SupervisionRules
from mm_plugin.transport.link import RequestHead
from tests.host.stubs import write_bundle

pytestmark = pytest.mark.usefixtures("nothing_left")

ROOT = Path(__file__).parents[2]

GUARD = """
    from mm_plugin import CommandResponse, Plugin, PluginAPIError, Post, Reject, run_plugin

    class Guard(Plugin):
        async def on_activate(self):
            print("printed in on_activate")
            self.logger.info("activated %s", self.manifest.name)
            self.seen = 0

        async def on_deactivate(self):
            await self.api.create_post(Post(channel_id="c", user_id="u", message=f"seen {self.seen}"))

        async def message_will_be_posted(self, context, post):
            author = await self.api.get_user(post.user_id)
            if "secret" in post.message:
                return Reject(f"Not here, {author.username}.")
            if "shout" in post.message:
                post.message = post.message.upper()
                return post

        async def message_has_been_posted(self, context, post):
            self.seen += 1

        def user_will_log_in(self, context, user):
            return Reject("not you") if user.username == "mallory" else None

        async def execute_command(self, context, args):
            if args.command == "/fail":
                raise PluginAPIError("wrong arguments", id="guard.usage", status_code=400)
            return CommandResponse(text=f"{args.command} for {context.session_id}")

        async def serve_http(self, request, response):
            response.status = 201
            response.headers["x-path"] = request.path
            async for chunk in request.body:
                await response.write(chunk[::-1])
                await response.flush()

    run_plugin(Guard)
"""


class Server:
    """The part of a server that the plugin asks."""

    def __init__(self) -> None:
        self.posts: list[str] = []

    async def get_user(self, *, user_id: str) -> User:
        if user_id == "u":
            return User(id="u", username="ada")
        raise NotFoundError("no such user", id="app.user.missing", status_code=404)

    async def create_post(self, *, post: Post) -> Post:
        self.posts.append(post.message)
        return post


Open = Callable[..., AbstractAsyncContextManager[RunningPlugin]]


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def open_guard(tmp_path: Path, server: Server, anyio_backend: str) -> Open:
    options = HostOptions(
        interpreter=Path(sys.executable),
        environment={"MM_PLUGIN_BACKEND": anyio_backend, "PYTHONPATH": str(ROOT)},
        log_level="DEBUG",
        supervision=SupervisionRules(failures=1),
    )

    @asynccontextmanager
    async def open_it(code: str = GUARD, ask_stop_s: float = 1, grace_s: float = 20) -> AsyncGenerator[RunningPlugin]:
        bundle = write_bundle(tmp_path, textwrap.dedent(code))
        changed = replace(options, ask_stop_s=ask_stop_s, exit_grace_s=grace_s, terminate_grace_s=grace_s)
        with anyio.fail_after(40):
            async with open_plugin(bundle, HandlerAPI(server), options=changed) as plugin:
                yield plugin

    return open_it


def hooks_of(plugin: RunningPlugin) -> HookClient:
    assert plugin.hooks is not None
    return plugin.hooks


async def test_lifecycle(open_guard: Open, server: Server, caplog: pytest.LogCaptureFixture) -> None:
    """The plugin starts, is asked what it implements, lives, deactivates with the API at hand, and exits by itself."""
    caplog.set_level(logging.DEBUG, "mm_plugin")
    states: list[PluginState] = []
    async with open_guard() as plugin:
        states.append(plugin.state)
        assert {HookName.OnActivate, HookName.MessageWillBePosted, HookName.ServeHTTP} <= hooks_of(plugin).implemented
        assert HookName.ReactionHasBeenAdded not in hooks_of(plugin).implemented
        await hooks_of(plugin).message_has_been_posted(Post())
        await hooks_of(plugin).on_configuration_change()
    states.append(plugin.state)
    assert states == [PluginState.RUNNING, PluginState.NOT_RUNNING]
    assert server.posts == ["seen 1"]
    logged = {record.getMessage() for record in caplog.records if record.name.startswith("mm_plugin.host.plugin.")}
    assert any("activated X" in text for text in logged)
    assert any("printed in on_activate" in text for text in logged)
    assert not any("SIGTERM" in record.getMessage() for record in caplog.records)


async def test_posts_and_logins(open_guard: Open) -> None:
    """Unchanged, changed and rejected posts, with an API call inside the hook; a login that is refused."""
    async with open_guard() as plugin:
        hooks = hooks_of(plugin)
        assert (await hooks.message_will_be_posted(Post(user_id="u", message="hello"))).post == Post(
            user_id="u", message="hello"
        )
        changed = (await hooks.message_will_be_posted(Post(user_id="u", message="shout"))).post
        assert changed is not None
        assert changed.message == "SHOUT"
        decision = await hooks.message_will_be_posted(Post(user_id="u", message="a secret"))
        assert (decision.post, decision.rejection) == (None, "Not here, ada.")
        # The API's error is not handled by the plugin: the hook's policy lets the post pass.
        unknown = await hooks.message_will_be_posted(Post(user_id="nobody", message="a secret"))
        assert unknown.post is not None
        assert await hooks.user_will_log_in(User(username="mallory")) == "not you"
        assert await hooks.user_will_log_in(User(username="ada")) == ""


async def test_command(open_guard: Open) -> None:
    """A command sees its context; the plugin's own error arrives whole."""
    async with open_guard() as plugin:
        context = HookContext(session_id="s1")
        response = await hooks_of(plugin).execute_command(CommandArgs(command="/guard"), context=context)
        assert response is not None
        assert response.text == "/guard for s1"
        with pytest.raises(PluginAPIError) as raised:
            await hooks_of(plugin).execute_command(CommandArgs(command="/fail"))
        assert (raised.value.id, raised.value.message, raised.value.status_code) == (
            "guard.usage",
            "wrong arguments",
            400,
        )


async def test_http(open_guard: Open) -> None:
    """A request streams both ways at once."""
    async with open_guard() as plugin:
        assert plugin.link is not None
        async with plugin.link.open_http(RequestHead(method="POST", url="/echo?x=1")) as call:
            await call.send(b"abc")
            head = await call.receive_head()
            assert head.status == 201
            assert ("x-path", "/echo") in [(name.lower(), value) for name, value in head.headers]
            part = await call.receive()
            assert part is not None
            assert part.data == b"cba"
            await call.send(b"def")
            await call.finish()
            rest = b""
            while (part := await call.receive()) is not None:
                rest += part.data
            assert rest == b"fed"


async def test_concurrent_hooks(open_guard: Open) -> None:
    """A hundred hooks in flight on one connection all get their own answers."""
    answers: dict[int, str] = {}

    async def ask(hooks: HookClient, number: int) -> None:
        decision = await hooks.message_will_be_posted(Post(user_id="u", message=f"shout {number}"))
        assert decision.post is not None
        answers[number] = decision.post.message

    async with open_guard() as plugin, anyio.create_task_group() as tasks:
        for number in range(100):
            tasks.start_soon(ask, hooks_of(plugin), number)
    assert answers == {number: f"SHOUT {number}" for number in range(100)}


async def test_activation_failure(open_guard: Open) -> None:
    """What the plugin raises in on_activate is the reason of the failed start."""
    code = """
        from mm_plugin import Plugin, run_plugin

        class Broken(Plugin):
            async def on_activate(self):
                raise RuntimeError("no database")

        run_plugin(Broken)
    """
    with pytest.raises(PluginStartError, match="no database"):
        async with open_guard(code):
            pytest.fail("it did not start")


async def test_import_error(open_guard: Open) -> None:
    """A script that cannot be imported is told with its traceback."""
    with pytest.raises(PluginStartError) as raised:
        async with open_guard("import nonsense_module"):
            pytest.fail("it did not start")
    assert "exited with code 1 before it printed its handshake line" in raised.value.reason
    assert raised.value.stderr[-1] == "ModuleNotFoundError: No module named 'nonsense_module'"


async def test_crash(open_guard: Open) -> None:
    """A plugin that is killed is noticed, and a hook under way fails instead of waiting."""
    async with open_guard() as plugin:
        assert plugin.pid is not None
        os.kill(plugin.pid, signal.SIGKILL)
        assert await plugin.wait_over() is PluginState.FAILED_TO_STAY_RUNNING
        assert plugin.reason.endswith("was killed by SIGKILL")


async def test_task_crash(open_guard: Open) -> None:
    """A crash in the plugin's task group ends the process with a non-zero code, which the host tells."""
    code = """
        from mm_plugin import Plugin, run_plugin

        class Crashing(Plugin):
            async def on_activate(self):
                self.task_group.start_soon(self.crash)

            async def crash(self):
                raise RuntimeError("in the background")

        run_plugin(Crashing)
    """
    async with open_guard(code) as plugin:
        assert await plugin.wait_over() is PluginState.FAILED_TO_STAY_RUNNING
        assert plugin.reason.endswith("exited with code 1")
        assert any("in the background" in line for line in plugin.stderr)


async def test_hanging_stream_at_the_stop(open_guard: Open) -> None:
    """An HTTP request that never ends does not hold up the stop, nor need a signal."""
    code = """
        import anyio
        from mm_plugin import Plugin, run_plugin

        class Streaming(Plugin):
            async def serve_http(self, request, response):
                await response.write(b"x")
                await response.flush()
                await anyio.sleep_forever()

        run_plugin(Streaming)
    """
    async with open_guard(code) as plugin:
        link = plugin.link
        assert link is not None
        async with link.open_http(RequestHead(method="GET", url="/")) as call:
            await call.receive_head()
            plugin.ask_stop()
            assert await plugin.wait_over() is PluginState.NOT_RUNNING


async def test_frozen_plugin(open_guard: Open, caplog: pytest.LogCaptureFixture) -> None:
    """A plugin that answers nothing any more is ended within the budgets, step by step."""
    async with open_guard(ask_stop_s=0.1, grace_s=0.1) as plugin:
        assert plugin.pid is not None
        os.kill(plugin.pid, signal.SIGSTOP)
        plugin.ask_stop(hook_timeout_s=0.1)
        assert await plugin.wait_over() is PluginState.NOT_RUNNING
    said = " ".join(record.getMessage() for record in caplog.records if record.levelno == logging.WARNING)
    steps = ("OnDeactivate failed", "did not answer when asked to stop", "sending SIGTERM", "killing it")
    assert [step in said for step in steps] == [True] * 4
