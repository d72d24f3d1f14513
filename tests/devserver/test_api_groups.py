"""Groups, their members and the teams and channels that follow them, through the client."""

from __future__ import annotations

import pytest

from mm_plugin.exceptions import NotFoundError, PermissionDeniedError, ValidationError
from mm_plugin.messages.bots import Bot
from mm_plugin.messages.channels import Channel
from mm_plugin.messages.groups import CreateDefaultMembershipParams, Group, GroupSearchOpts, GroupSyncable
from mm_plugin.messages.teams import Team
from tests.devserver.worlds import open_world


async def test_groups_are_made_found_archived_and_restored() -> None:
    """A group is found by id, name and remote id, and lists leave out what is archived."""
    async with open_world() as world, world.client() as api:
        group = await api.create_group(
            Group(name="devs", display_name="Developers", source="plugin_test", remote_id="r1", allow_reference=True)
        )
        other = await api.create_group(Group(display_name="Quiet", source="custom"))
        assert await api.get_group(group.id) == group
        assert (await api.get_group_by_name("devs")).id == group.id
        assert (await api.get_group_by_remote_id("r1", "plugin_test")).id == group.id
        assert [found.id for found in await api.get_groups_by_source("custom")] == [other.id]
        assert [found.id for found in await api.get_groups()] == [group.id, other.id]
        assert [found.id for found in await api.get_groups(page=1, per_page=1)] == [other.id]
        for opts, expected in (
            (GroupSearchOpts(q="DEV"), [group.id]),
            (GroupSearchOpts(source="custom"), [other.id]),
            (GroupSearchOpts(filter_allow_reference="true"), [group.id]),
            (GroupSearchOpts(since=str(max(group.update_at, other.update_at))), []),
        ):
            assert [found.id for found in await api.get_groups(opts=opts)] == expected
        group.display_name, group.source = "Makers", "ldap"
        changed = await api.update_group(group)
        assert (changed.display_name, changed.source) == ("Makers", "plugin_test")
        assert (await api.delete_group(group.id)).delete_at > 0
        assert [found.id for found in await api.get_groups()] == [other.id]
        assert [found.id for found in await api.get_groups(opts=GroupSearchOpts(filter_archived=True))] == [group.id]
        for call in (api.delete_group(group.id), api.restore_group(other.id), api.get_group("x")):
            with pytest.raises(NotFoundError):
                await call
        for missing in (api.get_group_by_name("x"), api.get_group_by_remote_id("x", "ldap"), api.update_group(Group())):
            with pytest.raises(NotFoundError):
                await missing
        assert (await api.restore_group(group.id)).delete_at == 0


@pytest.mark.parametrize(
    "group",
    [
        Group(source="custom"),
        Group(display_name="x", source="nowhere"),
        Group(display_name="x", source="ldap"),
        Group(display_name="x", source="custom", name="No Name"),
        Group(display_name="x", source="custom", allow_reference=True),
        Group(display_name="x", source="custom", name="taken"),
        Group(display_name="x", source="custom", name="ada"),
        Group(display_name="x" * 129, source="custom"),
    ],
)
async def test_groups_that_cannot_be_are_refused(group: Group) -> None:
    """A group has a display name, a source, and a name that nobody else has."""
    async with open_world() as world, world.client() as api:
        await api.create_group(Group(name="taken", display_name="Taken", source="custom"))
        with pytest.raises(ValidationError):
            await api.create_group(group)
        with pytest.raises(ValidationError):
            await api.get_groups(opts=GroupSearchOpts(since="yesterday"))
        with pytest.raises(ValidationError):
            await api.get_groups(opts=GroupSearchOpts(filter_has_member=True))


async def test_members_come_and_go() -> None:
    """Members are added once or together, or not at all; archived groups take nobody; filters know groups."""
    async with open_world() as world, world.client() as api:
        users = world.seed.users
        ada, bob = users["ada"].id, users["bob"].id
        group = await api.create_group(Group(display_name="G", source="custom"))
        first = await api.upsert_group_member(group.id, ada)
        assert await api.upsert_group_member(group.id, ada) == first
        with pytest.raises(NotFoundError):
            await api.upsert_group_members(group.id, [bob, "nobody"])
        assert [user.username for user in await api.get_group_member_users(group.id)] == ["ada"]
        await api.upsert_group_members(group.id, [ada, bob])
        assert [user.username for user in await api.get_group_member_users(group.id, page=1, per_page=1)] == ["bob"]
        assert [found.id for found in await api.get_groups_for_user(bob)] == [group.id]
        assert [user.username for user in await api.get_users(in_group_id=group.id)] == ["ada", "bob"]
        assert [user.username for user in await api.search_users("a", not_in_group_id=group.id)] == ["admin"]
        assert (await api.delete_group_member(group.id, ada)).delete_at > 0
        assert [user.username for user in await api.get_group_member_users(group.id)] == ["bob"]
        await api.update_user_active(bob, False)
        assert await api.get_group_member_users(group.id) == []
        await api.delete_group(group.id)
        for call in (
            api.delete_group_member(group.id, ada),
            api.upsert_group_member(group.id, ada),
            api.upsert_group_member("none", ada),
        ):
            with pytest.raises(NotFoundError):
                await call
        assert await api.get_groups_for_user(bob) == []


