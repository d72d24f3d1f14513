"""Roles, notifications, unread counts, icons and sidebars, through the client."""

from __future__ import annotations

import anyio
import pytest

from mm_plugin.devserver.pictures import drawn_picture
from mm_plugin.exceptions import NotFoundError, ValidationError
from mm_plugin.messages.channels import Channel, ChannelMemberIdentifier, SidebarCategoryWithChannels
from mm_plugin.messages.posts import Post
from mm_plugin.messages.teams import Team
from mm_plugin.messages.users import User
from tests.devserver.worlds import open_world


async def test_new_roles_grant_at_once() -> None:
    """Whoever is made an admin of a team or channel may do what its admins may; unknown roles are refused."""
    async with open_world() as world, world.client() as api:
        ada, team, channel = world.seed.users["ada"].id, world.seed.team.id, world.seed.channel.id
        in_team = await api.update_team_member_roles(team, ada, "team_user  team_admin")
        assert (in_team.roles, in_team.scheme_admin, in_team.scheme_user) == ("team_user team_admin", True, True)
        assert await api.has_permission_to_team(ada, team, "manage_team")
        member = await api.update_channel_member_roles(channel, ada, "channel_user channel_admin")
        assert member.scheme_admin
        assert await api.has_permission_to_channel(ada, channel, "manage_channel_roles")
        with pytest.raises(ValidationError):
            await api.update_team_member_roles(team, ada, "channel_admin")
        with pytest.raises(ValidationError):
            await api.update_channel_member_roles(channel, ada, "team_admin")
        with pytest.raises(NotFoundError):
            await api.update_team_member_roles(team, "nobody", "team_user")
        with pytest.raises(NotFoundError):
            await api.update_channel_member_roles(channel, "nobody", "channel_user")


async def test_notifications_are_merged() -> None:
    """Keys that are named change, others stay, unknown ones are dropped; a patch of many is all or nothing."""
    async with open_world() as world, world.client() as api:
        channel, users = world.seed.channel.id, world.seed.users
        ada, bob = users["ada"].id, users["bob"].id
        await api.update_channel_member_notifications(channel, ada, {"desktop": "all", "nonsense": "x"})
        member = await api.update_channel_member_notifications(channel, ada, {"push": "none"})
        assert dict(member.notify_props) == {"desktop": "all", "push": "none"}
        both = [ChannelMemberIdentifier(channel_id=channel, user_id=user) for user in (ada, bob)]
        stranger = ChannelMemberIdentifier(channel_id=channel, user_id="nobody")
        with pytest.raises(NotFoundError):
            await api.patch_channel_members_notifications([*both, stranger], {"push": "all"})
        assert (await api.get_channel_member(channel, ada)).notify_props["push"] == "none"
        await api.patch_channel_members_notifications(both, {"push": "mention"})
        pushes = [(await api.get_channel_member(channel, user)).notify_props["push"] for user in (ada, bob)]
        assert pushes == ["mention", "mention"]


async def test_unread_posts_and_mentions_are_counted() -> None:
    """A post is unread for all but its author, a mention for those it names; who joins later has read all."""
    async with open_world() as world, world.client() as api:
        channel, team, users = world.seed.channel.id, world.seed.team.id, world.seed.users
        ada, bob = users["ada"].id, users["bob"].id
        root = await api.create_post(Post(user_id=ada, channel_id=channel, message="Hello @Bob, mail x@ada.example"))
        await api.create_post(Post(user_id=ada, channel_id=channel, root_id=root.id, message="@all again"))
        (unread,) = await api.get_teams_unread_for_user(bob)
        assert (unread.team_id, unread.msg_count, unread.msg_count_root) == (team, 2, 1)
        assert (unread.mention_count, unread.mention_count_root) == (2, 1)
        (own,) = await api.get_teams_unread_for_user(ada)
        assert (own.msg_count, own.mention_count) == (0, 0)
        eve = await api.create_user(User(username="eve", email="eve@example.com"))
        await api.create_team_member(team, eve.id)
        await api.add_channel_member(channel, eve.id)
        (new,) = await api.get_teams_unread_for_user(eve.id)
        assert new.msg_count == 0
        await api.create_post(Post(user_id=bob, channel_id=channel, message="seen it"))
        (read,) = await api.get_teams_unread_for_user(bob)
        assert (read.msg_count, read.mention_count) == (0, 0)
        direct = await api.get_direct_channel(ada, bob)
        await api.create_post(Post(user_id=ada, channel_id=direct.id, message="psst"))
        assert (await api.get_channel_member(direct.id, bob)).mention_count == 1
        with pytest.raises(NotFoundError):
            await api.get_teams_unread_for_user("nobody")


async def test_memberships_of_a_user() -> None:
    """A user's memberships in a team are those of its channels and the direct ones, page by page."""
    async with open_world() as world, world.client() as api:
        ada, bob, team = world.seed.users["ada"].id, world.seed.users["bob"].id, world.seed.team.id
        direct = await api.get_direct_channel(ada, bob)
        other = await api.create_team(Team(name="other", display_name="Other"))
        far = await api.create_channel(Channel(team_id=other.id, name="far", display_name="Far", creator_id=ada))
        here = [member.channel_id for member in await api.get_channel_members_for_user(team, ada)]
        assert here == [world.seed.channel.id, direct.id]
        there = [member.channel_id for member in await api.get_channel_members_for_user(other.id, ada)]
        assert there == [direct.id, far.id]
        page = await api.get_channel_members_for_user(team, ada, page=1, per_page=1)
        assert [member.channel_id for member in page] == [direct.id]


