"""What plugins decide about posts, logins and commands, and what they are told."""

from __future__ import annotations

from collections.abc import Callable

import anyio
import pytest
from anyio.lowlevel import checkpoint

from mm_plugin import limits
from mm_plugin.exceptions import NotFoundError, PluginAPIError, RateLimitedError, UnauthenticatedError, ValidationError
from mm_plugin.hooks.results import Dismiss, Reject
from mm_plugin.host.hook_client import HookContext
from mm_plugin.messages.commands import Command, CommandArgs, CommandResponse
from mm_plugin.messages.common import PluginContext
from mm_plugin.messages.posts import Post
from mm_plugin.messages.structs import dict_of_struct
from mm_plugin.messages.users import Session, User
from mm_plugin.plugin.plugin import Plugin
from tests.devserver.worlds import World, open_world

Decision = Post | Reject | Dismiss | None


class Judge(Plugin):
    """Decides by a function, and remembers what it was told."""

    def __init__(self, decide: Callable[[Post], Decision] = lambda post: None) -> None:
        self.decide = decide
        self.asked: list[Post] = []
        self.told_send, self.told = anyio.create_memory_object_stream[tuple[str, Post]](100)

    async def message_will_be_posted(self, context: PluginContext, post: Post) -> Decision:
        self.asked.append(post)
        return self.decide(post)

    async def message_will_be_updated(
        self, context: PluginContext, new_post: Post, old_post: Post
    ) -> Post | Reject | None:
        decision = self.decide(new_post)
        return None if isinstance(decision, Dismiss) else decision

    async def message_has_been_posted(self, context: PluginContext, post: Post) -> None:
        await self.told_send.send(("posted", post))

    async def message_has_been_updated(self, context: PluginContext, new_post: Post, old_post: Post) -> None:
        await self.told_send.send((f"updated from {old_post.message}", new_post))

    async def message_has_been_deleted(self, context: PluginContext, post: Post) -> None:
        await self.told_send.send(("deleted", post))

    async def on_deactivate(self) -> None:
        self.told_send.close()
        self.told.close()


def by_ada(world: World, message: str) -> Post:
    return Post(user_id=world.seed.users["ada"].id, channel_id=world.seed.channel.id, message=message)


async def test_changes_flow_from_plugin_to_plugin() -> None:
    """Each plugin sees what the one before made of a post, the last result is kept, and all are told of it."""

    def shout(post: Post) -> Post:
        post.message = post.message.upper()
        post.props.update({"by": "shouter"})
        return post

    def exclaim(post: Post) -> Post:
        post.message += "!"
        return post

    shouter, exclaimer = Judge(shout), Judge(exclaim)
    async with open_world() as world, world.running(shouter, "a.shouter"), world.running(exclaimer, "b.exclaimer"):
        post = await world.app.posting.create(by_ada(world, "hej"))
        assert post.message == "HEJ!"
        assert [asked.message for asked in exclaimer.asked] == ["HEJ!"]
        assert not shouter.asked[0].id
        kept = await world.app.posting.get(post.id)
        assert kept == post
        assert dict_of_struct(kept.props) == {"by": "shouter"}
        for judge in (shouter, exclaimer):
            assert await judge.told.receive() == ("posted", post)


async def test_a_rejection_ends_it() -> None:
    """The first rejection stops a post with its reason: later plugins are not asked, nothing is kept or told."""
    first, second = Judge(lambda post: Reject("Not here.")), Judge()
    async with open_world() as world, world.running(first, "a.first"), world.running(second, "b.second"):
        with pytest.raises(ValidationError) as caught:
            await world.app.posting.create(by_ada(world, "hej"))
        assert caught.value.message == "Post rejected by plugin. Not here."
        assert (caught.value.status_code, caught.value.where) == (400, "createPost")
        first.decide = lambda post: Dismiss()
        with pytest.raises(ValidationError) as caught:
            await world.app.posting.create(by_ada(world, "hej"))
        assert caught.value.id == "plugin.message_will_be_posted.dismiss_post"
        assert not second.asked
        assert await world.app.store.posts.count() == 0
        await checkpoint()
        assert first.told.statistics().current_buffer_used == 0


