"""The API as a plugin has it: through the client, over the memory link, answered from the state."""

import inspect
import json
import logging

import anyio
import pytest

from mm_plugin import limits
from mm_plugin.api.client import PluginAPIClient
from mm_plugin.devserver.api import DevServerAPI
from mm_plugin.devserver.api_server import SERVER_VERSION
from mm_plugin.exceptions import NotFoundError, ValidationError
from mm_plugin.messages.bots import Bot, BotPatch
from mm_plugin.messages.channels import Channel, ChannelType
from mm_plugin.messages.plugins import PluginKVSetOptions
from mm_plugin.messages.posts import Post, Reaction, SearchParams
from mm_plugin.messages.preferences import Preference
from mm_plugin.messages.structs import dict_of_struct
from mm_plugin.messages.teams import Team
from mm_plugin.messages.users import Session, User
from mm_plugin.plugin.plugin import Plugin
from tests.devserver.worlds import open_world

HANDLED = [name for name in dir(DevServerAPI) if not name.startswith("_")]


@pytest.mark.parametrize("name", HANDLED)
def test_every_handled_method_is_one_of_the_api(name: str) -> None:
    """Each public method has the name of a client's method, and takes all of its parameters."""
    wanted = inspect.signature(getattr(PluginAPIClient, name)).parameters
    handled = inspect.signature(getattr(DevServerAPI, name)).parameters
    takes_others = any(parameter.kind is parameter.VAR_KEYWORD for parameter in handled.values())
    assert takes_others or set(wanted) <= set(handled)
    own = {name for name, parameter in handled.items() if parameter.kind is not parameter.VAR_KEYWORD}
    assert own <= set(wanted)


async def test_users_are_found_made_and_changed() -> None:
    """A user is found by id, name and address, never with the password, and cannot be made twice."""
    async with open_world() as world, world.client() as api:
        ada = await api.get_user_by_username("@Ada")
        assert ada.id == world.seed.users["ada"].id
        assert not ada.password
        assert (await api.get_user_by_email("ADA@example.com")).id == ada.id
        assert (await api.get_user(ada.id)).username == "ada"
        with pytest.raises(NotFoundError) as caught:
            await api.get_user("nobody")
        assert caught.value.id == "app.user.missing_account.const"

        eve = await api.create_user(User(username="Eve", email="eve@example.com", password="pw", nickname="E"))
        assert (eve.username, eve.roles, eve.password, len(eve.id)) == ("eve", "system_user", "", 26)
        for again, error_id in (
            (User(username="eve", email="other@example.com"), "app.user.save.username_exists.app_error"),
            (User(username="other", email="eve@example.com"), "app.user.save.email_exists.app_error"),
            (User(username="no spaces", email="x@example.com"), "model.user.is_valid.username.app_error"),
            (User(username="noaddress"), "model.user.is_valid.email.app_error"),
        ):
            with pytest.raises(ValidationError) as refused:
                await api.create_user(again)
            assert refused.value.id == error_id
        eve.nickname, eve.props["k"] = "EVE", "v"
        assert (await api.update_user(eve)).nickname == "EVE"
        assert dict((await api.get_user(eve.id)).props) == {"k": "v"}
        eve.username = "bob"
        with pytest.raises(ValidationError):
            await api.update_user(eve)


async def test_users_are_listed_by_what_is_asked() -> None:
    """Filters, pages and searches give what they name; a filter the server does not know is refused."""
    async with open_world() as world, world.client() as api:
        team, channel = world.seed.team.id, world.seed.channel.id
        eve = await api.create_user(User(username="eve", email="eve@example.com"))
        assert [user.username for user in await api.get_users()] == ["ada", "admin", "bob", "eve"]
        assert [user.username for user in await api.get_users(page=1, per_page=3)] == ["eve"]
        assert [user.username for user in await api.get_users_in_team(team)] == ["ada", "admin", "bob"]
        assert [user.username for user in await api.get_users(not_in_channel_id=channel)] == ["eve"]
        assert [user.username for user in await api.get_users(role="system_admin")] == ["admin"]
        assert [user.username for user in await api.search_users("a", team_id=team)] == ["ada", "admin"]
        assert [user.username for user in await api.get_users_by_ids([eve.id, "none"])] == ["eve"]
        assert [user.username for user in await api.get_users_by_usernames(["eve", "none"])] == ["eve"]
        with pytest.raises(ValidationError, match="group_constrained"):
            await api.get_users(group_constrained=True)
        await api.delete_user(eve.id)
        assert [user.username for user in await api.get_users(inactive=True)] == ["eve"]
        assert "eve" not in [user.username for user in await api.get_users(active=True)]