async def test_links_of_groups() -> None:
    """A link to a channel links its team too; links are changed, listed and removed."""
    async with open_world() as world, world.client() as api:
        team, channel = world.seed.team.id, world.seed.channel.id
        group = await api.create_group(Group(display_name="G", source="custom"))
        link = await api.upsert_group_syncable(
            GroupSyncable(group_id=group.id, syncable_id=channel, syncable_type="Channel", auto_add=True)
        )
        assert [found.syncable_id for found in await api.get_group_syncables(group.id, "Team")] == [team]
        assert await api.get_group_syncable(group.id, channel, "Channel") == link
        link.scheme_admin = True
        assert (await api.update_group_syncable(link)).scheme_admin
        assert (await api.delete_group_syncable(group.id, channel, "Channel")).delete_at > 0
        assert await api.get_group_syncables(group.id, "Channel") == []
        for call in (
            api.get_group_syncable(group.id, channel, "Channel"),
            api.delete_group_syncable(group.id, channel, "Channel"),
            api.update_group_syncable(link),
        ):
            with pytest.raises(NotFoundError):
                await call
        for bad in (
            GroupSyncable(group_id="none", syncable_id=team, syncable_type="Team"),
            GroupSyncable(group_id=group.id, syncable_id="none", syncable_type="Team"),
            GroupSyncable(group_id=group.id, syncable_id="none", syncable_type="Channel"),
        ):
            with pytest.raises(NotFoundError):
                await api.upsert_group_syncable(bad)
        with pytest.raises(ValidationError):
            await api.get_group_syncables(group.id, "Planet")
        assert (await api.upsert_group_syncable(link)).delete_at == 0


async def test_memberships_follow_links() -> None:
    """Members of a group come into what takes them, once; who left comes back only where asked for."""
    async with open_world() as world, world.client() as api:
        ada = world.seed.users["ada"].id
        team = await api.create_team(Team(name="club", display_name="Club"))
        channel = await api.create_channel(Channel(team_id=team.id, name="den", display_name="Den"))
        group = await api.create_group(Group(display_name="G", source="custom"))
        await api.upsert_group_member(group.id, ada)
        link = GroupSyncable(group_id=group.id, syncable_id=channel.id, syncable_type="Channel", auto_add=True)
        await api.upsert_group_syncable(link)
        await api.create_default_syncable_memberships(CreateDefaultMembershipParams(since=1 << 50))
        assert await api.get_team_members(team.id) == []
        await api.create_default_syncable_memberships(CreateDefaultMembershipParams(scope_teams=True))
        assert [member.user_id for member in await api.get_team_members(team.id)] == [ada]
        assert await api.get_channel_members(channel.id) == []
        await api.create_default_syncable_memberships(CreateDefaultMembershipParams())
        assert [member.user_id for member in await api.get_channel_members(channel.id)] == [ada]
        await api.delete_channel_member(channel.id, ada)
        await api.create_default_syncable_memberships(CreateDefaultMembershipParams())
        assert await api.get_channel_members(channel.id) == []
        again = CreateDefaultMembershipParams(re_add_removed_members=True)
        await api.create_default_syncable_memberships(again)
        assert len(await api.get_channel_members(channel.id)) == 1
        await api.delete_team_member(team.id, ada)
        await api.create_default_syncable_memberships(CreateDefaultMembershipParams())
        assert await api.get_team_members(team.id) == []


async def test_what_is_for_groups_has_only_their_members() -> None:
    """A team and a channel for groups refuse others and lose them when asked to; bots stay."""
    async with open_world() as world, world.client() as api:
        users = world.seed.users
        ada, bob, team, channel = users["ada"].id, users["bob"].id, world.seed.team, world.seed.channel
        robot = await api.create_bot(Bot(username="robot"))
        await api.create_team_member(team.id, robot.user_id)
        group = await api.create_group(Group(display_name="G", source="custom"))
        await api.upsert_group_member(group.id, ada)
        await api.upsert_group_syncable(
            GroupSyncable(group_id=group.id, syncable_id=channel.id, syncable_type="Channel")
        )
        team.group_constrained = channel.group_constrained = True
        await api.update_team(team)
        await api.update_channel(channel)
        await api.delete_group_constrained_memberships()
        assert [member.user_id for member in await api.get_channel_members(channel.id)] == [ada]
        assert {member.user_id for member in await api.get_team_members(team.id)} == {ada, robot.user_id}
        with pytest.raises(PermissionDeniedError):
            await api.create_team_member(team.id, bob)
        with pytest.raises(PermissionDeniedError):
            await api.add_channel_member(channel.id, bob)
