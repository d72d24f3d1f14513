"""The scenarios that must hold: real plugins in real processes, started by the host, over the real wire.

Here: lifecycle · hook that calls the API back · hook chain unchanged, modified, rejected · API error that reaches the
author as its exception · ten and five hundred hooks at once · ServeHTTP · a plugin that forks, or runs other loops · a
program that is no Python.
In test_scenarios_failures.py: activation failure · crash and recovery · restart policy · changes at run time ·
handshake timeout and malformed handshakes · stops that hang · fifty lives that leave nothing behind.
"""

import logging
import os
import sys
import textwrap
from pathlib import Path

import anyio
import pytest

from mm_plugin._proto.command_pb2 import CommandArgs
from mm_plugin._proto.post_pb2 import Post
from mm_plugin._proto.user_pb2 import User
from mm_plugin.exceptions import PluginAPIError
from mm_plugin.hooks.names import HookName
from mm_plugin.host.hook_client import HookClient, HookContext
from mm_plugin.host.state import PluginState
from mm_plugin.transport.link import RequestHead
from tests.host.guard_plugin import GUARD, Open, OpenHost, Server, hooks_of
from tests.host.stubs import write_bundle

pytestmark = pytest.mark.usefixtures("nothing_left")


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


@pytest.mark.parametrize("calls", [10, 500])
async def test_concurrent_hooks(open_guard: Open, calls: int) -> None:
    """Hooks in flight on one connection, each with an API call inside, all get their own answers."""
    answers: dict[int, str] = {}

    async def ask(hooks: HookClient, number: int) -> None:
        decision = await hooks.message_will_be_posted(Post(user_id="u", message=f"shout {number}"))
        assert decision.post is not None
        answers[number] = decision.post.message

    async with open_guard() as plugin, anyio.create_task_group() as tasks:
        for number in range(calls):
            tasks.start_soon(ask, hooks_of(plugin), number)
    assert answers == {number: f"SHOUT {number}" for number in range(calls)}


async def test_chain(open_a_host: OpenHost, tmp_path: Path) -> None:
    """Two plugins in order: unchanged, modified by one and by both, rejected by the second after the first's change."""
    code = """
        from mm_plugin import Plugin, Reject, run_plugin

        class Marker(Plugin):
            async def message_will_be_posted(self, context, post):
                if "no" in post.message and self.plugin_id == "com.example.b":
                    return Reject(f"not {post.message}")
                if "mark" in post.message:
                    post.message += f" {self.plugin_id[-1]}"
                    return post

        run_plugin(Marker)
    """
    async with open_a_host() as host:
        bundles = [
            write_bundle(tmp_path / name, textwrap.dedent(code), plugin_id=f"com.example.{name}") for name in "ab"
        ]
        assert [plugin.state for plugin in await host.start_all(bundles)] == [PluginState.RUNNING] * 2
        decisions = [await host.message_will_be_posted(Post(message=text)) for text in ("hi", "mark", "mark no")]
        assert [decision.post and decision.post.message for decision in decisions] == ["hi", "mark a b", None]
        assert [(decision.rejection, decision.rejected_by) for decision in decisions] == [
            ("", ""),
            ("", ""),
            ("not mark no a", "com.example.b"),
        ]


async def test_api_error_reaches_the_author(open_guard: Open) -> None:
    """The server's 404 is the author's NotFoundError, with id and status; a crash of the server is an INTERNAL."""
    code = """
        from mm_plugin import NotFoundError, Plugin, PluginAPIError, Reject, run_plugin

        class Asking(Plugin):
            async def message_will_be_posted(self, context, post):
                try:
                    await self.api.get_user(post.user_id)
                except NotFoundError as error:
                    return Reject(f"{error.id} {error.status_code}")
                except PluginAPIError as error:
                    return Reject(f"{error.code.name} {error.message}")

        run_plugin(Asking)
    """
    async with open_guard(code) as plugin:
        hooks = hooks_of(plugin)
        missing = await hooks.message_will_be_posted(Post(user_id="nobody"))
        assert missing.rejection == "app.user.missing 404"
        crash = await hooks.message_will_be_posted(Post(user_id="crash"))
        assert crash.rejection == "INTERNAL internal error: GetUser failed"


# -- plugins that do more -------------------------------------------------------------------------------------


async def test_forking_plugin(open_guard: Open, caplog: pytest.LogCaptureFixture) -> None:
    """A plugin that forks and leaves a child behind neither hangs nor warns, and the child goes too."""
    code = """
        import os, signal, subprocess, sys
        from mm_plugin import CommandResponse, Plugin, run_plugin

        class Forking(Plugin):
            async def on_activate(self):
                child = os.fork()
                if not child:
                    os._exit(7)
                assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7

            def execute_command(self, context, args):
                said = subprocess.run([sys.executable, "-c", "print(5)"], capture_output=True, text=True).stdout
                child = os.fork()
                if not child:
                    while True:
                        signal.pause()
                return CommandResponse(text=f"{said.strip()} {child}")

        run_plugin(Forking)
    """
    async with open_guard(code) as plugin:
        response = await hooks_of(plugin).execute_command(CommandArgs(command="/fork"))
        assert response is not None
        five, child = response.text.split()
        assert five == "5"
        os.kill(int(child), 0)
        plugin.ask_stop()
        assert await plugin.wait_over() is PluginState.NOT_RUNNING
    while is_alive(int(child)):  # noqa: ASYNC110 - init reaps it, nobody tells us
        await anyio.sleep(0.01)
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == []


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


async def test_other_loops(open_guard: Open, caplog: pytest.LogCaptureFixture) -> None:
    """A plugin that runs a loop before it serves, and one in a blocking hook, neither hangs nor warns."""
    code = """
        import os
        import anyio
        from mm_plugin import CommandResponse, Plugin, run_plugin

        async def work():
            await anyio.sleep(0.01)
            return "done"

        def run():
            return anyio.run(work, backend=os.environ["MM_PLUGIN_BACKEND"])

        class Looping(Plugin):
            def execute_command(self, context, args):
                return CommandResponse(text=before + run())

        before = run() + run()
        run_plugin(Looping)
    """
    async with open_guard(code) as plugin:
        response = await hooks_of(plugin).execute_command(CommandArgs())
        assert response is not None
        assert response.text == "done" * 3
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == []


async def test_other_program(open_a_host: OpenHost, tmp_path: Path) -> None:
    """A program in any language that speaks the gRPC protocol runs as it is; it need not know of the secret."""
    code = f"#!{sys.executable}\nimport os\ndel os.environ['MM_PLUGIN_API_SECRET']\n" + textwrap.dedent(GUARD)
    bundle = write_bundle(tmp_path, executable="plugin", runtime="go")
    (bundle / "plugin").write_text(code)
    (bundle / "plugin").chmod(0o755)
    async with open_a_host() as host:
        await host.start(bundle)
        decision = await host.message_will_be_posted(Post(user_id="u", message="a secret"))
        assert decision.rejection == "Not here, ada."