async def test_status_roles_permissions_sessions() -> None:
    """Status is what was set, administrators may do everything, members what is theirs, sessions come and go."""
    async with open_world() as world, world.client() as api:
        ada, admin = world.seed.users["ada"].id, world.seed.users["admin"].id
        assert (await api.get_user_status(ada)).status == "offline"
        assert (await api.update_user_status(ada, "away")).manual
        assert [status.status for status in await api.get_user_statuses_by_ids([ada, admin])] == ["away", "offline"]
        with pytest.raises(ValidationError):
            await api.update_user_status(ada, "sleepy")
        assert await api.has_permission_to(admin, "manage_system")
        assert not await api.has_permission_to(ada, "manage_system")
        assert await api.has_permission_to_team(ada, world.seed.team.id, "view_team")
        assert await api.has_permission_to_channel(ada, world.seed.channel.id, "create_post")
        assert not await api.has_permission_to_channel(ada, "elsewhere", "create_post")
        await api.update_user_roles(ada, "system_user system_admin")
        assert await api.has_permission_to(ada, "manage_system")
        session = await api.create_session(Session(user_id=ada))
        assert (await api.get_session(session.id)).user_id == ada
        await api.revoke_session(session.id)
        with pytest.raises(NotFoundError):
            await api.get_session(session.id)


async def test_preferences() -> None:
    """Preferences are set, replaced, read and forgotten by user, category and name."""
    async with open_world() as world, world.client() as api:
        ada = world.seed.users["ada"].id
        for value in ("1", "2"):
            await api.update_preferences_for_user(ada, [Preference(category="c", name="n", value=value)])
        assert (await api.get_preference_for_user(ada, "c", "n")).value == "2"
        kept = await api.get_preferences_for_user(ada)
        assert len(kept) == 1
        await api.delete_preferences_for_user(ada, kept)
        with pytest.raises(NotFoundError):
            await api.get_preference_for_user(ada, "c", "n")


async def test_teams_and_their_members() -> None:
    """Teams are made once, found by name, joined and left."""
    async with open_world() as world, world.client() as api:
        ada = world.seed.users["ada"].id
        team = await api.create_team(Team(name="Club", display_name="The club"))
        assert (await api.get_team_by_name("club")).id == team.id
        with pytest.raises(ValidationError):
            await api.create_team(Team(name="club", display_name="Again"))
        first = await api.create_team_member(team.id, ada)
        assert await api.create_team_member(team.id, ada) == first
        assert [found.name for found in await api.get_teams_for_user(ada)] == ["club", "dev"]
        assert (await api.get_team_stats(team.id)).total_member_count == 1
        assert [member.user_id for member in await api.get_team_members(team.id)] == [ada]
        await api.delete_team_member(team.id, ada)
        assert [found.name for found in await api.get_teams_for_user(ada)] == ["dev"]
        assert (await api.get_team_member(team.id, ada)).delete_at
        assert [found.name for found in await api.search_teams("the")] == ["club"]
        await api.delete_team(team.id)
        assert [found.name for found in await api.get_teams()] == ["dev"]
        with pytest.raises(NotFoundError):
            await api.get_team_by_name("none")


