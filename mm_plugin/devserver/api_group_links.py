"""Links between groups and teams or channels (syncables) as plugins see them, and the memberships they bring."""

from __future__ import annotations

from mm_plugin.devserver.api_base import needed
from mm_plugin.devserver.api_channels import ChannelsHandler, has_left
from mm_plugin.devserver.api_groups import GroupsHandler
from mm_plugin.devserver.api_teams import TeamsHandler
from mm_plugin.devserver.errors import invalid, missing
from mm_plugin.devserver.group_rules import CHANNEL, TEAM, members_by_groups
from mm_plugin.messages.groups import CreateDefaultMembershipParams, GroupSyncable
from mm_plugin.messages.helpers import now_ms

__all__ = ("GroupLinksHandler",)


class GroupLinksHandler(TeamsHandler, ChannelsHandler, GroupsHandler):
    """Links of groups."""

    async def get_group_syncable(self, group_id: str, syncable_id: str, syncable_type: str) -> GroupSyncable:
        """Return the link of a group to a team or channel."""
        link = await self._store.group_syncables.get(group_id, _checked(syncable_type), syncable_id)
        if link is None or link.delete_at:
            raise missing("app.group.no_rows", "The link of the group", "GetGroupSyncable")
        return link

    async def get_group_syncables(self, group_id: str, syncable_type: str) -> list[GroupSyncable]:
        """Return the links of a group to teams or to channels."""
        where = "group_id = ? AND syncable_type = ? AND delete_at = 0"
        return await self._store.group_syncables.find(where, group_id, _checked(syncable_type))

    async def upsert_group_syncable(self, group_syncable: GroupSyncable | None) -> GroupSyncable:
        """Link a group, or change its link; the team of a linked channel is linked too."""
        wanted = needed(group_syncable, "group_syncable")
        await self.get_group(wanted.group_id)
        if _checked(wanted.syncable_type) == TEAM:
            await self.get_team(wanted.syncable_id)
        else:
            team_id = (await self.get_channel(wanted.syncable_id)).team_id
            of_team = await self._store.group_syncables.get(wanted.group_id, TEAM, team_id) if team_id else None
            if team_id and (of_team is None or of_team.delete_at):
                await self.upsert_group_syncable(
                    GroupSyncable(
                        group_id=wanted.group_id, syncable_type=TEAM, syncable_id=team_id, auto_add=wanted.auto_add
                    )
                )
        kept = await self._store.group_syncables.get(wanted.group_id, wanted.syncable_type, wanted.syncable_id)
        return await self._keep_link(wanted, kept)

    async def update_group_syncable(self, group_syncable: GroupSyncable | None) -> GroupSyncable:
        """Change a link."""
        wanted = needed(group_syncable, "group_syncable")
        kept = await self.get_group_syncable(wanted.group_id, wanted.syncable_id, wanted.syncable_type)
        return await self._keep_link(wanted, kept)

    async def delete_group_syncable(self, group_id: str, syncable_id: str, syncable_type: str) -> GroupSyncable:
        """Remove a link; who came in by it stays until ``delete_group_constrained_memberships``."""
        link = await self.get_group_syncable(group_id, syncable_id, syncable_type)
        link.delete_at = link.update_at = now_ms()
        await self._store.group_syncables.put(link)
        return link

    async def _keep_link(self, wanted: GroupSyncable, kept: GroupSyncable | None) -> GroupSyncable:
        new = GroupSyncable()
        new.CopyFrom(wanted)
        new.update_at = now_ms()
        new.create_at = kept.create_at if kept else new.update_at
        new.delete_at = 0
        await self._store.group_syncables.put(new)
        return new

    # -- memberships ------------------------------------------------------------------------------------------

    async def create_default_syncable_memberships(self, params: CreateDefaultMembershipParams | None) -> None:
        """Let the members of groups into the teams and channels that take them by themselves.

        Where neither teams nor channels are asked for, both are meant. Who has left is not let in again unless asked.
        """
        wanted = params or CreateDefaultMembershipParams()
        both = wanted.scope_teams == wanted.scope_channels
        links = await self._store.group_syncables.find("delete_at = 0", order="syncable_type DESC, rowid")
        for link in links:
            scope = wanted.scope_teams if link.syncable_type == TEAM else wanted.scope_channels
            group = await self._store.groups.get(link.group_id)
            if not link.auto_add or group is None or group.delete_at or not (scope or both):
                continue
            for member in await self._store.group_members.find("group_id = ? AND delete_at = 0", group.id):
                if max(member.create_at, link.update_at) >= wanted.since:
                    await self._let_in(link, member.user_id, again=wanted.re_add_removed_members)

    async def _let_in(self, link: GroupSyncable, user_id: str, *, again: bool) -> None:
        of_team = link.syncable_type == TEAM
        team_id = link.syncable_id if of_team else (await self.get_channel(link.syncable_id)).team_id
        if team_id:
            kept = await self._store.team_members.get(team_id, user_id)
            if kept is not None and kept.delete_at and not again:
                return
            await self.create_team_member(team_id, user_id)
        if link.syncable_type == CHANNEL and (again or not await has_left(self._store, link.syncable_id, user_id)):
            await self.add_channel_member(link.syncable_id, user_id)

    async def delete_group_constrained_memberships(self) -> None:
        """Take those out of teams and channels for groups only who are in none of their groups; bots stay."""
        bots = {user.id for user in await self._store.users.find() if user.is_bot}
        for channel in await self._store.channels.find("delete_at = 0"):
            if channel.group_constrained:
                allowed = bots | await members_by_groups(self._store, CHANNEL, channel.id)
                for place in await self._store.channel_members.find("channel_id = ?", channel.id):
                    if place.user_id not in allowed:
                        await self.delete_channel_member(channel.id, place.user_id)
        for team in await self.get_teams():
            if team.group_constrained:
                allowed = bots | await members_by_groups(self._store, TEAM, team.id)
                for member in await self._store.team_members.find("team_id = ? AND delete_at = 0", team.id):
                    if member.user_id not in allowed:
                        await self.delete_team_member(team.id, member.user_id)


def _checked(syncable_type: str) -> str:
    if syncable_type not in {TEAM, CHANNEL}:
        text = f"syncable_type is {TEAM} or {CHANNEL}, not {syncable_type!r}."
        raise invalid("model.group_syncable.syncable_type.app_error", text, "GroupSyncable.IsValid")
    return syncable_type
