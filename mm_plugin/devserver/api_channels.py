"""Channels and their members as plugins and the REST door see them."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from mm_plugin.devserver.api_base import APIBase, needed, paging
from mm_plugin.devserver.errors import invalid, missing
from mm_plugin.devserver.group_rules import CHANNEL, check_may_join
from mm_plugin.devserver.reading import mark_read
from mm_plugin.hooks.names import HookName
from mm_plugin.messages.channels import Channel, ChannelMember, ChannelStats, ChannelType
from mm_plugin.messages.helpers import new_id, now_ms

if TYPE_CHECKING:
    from mm_plugin.devserver.store import Store

__all__ = ("ChannelsHandler", "has_left")

_DEFAULT_CHANNEL = "town-square"
_OF_USER = "id IN (SELECT channel_id FROM channel_members WHERE user_id = ?)"


class ChannelsHandler(APIBase):
    """Channels."""

    async def create_channel(self, channel: Channel | None) -> Channel:
        """Add a channel, with its creator as the first member."""
        draft = needed(channel, "channel")
        if not draft.name or not draft.display_name or not draft.team_id:
            raise invalid(
                "model.channel.is_valid.name.app_error",
                "A channel has team_id, name and display_name.",
                "Channel.IsValid",
            )
        if await self._store.teams.get(draft.team_id) is None:
            raise missing("app.team.get.find.app_error", "The channel's team", "CreateChannel")
        new = Channel()
        new.CopyFrom(draft)
        new.name, new.type = draft.name.lower(), draft.type or ChannelType.CHANNEL_TYPE_OPEN
        return await self._insert(new, [draft.creator_id] if draft.creator_id else [])

    async def update_channel(self, channel: Channel | None) -> Channel:
        """Change a channel's texts and props, and whether it is for groups only."""
        changed = needed(channel, "channel")

        def change(kept: Channel) -> None:
            kept.display_name, kept.header, kept.purpose = changed.display_name, changed.header, changed.purpose
            kept.props.CopyFrom(changed.props)
            kept.group_constrained = changed.group_constrained
            kept.update_at = now_ms()

        return _found(await self._store.channels.change(change, changed.id))

    async def delete_channel(self, channel_id: str) -> None:
        """Archive a channel; the town square of a team stays."""
        if (await self.get_channel(channel_id)).name == _DEFAULT_CHANNEL:
            raise invalid(
                "api.channel.delete_channel.cannot.app_error",
                f"The default channel {_DEFAULT_CHANNEL} cannot be archived.",
                "DeleteChannel",
            )

        def change(channel: Channel) -> None:
            channel.delete_at = channel.update_at = now_ms()

        _found(await self._store.channels.change(change, channel_id))

    async def get_channel(self, channel_id: str) -> Channel:
        """Return a channel."""
        return _found(await self._store.channels.get(channel_id))

    async def get_channel_by_name(self, team_id: str, name: str, *, include_deleted: bool = False) -> Channel:
        """Return a channel by the name in its URL."""
        found = await self._store.channels.find("team_id = ? AND name = ?", team_id, name.lower())
        if not found or (found[0].delete_at and not include_deleted):
            raise missing("app.channel.get_by_name.missing.app_error", f"The channel {name!r}", "GetChannelByName")
        return found[0]

    async def get_channel_by_name_for_team_name(
        self, team_name: str, channel_name: str, *, include_deleted: bool = False
    ) -> Channel:
        """Return a channel by the names in its URL."""
        teams = await self._store.teams.find("name = ?", team_name.lower())
        if not teams:
            raise missing("app.team.get_by_name.missing.app_error", f"The team {team_name!r}", "GetChannelByName")
        return await self.get_channel_by_name(teams[0].id, channel_name, include_deleted=include_deleted)

    async def get_public_channels_for_team(self, team_id: str, *, page: int = 0, per_page: int = 60) -> list[Channel]:
        """Return a team's open channels."""
        where = "team_id = ? AND type = ? AND delete_at = 0"
        return await self._store.channels.find(
            where, team_id, ChannelType.CHANNEL_TYPE_OPEN, order="name", **paging(page, per_page)
        )

    async def get_channels_for_team_for_user(
        self, team_id: str, user_id: str, *, include_deleted: bool = False
    ) -> list[Channel]:
        """Return a user's channels in a team, direct ones among them."""
        where = f"team_id IN ('', ?) AND {_OF_USER}" + ("" if include_deleted else " AND delete_at = 0")
        return await self._store.channels.find(where, team_id, user_id, order="name")

    async def search_channels(self, team_id: str, term: str) -> list[Channel]:
        """Return a team's open channels with a term in name, display name or purpose."""
        where = "team_id = ? AND type = ? AND delete_at = 0"
        channels = await self._store.channels.find(where, team_id, ChannelType.CHANNEL_TYPE_OPEN, order="name")
        wanted = term.lower()
        return [
            channel
            for channel in channels
            if any(wanted in text.lower() for text in (channel.name, channel.display_name, channel.purpose))
        ]

    async def get_channel_stats(self, channel_id: str) -> ChannelStats:
        """Count a channel's members, guests, pinned posts and files."""
        await self.get_channel(channel_id)
        members = await self._store.channel_members.find("channel_id = ?", channel_id)
        posts = await self._store.posts.find("channel_id = ? AND delete_at = 0", channel_id)
        return ChannelStats(
            channel_id=channel_id,
            member_count=len(members),
            guest_count=sum(member.scheme_guest for member in members),
            pinnedpost_count=sum(post.is_pinned for post in posts),
            files_count=sum(len(post.file_ids) for post in posts),
        )

    async def get_direct_channel(self, user_id_1: str, user_id_2: str) -> Channel:
        """Return the channel of two users, made where they have none."""
        name = "__".join(sorted((user_id_1, user_id_2)))
        members = list(dict.fromkeys((user_id_1, user_id_2)))
        return await self._shared_by(name, members, ChannelType.CHANNEL_TYPE_DIRECT)

    async def get_group_channel(self, user_ids: list[str]) -> Channel:
        """Return the channel of three to eight users, made where they have none."""
        members = sorted(set(user_ids))
        if not 3 <= len(members) <= 8:
            raise invalid(
                "api.channel.create_group.bad_size.app_error", "A group has 3 to 8 members.", "CreateGroupChannel"
            )
        name = hashlib.sha1("".join(members).encode(), usedforsecurity=False).hexdigest()
        return await self._shared_by(name, members, ChannelType.CHANNEL_TYPE_GROUP)

    # -- members ----------------------------------------------------------------------------------------------

    async def add_channel_member(self, channel_id: str, user_id: str) -> ChannelMember:
        """Let a user join a channel; joining twice changes nothing."""
        self._app.events.check_room()
        channel = await self.get_channel(channel_id)
        await self._app.accounts.get(user_id)
        constrained = channel.group_constrained
        await check_may_join(self._store, CHANNEL, channel_id, user_id, group_constrained=constrained)
        member = _new_member(channel, user_id)
        if not await self._store.channel_members.insert(member):
            return await self.get_channel_member(channel_id, user_id)
        self._app.events.tell(HookName.UserHasJoinedChannel, channel_member=member)
        await self._app.client_events.user_added(user_id, channel)
        return member

    async def add_user_to_channel(
        self,
        channel_id: str,
        user_id: str,
        as_user_id: str = "",  # noqa: ARG002 - nobody is told who it was
    ) -> ChannelMember:
        """Let a user join a channel."""
        return await self.add_channel_member(channel_id, user_id)

    async def delete_channel_member(self, channel_id: str, user_id: str) -> None:
        """Let a user leave a channel."""
        self._app.events.check_room()
        member = await self.get_channel_member(channel_id, user_id)
        await self._store.channel_members.delete("channel_id = ? AND user_id = ?", channel_id, user_id)
        await self._store.put_document(_left_name(channel_id, user_id), {})
        self._app.events.tell(HookName.UserHasLeftChannel, channel_member=member)
        await self._app.client_events.user_removed(user_id, channel_id)

    async def get_channel_member(self, channel_id: str, user_id: str) -> ChannelMember:
        """Return a membership."""
        member = await self._store.channel_members.get(channel_id, user_id)
        if member is None:
            raise missing("app.channel.get_member.missing.app_error", "The channel member", "GetChannelMember")
        return member

    async def get_channel_members(self, channel_id: str, *, page: int = 0, per_page: int = 60) -> list[ChannelMember]:
        """Return a channel's memberships."""
        return await self._store.channel_members.find("channel_id = ?", channel_id, **paging(page, per_page))

    async def get_channel_members_by_ids(self, channel_id: str, user_ids: list[str]) -> list[ChannelMember]:
        """Return those memberships that there are."""
        found = [await self._store.channel_members.get(channel_id, user_id) for user_id in user_ids]
        return [member for member in found if member is not None]

    async def _shared_by(self, name: str, user_ids: list[str], kind: ChannelType.ValueType) -> Channel:
        async with self._store.turn:
            found = await self._store.channels.find("team_id = '' AND name = ?", name)
            if found:
                return found[0]
            users = [await self._app.accounts.get(user_id) for user_id in user_ids]
            title = ", ".join(user.username for user in users)
            return await self._insert(Channel(name=name, display_name=title, type=kind), user_ids)

    async def _insert(self, channel: Channel, user_ids: list[str]) -> Channel:
        self._app.events.check_room()
        channel.id = new_id()
        channel.create_at = channel.update_at = now_ms()
        if not await self._store.channels.insert(channel):
            raise invalid(
                "store.sql_channel.save_channel.exists.app_error",
                f"A channel named {channel.name} exists in that team.",
                "CreateChannel",
            )
        for user_id in user_ids:
            await self._store.channel_members.insert(_new_member(channel, user_id))
        self._app.events.tell(HookName.ChannelHasBeenCreated, channel=channel)
        return channel


def _left_name(channel_id: str, user_id: str) -> str:
    return f"left/{channel_id}/{user_id}"


async def has_left(store: Store, channel_id: str, user_id: str) -> bool:
    """Tell whether a user was in a channel once, and left or was removed."""
    return await store.get_document(_left_name(channel_id, user_id)) is not None


def _new_member(channel: Channel, user_id: str) -> ChannelMember:
    member = ChannelMember(
        channel_id=channel.id, user_id=user_id, roles="channel_user", scheme_user=True, last_update_at=now_ms()
    )
    mark_read(member, channel)
    return member


def _found(channel: Channel | None) -> Channel:
    if channel is None:
        raise missing("app.channel.get.existing.app_error", "The channel", "GetChannel")
    return channel