async def test_channels_and_their_members() -> None:
    """Channels are made once in a team, found by name, joined, left, counted and archived."""
    async with open_world() as world, world.client() as api:
        team, ada, bob = world.seed.team.id, world.seed.users["ada"].id, world.seed.users["bob"].id
        made = await api.create_channel(Channel(team_id=team, name="Club", display_name="The club", creator_id=ada))
        assert made.type == ChannelType.CHANNEL_TYPE_OPEN
        assert (await api.get_channel_by_name(team, "club")).id == made.id
        assert (await api.get_channel_by_name_for_team_name("dev", "club")).id == made.id
        with pytest.raises(ValidationError):
            await api.create_channel(Channel(team_id=team, name="club", display_name="Again"))
        assert (await api.get_channel_stats(made.id)).member_count == 1
        await api.add_user_to_channel(made.id, bob)
        assert [user.username for user in await api.get_users_in_channel(made.id)] == ["ada", "bob"]
        assert len(await api.get_channel_members(made.id)) == 2
        assert len(await api.get_channel_members_by_ids(made.id, [bob, "none"])) == 1
        await api.delete_channel_member(made.id, ada)
        with pytest.raises(NotFoundError):
            await api.get_channel_member(made.id, ada)
        names = [channel.name for channel in await api.get_channels_for_team_for_user(team, bob)]
        assert names == ["club", "town-square"]
        made.header = "Mind the gap"
        assert (await api.update_channel(made)).header == "Mind the gap"
        await api.delete_channel(made.id)
        assert [channel.name for channel in await api.get_public_channels_for_team(team)] == ["town-square"]
        with pytest.raises(NotFoundError):
            await api.get_channel_by_name(team, "club")
        assert (await api.get_channel_by_name(team, "club", include_deleted=True)).delete_at


async def test_direct_and_group_channels_are_made_once() -> None:
    """The same users always get the same channel, whoever comes first."""
    async with open_world() as world, world.client() as api:
        ids = [user.id for user in world.seed.users.values()]
        direct = await api.get_direct_channel(ids[0], ids[1])
        assert (await api.get_direct_channel(ids[1], ids[0])).id == direct.id
        assert direct.type == ChannelType.CHANNEL_TYPE_DIRECT
        group = await api.get_group_channel(ids)
        assert (await api.get_group_channel(ids[::-1])).id == group.id
        assert len(await api.get_channel_members(group.id)) == 3
        with pytest.raises(ValidationError):
            await api.get_group_channel(ids[:2])


async def test_posts_are_kept_listed_and_searched() -> None:
    """Posts keep their props, come newest first, page, thread and can be searched."""
    async with open_world() as world, world.client() as api:
        ada, channel = world.seed.users["ada"].id, world.seed.channel.id
        posts: list[Post] = []
        for number in range(5):
            draft = Post(user_id=ada, channel_id=channel, message=f"message {number}")
            draft.props.update({"number": number})
            posts.append(await api.create_post(draft))
        assert dict_of_struct((await api.get_post(posts[3].id)).props) == {"number": 3}
        newest_first = [post.id for post in reversed(posts)]
        assert list((await api.get_posts_for_channel(channel)).order) == newest_first
        assert list((await api.get_posts_for_channel(channel, page=1, per_page=2)).order) == newest_first[2:4]
        assert list((await api.get_posts_after(channel, posts[2].id)).order) == [posts[4].id, posts[3].id]
        assert list((await api.get_posts_before(channel, posts[2].id)).order) == [posts[1].id, posts[0].id]
        since = await api.get_posts_since(channel, posts[0].create_at - 1)
        assert set(since.posts) == set(newest_first)
        found = await api.search_posts_in_team(world.seed.team.id, [SearchParams(terms="MESSAGE 3")])
        assert [post.id for post in found] == [posts[3].id]
        reply = await api.create_post(Post(user_id=ada, channel_id=channel, root_id=posts[0].id, message="re"))
        assert list((await api.get_post_thread(reply.id)).order) == [posts[0].id, reply.id]
        root = await api.get_post(posts[0].id)
        assert (root.reply_count, root.last_reply_at) == (1, reply.create_at)
        kept = await api.get_channel(channel)
        assert (kept.total_msg_count, kept.total_msg_count_root) == (6, 5)
        await api.delete_post(posts[0].id)
        for post_id in (posts[0].id, reply.id):
            with pytest.raises(NotFoundError):
                await api.get_post(post_id)
        assert list((await api.get_posts_for_channel(channel)).order) == newest_first[:4]