async def test_edits_and_deletions() -> None:
    """An edit is asked about and told with the old post; a rejected one keeps it; a deletion is told."""
    judge = Judge()
    async with open_world() as world, world.running(judge):
        post = await world.app.posting.create(by_ada(world, "old"))
        assert (await judge.told.receive())[0] == "posted"
        post.message = "new"
        assert (await world.app.posting.update(post)).message == "new"
        what, told = await judge.told.receive()
        assert (what, told.message) == ("updated from old", "new")
        judge.decide = lambda post: Reject("No edits.")
        post.message = "newer"
        with pytest.raises(ValidationError, match="No edits"):
            await world.app.posting.update(post)
        assert (await world.app.posting.get(post.id)).message == "new"
        await world.app.posting.delete(post.id)
        what, told = await judge.told.receive()
        assert (what, told.id, bool(told.delete_at)) == ("deleted", post.id, True)


async def test_a_plugin_may_not_turn_a_post_into_an_impossible_one() -> None:
    """What a plugin returns is checked like what a user sends."""

    def elsewhere(post: Post) -> Post:
        post.channel_id = "elsewhere"
        return post

    async with open_world() as world, world.running(Judge(elsewhere)):
        with pytest.raises(NotFoundError, match="channel"):
            await world.app.posting.create(by_ada(world, "hej"))
        assert await world.app.store.posts.count() == 0


async def test_a_plugin_may_post_while_it_is_told_of_a_post() -> None:
    """Posting inside MessageHasBeenPosted works, and is told in turn."""
    done = anyio.Event()

    class Echo(Plugin):
        async def message_has_been_posted(self, context: PluginContext, post: Post) -> None:
            if post.message == "echo: hej":
                done.set()
            else:
                await self.api.create_post(
                    Post(user_id=post.user_id, channel_id=post.channel_id, message=f"echo: {post.message}")
                )

    async with open_world() as world, world.running(Echo()):
        await world.app.posting.create(by_ada(world, "hej"))
        await done.wait()
        assert await world.app.store.posts.count() == 2


