"""A plugin that does a little of everything, the server it asks, and how tests open both."""

import sys
import textwrap
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio

from mm_plugin._proto.post_pb2 import Post
from mm_plugin._proto.user_pb2 import User
from mm_plugin.exceptions import NotFoundError
from mm_plugin.host.api_receiver import HandlerAPI
from mm_plugin.host.hook_client import HookClient
from mm_plugin.host.host import Host, open_host, open_plugin
from mm_plugin.host.options import HostOptions
from mm_plugin.host.running_plugin import RunningPlugin
from mm_plugin.host.supervision import SupervisionRules
from tests.host.stubs import write_bundle

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
        if user_id == "crash":
            raise ZeroDivisionError("nobody's business")
        if user_id == "u":
            return User(id="u", username="ada")
        raise NotFoundError("no such user", id="app.user.missing", status_code=404)

    async def create_post(self, *, post: Post) -> Post:
        self.posts.append(post.message)
        return post


Open = Callable[..., AbstractAsyncContextManager[RunningPlugin]]
OpenHost = Callable[..., AbstractAsyncContextManager[Host]]


def hooks_of(plugin: RunningPlugin) -> HookClient:
    assert plugin.hooks is not None
    return plugin.hooks


def options_for(backend: str) -> HostOptions:
    """Return options for plugins on a backend; a crash is final."""
    return HostOptions(
        interpreter=Path(sys.executable),
        environment={"MM_PLUGIN_BACKEND": backend, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "always"},
        log_level="DEBUG",
        supervision=SupervisionRules(failures=1),
    )


def host_opener(server: Server, options: HostOptions) -> OpenHost:
    """Return what opens a host, with changes to its options."""

    @asynccontextmanager
    async def open_it(**changes: Any) -> AsyncGenerator[Host]:
        with anyio.fail_after(40):
            async with open_host(lambda _: HandlerAPI(server), options=replace(options, **changes)) as host:
                yield host

    return open_it


def plugin_opener(folder: Path, server: Server, options: HostOptions) -> Open:
    """Return what opens one plugin from its code; graces are long, so that nothing hides behind a signal."""

    @asynccontextmanager
    async def open_it(code: str = GUARD, ask_stop_s: float = 1, grace_s: float = 20) -> AsyncGenerator[RunningPlugin]:
        bundle = write_bundle(folder, textwrap.dedent(code))
        changed = replace(options, ask_stop_s=ask_stop_s, exit_grace_s=grace_s, terminate_grace_s=grace_s)
        with anyio.fail_after(40):
            async with open_plugin(bundle, HandlerAPI(server), options=changed) as plugin:
                yield plugin

    return open_it
