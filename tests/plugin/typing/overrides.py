"""Checked by mypy and pyright, never run: which overrides of Plugin's methods type checkers take and which they refuse.

A line that must be refused carries a ``type: ignore``, which strict checkers refuse in turn where it is not needed;
every other line must pass.
"""

# pyright: reportUnnecessaryTypeIgnoreComment=true
from __future__ import annotations

from collections.abc import Sequence
from typing import assert_type

from mm_plugin import (
    CommandArgs,
    CommandResponse,
    Dismiss,
    FailurePolicy,
    HookName,
    Plugin,
    PluginContext,
    Post,
    Reject,
    Request,
    Response,
    User,
    hook,
)


class Async(Plugin):
    """Async overrides pass."""

    async def on_activate(self) -> None:
        self.task_group.start_soon(self.background)
        self.logger.info(self.plugin_id)

    async def background(self) -> None: ...

    async def message_will_be_posted(self, context: PluginContext, post: Post) -> Post | Reject | Dismiss | None:
        return Reject("no") if post.message else Dismiss()

    async def messages_will_be_consumed(self, posts: list[Post]) -> Sequence[Post]:
        return posts

    async def user_will_log_in(self, context: PluginContext, user: User) -> Reject | None:
        return Reject(user.username)

    async def execute_command(self, context: PluginContext, args: CommandArgs) -> CommandResponse:
        return CommandResponse(text=args.command)

    async def run_data_retention(self, now_time: int, batch_size: int) -> int:
        return now_time + batch_size

    async def serve_http(self, request: Request, response: Response) -> None:
        await response.write(request.method.encode())


class Blocking(Plugin):
    """Blocking overrides pass, under any parameter names."""

    def on_activate(self) -> None: ...

    def message_will_be_posted(self, context: PluginContext, post: Post) -> Post | None:
        return post

    def execute_command(self, context: PluginContext, args: CommandArgs) -> CommandResponse | None:
        return None

    def user_will_log_in(self, whatever: PluginContext, the_name: User) -> Reject | None:  # names are free
        return None


class Decorated(Plugin):
    """The decorator keeps a method's type."""

    @hook(HookName.MessageWillBePosted, on_failure=FailurePolicy.REJECT)
    async def screen(self, context: PluginContext, post: Post) -> Reject | None:
        return None

    @hook("UserHasLoggedIn")
    def seen(self, context: PluginContext, user: User) -> None: ...

    @hook
    async def on_activate(self) -> None: ...

    async def uses(self, context: PluginContext, post: Post, user: User) -> None:
        assert_type(await self.screen(context, post), Reject | None)
        self.seen(context, user)
        self.seen(context)  # type: ignore[call-arg]


class WrongCount(Plugin):
    """A wrong number of parameters."""

    def on_activate(self, context: PluginContext) -> None: ...  # type: ignore[override]

    async def user_will_log_in(self, user: User) -> None: ...  # type: ignore[override]


class WrongTypes(Plugin):
    """Parameters of the wrong types."""

    async def message_will_be_posted(self, context: PluginContext, post: User) -> None: ...  # type: ignore[override]

    def user_has_logged_in(self, context: int, user: User) -> None: ...  # type: ignore[override]


class WrongResults(Plugin):
    """Results the hook cannot express."""

    async def message_will_be_posted(self, context: PluginContext, post: Post) -> str:  # type: ignore[override]
        raise NotImplementedError

    def user_will_log_in(self, context: PluginContext, user: User) -> bool:  # type: ignore[override]
        raise NotImplementedError

    async def message_has_been_posted(self, context: PluginContext, post: Post) -> Post:  # type: ignore[override]
        raise NotImplementedError

    async def message_will_be_updated(  # type: ignore[override]
        self, context: PluginContext, new_post: Post, old_post: Post
    ) -> Dismiss:
        raise NotImplementedError

    def serve_http(self, request: Request, response: Response) -> str:  # type: ignore[override]
        raise NotImplementedError


@hook(on_failure="reject")  # type: ignore[call-overload, untyped-decorator]
def not_a_policy() -> None: ...


@hook(5)  # type: ignore[call-overload, untyped-decorator]
def not_a_name() -> None: ...