async def test_wrong_posts_are_refused() -> None:
    """A post without user or channel, too long, or under a root that is none is refused, and nothing is kept."""
    async with open_world() as world, world.client() as api:
        ada, channel = world.seed.users["ada"].id, world.seed.channel.id
        with pytest.raises(NotFoundError, match="user"):
            await api.create_post(Post(channel_id=channel, message="x"))
        with pytest.raises(NotFoundError, match="channel"):
            await api.create_post(Post(user_id=ada, message="x"))
        message = "x" * (limits.devserver_post_characters + 1)
        with pytest.raises(ValidationError, match=str(limits.devserver_post_characters)):
            await api.create_post(Post(user_id=ada, channel_id=channel, message=message))
        with pytest.raises(ValidationError, match="root_id"):
            await api.create_post(Post(user_id=ada, channel_id=channel, root_id="none", message="x"))
        assert not (await api.get_posts_for_channel(channel)).order


async def test_updates_and_reactions() -> None:
    """An edit is marked with its time; reactions are added once and seen on the post."""
    async with open_world() as world, world.client() as api:
        ada, channel = world.seed.users["ada"].id, world.seed.channel.id
        post = await api.create_post(Post(user_id=ada, channel_id=channel, message="old"))
        post.message = "new"
        changed = await api.update_post(post)
        assert (changed.message, bool(changed.edit_at), changed.create_at) == ("new", True, post.create_at)
        reaction = Reaction(user_id=ada, post_id=post.id, emoji_name="tada")
        await api.add_reaction(reaction)
        await api.add_reaction(reaction)
        assert [kept.emoji_name for kept in await api.get_reactions(post.id)] == ["tada"]
        assert (await api.get_post(post.id)).has_reactions
        await api.remove_reaction(reaction)
        assert not await api.get_reactions(post.id)
        assert not (await api.get_post(post.id)).has_reactions


async def test_ephemeral_posts_are_shown_and_not_kept(caplog: pytest.LogCaptureFixture) -> None:
    """An ephemeral post gets an id, is written to the log, and is nowhere else."""
    async with open_world() as world, world.client() as api:
        ada, channel = world.seed.users["ada"].id, world.seed.channel.id
        with caplog.at_level(logging.INFO, "mm_plugin.devserver"):
            shown = await api.send_ephemeral_post(ada, Post(channel_id=channel, message="psst"))
        assert len(shown.id) == 26
        assert "psst" in caplog.text
        with pytest.raises(NotFoundError):
            await api.get_post(shown.id)


async def test_key_values_are_each_plugins_own() -> None:
    """Two plugins have the same keys and see their own values only."""
    async with open_world() as world, world.client("com.example.one") as one, world.client("com.example.two") as two:
        await one.kv_set("key", b"1")
        await two.kv_set("key", b"2")
        assert (await one.kv_get("key"), await two.kv_get("key")) == (b"1", b"2")
        await one.kv_delete_all()
        assert (await one.kv_get("key"), await two.kv_get("key")) == (b"", b"2")
        assert (await one.get_plugin_id(), await two.get_plugin_id()) == ("com.example.one", "com.example.two")


async def test_key_value_rules() -> None:
    """An empty value deletes, an empty old value means "must not exist", keys are checked, lists are paged."""
    async with open_world() as world, world.client() as api:
        assert await api.kv_get("missing") == b""
        assert await api.kv_compare_and_set("key", None, b"1")
        assert not await api.kv_compare_and_set("key", None, b"2")
        assert await api.kv_compare_and_set("key", b"1", b"2")
        assert not await api.kv_compare_and_delete("key", b"1")
        assert await api.kv_compare_and_delete("key", b"2")
        assert not await api.kv_compare_and_delete("key", b"")
        await api.kv_set("key", b"3")
        await api.kv_set("key", b"")
        assert await api.kv_list() == []
        assert await api.kv_set_with_options("a", b"1", options=PluginKVSetOptions(atomic=True))
        assert not await api.kv_set_with_options("a", b"2", options=PluginKVSetOptions(atomic=True))
        assert await api.kv_set_with_options("b", b"2")
        await api.kv_set_with_expiry("c", b"3", 2**62)  # for as long as there are numbers
        assert await api.kv_list(page=1, per_page=2) == ["c"]
        with pytest.raises(ValidationError, match="atomic"):
            await api.kv_set_with_options("b", b"3", options=PluginKVSetOptions(old_value=b"2"))
        for key in ("", "k" * 51):
            with pytest.raises(ValidationError) as caught:
                await api.kv_set(key, b"1")
            assert caught.value.id == "model.plugin_key_value.is_valid.key.app_error"