async def test_joining_gracefully_names_each_failure() -> None:
    """Of several users each has a membership or an error; a team that is not there fails as a whole."""
    async with open_world() as world, world.client() as api:
        team = await api.create_team(Team(name="club", display_name="Club"))
        ada = world.seed.users["ada"].id
        first, second = await api.create_team_members_gracefully(team.id, [ada, "nobody"])
        assert (first.user_id, first.member.team_id, first.HasField("error")) == (ada, team.id, False)
        assert (second.user_id, second.HasField("member")) == ("nobody", False)
        assert (second.error.id, second.error.status_code) == ("app.user.missing_account.const", 404)
        with pytest.raises(NotFoundError):
            await api.create_team_members_gracefully("none", [ada])


async def test_team_icons() -> None:
    """A team has the icon that was set, until it is removed; deactivated members are no active ones."""
    async with open_world() as world, world.client() as api:
        team = world.seed.team.id
        with pytest.raises(NotFoundError):
            await api.get_team_icon(team)
        icon = drawn_picture("team")
        await api.set_team_icon(team, icon)
        assert await api.get_team_icon(team) == icon
        assert (await api.get_team(team)).last_team_icon_update > 0
        with pytest.raises(ValidationError):
            await api.set_team_icon(team, b"no image")
        await api.remove_team_icon(team)
        await api.remove_team_icon(team)
        assert (await api.get_team(team)).last_team_icon_update == 0
        with pytest.raises(NotFoundError):
            await api.remove_team_icon("none")
        await api.update_user_active(world.seed.users["bob"].id, False)
        stats = await api.get_team_stats(team)
        assert (stats.total_member_count, stats.active_member_count) == (3, 2)


async def test_a_sidebar_has_every_channel_once() -> None:
    """Channels are where they were put, the others where they belong, and never in two places."""
    async with open_world() as world, world.client() as api:
        ada, bob, team = world.seed.users["ada"].id, world.seed.users["bob"].id, world.seed.team.id
        town, direct = world.seed.channel.id, (await api.get_direct_channel(ada, bob)).id
        sidebar = await api.get_channel_sidebar_categories(ada, team)
        assert [(entry.type, list(entry.channel_ids)) for entry in sidebar.categories] == [
            ("favorites", []),
            ("channels", [town]),
            ("direct_messages", [direct]),
        ]
        assert list(sidebar.order) == [entry.id for entry in sidebar.categories]
        mine = await api.create_channel_sidebar_category(
            ada, team, SidebarCategoryWithChannels(display_name="Mine", channel_ids=[town, direct])
        )
        favorites = sidebar.categories[0]
        favorites.channel_ids.append(town)
        favorites.display_name = "Best"
        (changed,) = await api.update_channel_sidebar_categories(ada, team, [favorites])
        assert changed.display_name == "Favorites"
        now = await api.get_channel_sidebar_categories(ada, team)
        assert [(entry.display_name, list(entry.channel_ids)) for entry in now.categories] == [
            ("Favorites", [town]),
            ("Mine", [direct]),
            ("Channels", []),
            ("Direct Messages", []),
        ]
        assert now.order[1] == mine.id
        for bad in (
            SidebarCategoryWithChannels(display_name="x", channel_ids=["nowhere"]),
            SidebarCategoryWithChannels(display_name="x", type="favorites"),
            SidebarCategoryWithChannels(),
        ):
            with pytest.raises(ValidationError):
                await api.create_channel_sidebar_category(ada, team, bad)
        with pytest.raises(ValidationError):
            await api.update_channel_sidebar_categories(bob, team, [mine])


async def test_several_first_looks_make_one_sidebar() -> None:
    """Whoever looks first at the same time sees the same three categories."""
    async with open_world() as world, world.client() as api:
        ada, team = world.seed.users["ada"].id, world.seed.team.id
        async with anyio.create_task_group() as tasks:
            for _ in range(5):
                tasks.start_soon(api.get_channel_sidebar_categories, ada, team)
        sidebar = await api.get_channel_sidebar_categories(ada, team)
        assert [entry.type for entry in sidebar.categories] == ["favorites", "channels", "direct_messages"]
        assert await world.app.store.sidebar.count() == 3  # none is hidden either


async def test_the_town_square_stays_and_channels_are_counted() -> None:
    """The default channel cannot be archived; stats count pinned posts; a search looks into the purpose too."""
    async with open_world() as world, world.client() as api:
        channel, ada, team = world.seed.channel.id, world.seed.users["ada"].id, world.seed.team.id
        with pytest.raises(ValidationError):
            await api.delete_channel(channel)
        await api.create_post(Post(user_id=ada, channel_id=channel, message="x", is_pinned=True))
        stats = await api.get_channel_stats(channel)
        assert (stats.member_count, stats.pinnedpost_count, stats.guest_count) == (3, 1, 0)
        await api.create_channel(Channel(team_id=team, name="tea", display_name="Tea", purpose="Breaks and biscuits"))
        assert [found.name for found in await api.search_channels(team, "biscuit")] == ["tea"]