async def test_a_plugin_that_hangs_is_a_visible_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Posts are refused, not lost in silence, while too many are still to be told; afterwards they work again."""
    monkeypatch.setattr(limits, "devserver_pending_events", 3)
    release = anyio.Event()
    all_told = anyio.Event()

    class Slow(Plugin):
        def __init__(self) -> None:
            self.told = 0

        async def message_has_been_posted(self, context: PluginContext, post: Post) -> None:
            await release.wait()
            self.told += 1
            if self.told == 3:
                all_told.set()

    async with open_world() as world, world.running(Slow()):
        for number in range(3):
            await world.app.posting.create(by_ada(world, f"post {number}"))
        with pytest.raises(RateLimitedError):
            await world.app.posting.create(by_ada(world, "one too many"))
        assert await world.app.store.posts.count() == 3
        release.set()
        await all_told.wait()
        while world.app.events._pending:
            await checkpoint()
        await world.app.posting.create(by_ada(world, "again"))


async def test_a_plugin_that_fails_lets_posts_pass(caplog: pytest.LogCaptureFixture) -> None:
    """A crash in either hook keeps nobody from posting."""

    class Broken(Plugin):
        async def message_will_be_posted(self, context: PluginContext, post: Post) -> Post:
            raise ValueError("broken")

        async def message_has_been_posted(self, context: PluginContext, post: Post) -> None:
            raise ValueError("broken")

    async with open_world() as world, world.running(Broken()):
        post = await world.app.posting.create(by_ada(world, "hej"))
        assert await world.app.posting.get(post.id) == post
        while world.app.events._pending:
            await checkpoint()
    assert "MessageWillBePosted" in caplog.text


# -- logging in -----------------------------------------------------------------------------------------------


def expire(session: Session) -> None:
    session.expires_at = 1


async def test_login_asks_the_plugins() -> None:
    """The right password logs in unless a plugin objects; plugins never see the password."""
    seen: list[User] = []

    class Doorman(Plugin):
        async def user_will_log_in(self, context: PluginContext, user: User) -> Reject | None:
            seen.append(user)
            return Reject("Closed.") if user.username == "bob" else None

    async with open_world() as world, world.running(Doorman()):
        accounts = world.app.accounts
        user, session = await accounts.log_in("ADA", "Passw0rd!", HookContext())
        assert user.username == "ada"
        found = await accounts.session_of(session.token)
        assert found == session
        assert await accounts.session_of("") is None
        assert await accounts.session_of("none") is None
        await world.app.store.sessions.change(expire, session.id)
        assert await accounts.session_of(session.token) is None
        for login_id, password in (("ada", "wrong"), ("ada", ""), ("nobody", "Passw0rd!")):
            with pytest.raises(UnauthenticatedError):
                await accounts.log_in(login_id, password, HookContext())
        with pytest.raises(ValidationError, match=r"Login rejected by plugin: Closed\."):
            await accounts.log_in("bob@example.com", "Passw0rd!", HookContext())
        assert [(user.username, user.password) for user in seen] == [("ada", ""), ("bob", "")]


# -- commands -------------------------------------------------------------------------------------------------


class Commander(Plugin):
    """Answers ``/try …``."""

    async def on_activate(self) -> None:
        await self.api.register_command(Command(trigger="Try", auto_complete=True))

    async def execute_command(self, context: PluginContext, args: CommandArgs) -> CommandResponse | Reject | None:
        match args.command.split()[1:]:
            case ["loud"]:
                return CommandResponse(response_type="in_channel", text="for all")
            case ["refuse"]:
                return Reject("no")
            case ["nothing"]:
                return None
            case _:
                return CommandResponse(response_type="ephemeral", text=f"{args.command} by {args.user_id}")


async def test_a_command_reaches_the_plugin_that_registered_it() -> None:
    """The answer comes back; one for the channel becomes a post; an error stays the plugin's."""
    async with open_world() as world, world.running(Judge(), "a.other"), world.running(Commander(), "b.commander"):
        ada, channel = world.seed.users["ada"].id, world.seed.channel.id
        commands = world.app.commands

        def args(line: str) -> CommandArgs:
            return CommandArgs(user_id=ada, channel_id=channel, team_id=world.seed.team.id, command=line)

        assert (await commands.execute(args("/TRY it"))).text == f"/TRY it by {ada}"
        assert (await commands.execute(args("/try nothing"))).text == ""
        assert await world.app.store.posts.count() == 0
        await commands.execute(args("/try loud"))
        assert [post.message for post in await world.app.store.posts.find()] == ["for all"]
        with pytest.raises(PluginAPIError, match="no"):
            await commands.execute(args("/try refuse"))
        with pytest.raises(NotFoundError, match="/none"):
            await commands.execute(args("/none"))
        for line in ("try", "", "/"):
            with pytest.raises(PluginAPIError):
                await commands.execute(args(line))


async def test_commands_belong_to_their_plugin() -> None:
    """A trigger is one plugin's, malformed ones are refused, and those of a plugin that is gone are not listed."""
    async with open_world() as world, world.client("a.first") as first:
        team = world.seed.team.id
        await first.register_command(Command(trigger="mine", auto_complete_desc="1"))
        await first.register_command(Command(trigger="mine", auto_complete_desc="2"))
        async with world.client("b.second") as second:
            with pytest.raises(ValidationError, match="/mine"):
                await second.register_command(Command(trigger="mine"))
            await second.unregister_command("", "mine")
            await second.register_command(Command(trigger="theirs"))
            for trigger in ("", "/slash", "two words"):
                with pytest.raises(ValidationError):
                    await second.register_command(Command(trigger=trigger))
        listed = await first.list_commands(team)
        assert [(command.trigger, command.auto_complete_desc) for command in listed] == [("mine", "2")]
        assert (await first.get_command(listed[0].id)).plugin_id == "a.first"
        args = CommandArgs(user_id=world.seed.users["ada"].id, channel_id=world.seed.channel.id, command="/theirs")
        with pytest.raises(PluginAPIError, match=r"b\.second"):
            await first.execute_slash_command(args)
        await first.unregister_command("", "mine")
        assert [command.trigger for command in await first.list_plugin_commands(team)] == []
