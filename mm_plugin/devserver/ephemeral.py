"""Posts that one user sees: kept in memory, a bounded number for each user, gone with the server.

Job:    be where Mattermost's web client would show what only its user sees.
Layer:  devserver, over the store.
"""

from __future__ import annotations

import logging
from collections import defaultdict, deque
from functools import partial
from typing import TYPE_CHECKING

from mm_plugin import limits
from mm_plugin.messages.helpers import new_id, now_ms
from mm_plugin.messages.posts import Post

if TYPE_CHECKING:
    from mm_plugin.devserver.client_events import ClientEvents
    from mm_plugin.devserver.store import Store

__all__ = ("EPHEMERAL", "EphemeralPosts")

logger = logging.getLogger("mm_plugin.devserver")

#: The type of such a post.
EPHEMERAL = "system_ephemeral"


class EphemeralPosts:
    """What is shown to each user alone, the newest ``limits.devserver_ephemeral_posts``."""

    def __init__(self, store: Store, client_events: ClientEvents) -> None:
        self._store = store
        self._client_events = client_events
        self._posts: defaultdict[str, deque[Post]] = defaultdict(
            partial(deque[Post], maxlen=limits.devserver_ephemeral_posts)
        )

    async def show(self, user_id: str, draft: Post, *, event: str = "ephemeral_message") -> Post:
        """Show a post to one user, in place of the one of the same id where there is one; the log says so too.

        Args:
            user_id: Who sees it.
            draft: The post.
            event: What the user's clients hear of it as; ``post_edited`` for a changed one.

        Returns:
            The post with id, type and times.
        """
        post = Post()
        post.CopyFrom(draft)
        post.id, post.type = post.id or new_id(), EPHEMERAL
        post.update_at = now_ms()
        post.create_at = post.create_at or post.update_at
        user = await self._store.users.get(user_id)
        logger.info("only %s sees: %s", user_id if user is None else user.username, post.message)
        if user is not None:
            self._drop(user_id, post.id)
            self._posts[user_id].append(post)
            await self._client_events.post_shown(event, user_id, post)
        return post

    async def remove(self, user_id: str, post_id: str) -> None:
        """Take a post away from a user; one that is not there is no error."""
        self._drop(user_id, post_id)
        await self._client_events.post_hidden(user_id, post_id)

    def _drop(self, user_id: str, post_id: str) -> None:
        for post in [post for post in self._posts.get(user_id, ()) if post.id == post_id]:
            self._posts[user_id].remove(post)

    def seen_by(self, user_id: str, channel_id: str) -> list[Post]:
        """Return what a user alone sees in a channel, in the order in which it was shown."""
        return [post for post in self._posts.get(user_id, ()) if post.channel_id == channel_id]
