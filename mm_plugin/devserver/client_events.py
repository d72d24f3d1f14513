"""The server's own events as clients see them: names, data, and who may see each.

Job:    say what has happened to posts, reactions, members and users in Mattermost's form, for ``clients`` to send.
Layer:  devserver, over ``clients`` and the store.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from mm_plugin.devserver.clients import Audience
from mm_plugin.devserver.json_forms import json_of
from mm_plugin.messages.helpers import now_ms
from mm_plugin.messages.posts import Post

if TYPE_CHECKING:
    from mm_plugin.devserver.clients import Clients
    from mm_plugin.devserver.store import Store
    from mm_plugin.messages.channels import Channel
    from mm_plugin.messages.posts import Reaction
    from mm_plugin.messages.users import Status

__all__ = ("ClientEvents",)


class ClientEvents:
    """What clients are told of.

    Args:
        clients: Who is connected.
        store: What an event tells beside what has happened.
    """

    def __init__(self, clients: Clients, store: Store) -> None:
        self._clients = clients
        self._store = store

    async def posted(self, post: Post) -> None:
        """Tell a channel's members of a new post."""
        if self._clients.is_empty:
            return
        channel = await self._store.channels.get(post.channel_id)
        user = await self._store.users.get(post.user_id)
        data = {
            "channel_type": "" if channel is None else json_of(channel)["type"],
            "channel_display_name": "" if channel is None else channel.display_name,
            "channel_name": "" if channel is None else channel.name,
            "sender_name": "" if user is None else f"@{user.username}",
            "team_id": "" if channel is None else channel.team_id,
            "set_online": True,
            "post": _text_of(post),
        }
        await self._clients.publish("posted", data, Audience(channel_id=post.channel_id))

    async def post_changed(self, event: str, post: Post) -> None:
        """Tell a channel's members of a changed post (``post_edited``) or of one that is gone (``post_deleted``)."""
        await self._clients.publish(event, {"post": _text_of(post)}, Audience(channel_id=post.channel_id))

    async def post_shown(self, event: str, user_id: str, post: Post) -> None:
        """Tell a user of a post that nobody else sees (``ephemeral_message``), or that it has changed."""
        audience = Audience(user_id=user_id, channel_id=post.channel_id)
        await self._clients.publish(event, {"post": _text_of(post)}, audience)

    async def post_hidden(self, user_id: str, post_id: str) -> None:
        """Tell a user that a post which nobody else saw is gone."""
        now = now_ms()
        post = Post(id=post_id, user_id=user_id, type="system_ephemeral", delete_at=now, update_at=now)
        await self._clients.publish("post_deleted", {"post": _text_of(post)}, Audience(user_id=user_id))

    async def reacted(self, event: str, reaction: Reaction, channel_id: str) -> None:
        """Tell a channel's members of a reaction (``reaction_added``, ``reaction_removed``)."""
        data = {"reaction": json.dumps(json_of(reaction))}
        await self._clients.publish(event, data, Audience(channel_id=channel_id))

    async def typing(self, user_id: str, channel_id: str, parent_id: str) -> None:
        """Tell a channel's other members that a user types."""
        audience = Audience(channel_id=channel_id, omit_users=frozenset({user_id}))
        await self._clients.publish("typing", {"user_id": user_id, "parent_id": parent_id}, audience)

    async def user_added(self, user_id: str, channel: Channel) -> None:
        """Tell a channel's members, the new one among them, who has joined."""
        data = {"user_id": user_id, "team_id": channel.team_id}
        await self._clients.publish("user_added", data, Audience(channel_id=channel.id))

    async def user_removed(self, user_id: str, channel_id: str) -> None:
        """Tell a channel's members who has left; who has left is told apart, being no member any more."""
        members = Audience(channel_id=channel_id)
        await self._clients.publish("user_removed", {"user_id": user_id, "remover_id": ""}, members)
        gone = Audience(user_id=user_id)
        await self._clients.publish("user_removed", {"channel_id": channel_id, "remover_id": ""}, gone)

    async def status_changed(self, status: Status) -> None:
        """Tell a user's own clients of their status."""
        data = {"user_id": status.user_id, "status": status.status}
        await self._clients.publish("status_change", data, Audience(user_id=status.user_id))


def _text_of(post: Post) -> str:
    """Return a post as it stands in events: JSON inside of JSON."""
    return json.dumps(json_of(post))