async def test_bots() -> None:
    """A bot is a user that posts; ensuring it twice makes one."""
    async with open_world() as world, world.client() as api:
        bot_id = await api.ensure_bot_user(Bot(username="robot", display_name="Robot"))
        assert await api.ensure_bot_user(Bot(username="Robot", display_name="Robot")) == bot_id
        assert (await api.get_user(bot_id)).is_bot
        bot = await api.get_bot(bot_id)
        assert (bot.owner_id, bot.display_name) == ("com.example.test", "Robot")
        assert (await api.patch_bot(bot_id, BotPatch(description="Beep"))).description == "Beep"
        post = await api.create_post(Post(user_id=bot_id, channel_id=world.seed.channel.id, message="beep"))
        assert post.user_id == bot_id
        await api.update_bot_active(bot_id, False)
        assert await api.get_bots() == []
        with pytest.raises(NotFoundError):
            await api.get_bot(bot_id)
        assert (await api.get_bot(bot_id, include_deleted=True)).delete_at


async def test_nobody_is_renamed_to_what_is_no_name() -> None:
    """Changes of users and bots are held to the rules of new ones, and a refused one changes nothing."""
    async with open_world() as world, world.client() as api:
        ada = await api.get_user(world.seed.users["ada"].id)
        bot = await api.create_bot(Bot(username="robot"))
        for wrong in (User(id=ada.id, email="a@b.example"), User(id=ada.id, username="ada")):
            with pytest.raises(ValidationError):
                await api.update_user(wrong)
        with pytest.raises(ValidationError):
            await api.patch_bot(bot.user_id, BotPatch(username="two words"))
        assert await api.get_user(ada.id) == ada
        assert (await api.get_bot(bot.user_id)).username == "robot"


async def test_configuration_changes_reach_the_plugin() -> None:
    """Saving a configuration keeps it and calls OnConfigurationChange; bad JSON is refused."""
    changes = anyio.Event()

    class Listener(Plugin):
        async def on_configuration_change(self) -> None:
            if await self.api.get_plugin_config():
                changes.set()

    async with open_world() as world, world.running(Listener()) as plugin:
        assert not changes.is_set()
        await plugin.api.save_plugin_config({"limit": 3, "words": ["a"]})
        await changes.wait()
        assert await plugin.api.get_plugin_config() == {"limit": 3, "words": ["a"]}
        assert json.loads(await plugin.api.load_plugin_configuration()) == {"limit": 3, "words": ["a"]}
        await plugin.api.save_config({"ServiceSettings": {"SiteURL": "http://x"}})
        assert json.loads(await plugin.api.get_config())["ServiceSettings"] == {"SiteURL": "http://x"}
        with pytest.raises(ValidationError):
            await plugin.api.save_config(b"[1]")
        with pytest.raises(ValidationError):
            await plugin.api.save_config(b"{")


async def test_the_server_and_its_plugins(caplog: pytest.LogCaptureFixture) -> None:
    """A plugin learns its place, its state and the server's version, and writes to the server's log."""
    async with open_world() as world, world.client() as api:
        assert await api.get_bundle_path() == "/bundle"
        assert [manifest.id for manifest in await api.get_plugins()] == ["com.example.test"]
        assert (await api.get_plugin_status("com.example.test")).state == 2
        with pytest.raises(NotFoundError):
            await api.get_plugin_status("com.example.none")
        assert await api.get_server_version() == SERVER_VERSION
        assert await api.get_system_install_date() == world.seed.users["admin"].create_at
        with caplog.at_level(logging.DEBUG, "mm_plugin.devserver.plugin"):
            for log in (api.log_debug, api.log_info, api.log_warn, api.log_error):
                await log("said", {"n": 1, "who": "ada"})
        assert [record.levelname for record in caplog.records] == ["DEBUG", "INFO", "WARNING", "ERROR"]
        assert caplog.records[0].getMessage() == 'said n=1 who="ada"'
