"""Who has read what: unread posts and mentions of each channel's members.

Job:    count a new post for those whom it names, and as read by who wrote it; count what a user has not read.
Layer:  devserver, over the store.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mm_plugin.messages.channels import ChannelType
from mm_plugin.messages.helpers import now_ms
from mm_plugin.messages.teams import TeamUnread

if TYPE_CHECKING:
    from mm_plugin.devserver.store import Store
    from mm_plugin.messages.channels import Channel, ChannelMember
    from mm_plugin.messages.posts import Post
    from mm_plugin.messages.users import User

__all__ = ("count_new_post", "mark_read", "mark_viewed", "unread_of_teams")

_MENTION = re.compile(r"(?<![\w@])@([a-z0-9._-]*[a-z0-9_-])", re.IGNORECASE)
_EVERYBODY = {"all", "channel", "here"}
_PERSONAL = {ChannelType.CHANNEL_TYPE_DIRECT, ChannelType.CHANNEL_TYPE_GROUP}


async def count_new_post(store: Store, post: Post) -> None:
    """Count a post that was just kept: as read by its author, as a mention for those it names."""
    channel = await store.channels.get(post.channel_id)
    if channel is None:
        return
    await mark_viewed(store, channel, post.user_id)
    named = {name.lower() for name in _MENTION.findall(post.message)}
    personal = channel.type in _PERSONAL
    if not named and not personal:
        return

    def mention(member: ChannelMember) -> None:
        member.mention_count += 1
        member.mention_count_root += 0 if post.root_id else 1

    for user in await store.users.find("id IN (SELECT user_id FROM channel_members WHERE channel_id = ?)", channel.id):
        if user.id != post.user_id and (personal or named & _names_of(user)):
            await store.channel_members.change(mention, channel.id, user.id)


def mark_read(member: ChannelMember, channel: Channel) -> None:
    """Write into a membership that everything in its channel was read."""
    member.msg_count, member.msg_count_root = channel.total_msg_count, channel.total_msg_count_root
    member.mention_count = member.mention_count_root = member.urgent_mention_count = 0
    member.last_viewed_at = max(channel.last_post_at, now_ms())


async def mark_viewed(store: Store, channel: Channel, user_id: str) -> None:
    """Count a channel as read by a user; one who is no member has nothing to read."""
    await store.channel_members.change(lambda member: mark_read(member, channel), channel.id, user_id)


async def unread_of_teams(store: Store, user_id: str) -> list[TeamUnread]:
    """Return what a user has not read, by team; direct messages belong to none."""
    teams: dict[str, TeamUnread] = {}
    of_user = "id IN (SELECT channel_id FROM channel_members WHERE user_id = ?) AND team_id <> '' AND delete_at = 0"
    for channel in await store.channels.find(of_user, user_id):
        member = await store.channel_members.get(channel.id, user_id)
        in_team = await store.team_members.get(channel.team_id, user_id)
        if member is None or in_team is None or in_team.delete_at:
            continue
        unread = teams.setdefault(channel.team_id, TeamUnread(team_id=channel.team_id))
        unread.mention_count += member.mention_count
        unread.mention_count_root += member.mention_count_root
        if member.notify_props.get("mark_unread") != "mention":
            unread.msg_count += max(0, channel.total_msg_count - member.msg_count)
            unread.msg_count_root += max(0, channel.total_msg_count_root - member.msg_count_root)
    return list(teams.values())


def _names_of(user: User) -> set[str]:
    keys = user.notify_props.get("mention_keys", "").lower().replace("@", "").split(",")
    everybody = set[str]() if user.notify_props.get("channel") == "false" else _EVERYBODY
    return {user.username, *(key.strip() for key in keys if key.strip())} | everybody
