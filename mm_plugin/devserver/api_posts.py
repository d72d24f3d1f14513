"""Posts, threads and reactions as plugins and the REST door see them."""

from __future__ import annotations

from mm_plugin.devserver.api_base import APIBase, needed, paging
from mm_plugin.devserver.errors import invalid
from mm_plugin.hooks.names import HookName
from mm_plugin.messages.helpers import now_ms
from mm_plugin.messages.posts import Post, PostList, Reaction

__all__ = ("PostsHandler", "post_list")

_NEWEST_FIRST = "create_at DESC, rowid DESC"
_IN_CHANNEL = "channel_id = ? AND delete_at = 0"
# A post's place is its time and, within one millisecond, the order of arrival.
_PLACE = "(SELECT create_at, rowid FROM posts WHERE id = ?)"


def post_list(posts: list[Post]) -> PostList:
    """Return posts as the server lists them: ids in order, and the posts by id."""
    return PostList(order=[post.id for post in posts], posts={post.id: post for post in posts})


class PostsHandler(APIBase):
    """Posts."""

    async def create_post(self, post: Post | None) -> Post:
        """Post; the plugins are asked and told, the calling one too."""
        return await self._app.posting.create(needed(post, "post"))

    async def update_post(self, post: Post | None) -> Post:
        """Change a post."""
        return await self._app.posting.update(needed(post, "post"))

    async def delete_post(self, post_id: str) -> None:
        """Delete a post."""
        await self._app.posting.delete(post_id)

    async def get_post(self, post_id: str) -> Post:
        """Return a post."""
        return await self._app.posting.get(post_id)

    async def get_post_thread(self, post_id: str) -> PostList:
        """Return the thread that a post belongs to, its first post first."""
        post = await self.get_post(post_id)
        root_id = post.root_id or post.id
        return post_list(
            await self._store.posts.find(
                "(id = ? OR root_id = ?) AND delete_at = 0", root_id, root_id, order="create_at"
            )
        )

    async def get_posts_for_channel(self, channel_id: str, *, page: int = 0, per_page: int = 60) -> PostList:
        """Return a channel's posts, the newest first."""
        return post_list(
            await self._store.posts.find(_IN_CHANNEL, channel_id, order=_NEWEST_FIRST, **paging(page, per_page))
        )

    async def get_posts_since(self, channel_id: str, time: int) -> PostList:
        """Return what was posted, changed or deleted after a time in milliseconds; deleted posts are without words."""
        posts = await self._store.posts.find("channel_id = ? AND update_at > ?", channel_id, time, order=_NEWEST_FIRST)
        for post in posts:
            if post.delete_at:
                post.message = ""
                post.ClearField("props")
                post.ClearField("file_ids")
        return post_list(posts)

    async def get_posts_after(self, channel_id: str, post_id: str, *, page: int = 0, per_page: int = 60) -> PostList:
        """Return a page of the posts that follow one, the newest first."""
        where = f"{_IN_CHANNEL} AND (create_at, rowid) > {_PLACE}"
        window = paging(page, per_page)
        posts = await self._store.posts.find(where, channel_id, post_id, order="create_at, rowid", **window)
        return post_list(posts[::-1])

    async def get_posts_before(self, channel_id: str, post_id: str, *, page: int = 0, per_page: int = 60) -> PostList:
        """Return a page of the posts before one, the newest first."""
        where = f"{_IN_CHANNEL} AND (create_at, rowid) < {_PLACE}"
        window = paging(page, per_page)
        return post_list(await self._store.posts.find(where, channel_id, post_id, order=_NEWEST_FIRST, **window))

    # -- for one user only ------------------------------------------------------------------------------------

    async def send_ephemeral_post(self, user_id: str, post: Post | None) -> Post:
        """Show a post to one user: in their view of the channel, and in the server's log."""
        return await self._app.ephemeral.show(user_id, needed(post, "post"))

    async def update_ephemeral_post(self, user_id: str, post: Post | None) -> Post:
        """Show a changed post to one user."""
        return await self._app.ephemeral.show(user_id, needed(post, "post"), event="post_edited")

    async def delete_ephemeral_post(self, user_id: str, post_id: str) -> None:
        """Take a post away from one user's screen."""
        await self._app.ephemeral.remove(user_id, post_id)

    # -- reactions --------------------------------------------------------------------------------------------

    async def add_reaction(self, reaction: Reaction | None) -> Reaction:
        """Add a reaction; adding it twice changes nothing."""
        self._app.events.check_room()
        draft = needed(reaction, "reaction")
        post = await self.get_post(draft.post_id)
        if not draft.emoji_name:
            raise invalid("model.reaction.is_valid.emoji_name.app_error", "A reaction has an emoji_name.")
        await self._app.accounts.get(draft.user_id)
        new = Reaction()
        new.CopyFrom(draft)
        new.create_at = new.update_at = now_ms()
        new.channel_id = post.channel_id
        channel = await self._store.channels.get(post.channel_id)
        if channel is not None and channel.delete_at:
            raise invalid("api.reaction.save.archived_channel.app_error", "The channel is archived.", "AddReaction")
        if await self._store.reactions.insert(new):
            await self._note_reactions(post.id)
            self._app.events.tell(HookName.ReactionHasBeenAdded, reaction=new)
            await self._app.client_events.reacted("reaction_added", new, post.channel_id)
        return new

    async def remove_reaction(self, reaction: Reaction | None) -> None:
        """Remove a reaction; one that is not there is no error."""
        self._app.events.check_room()
        old = needed(reaction, "reaction")
        post = await self.get_post(old.post_id)
        where = "post_id = ? AND user_id = ? AND emoji_name = ?"
        if await self._store.reactions.delete(where, old.post_id, old.user_id, old.emoji_name):
            await self._note_reactions(old.post_id)
            self._app.events.tell(HookName.ReactionHasBeenRemoved, reaction=old)
            await self._app.client_events.reacted("reaction_removed", old, post.channel_id)

    async def get_reactions(self, post_id: str) -> list[Reaction]:
        """Return a post's reactions."""
        return await self._store.reactions.find("post_id = ?", post_id)

    async def _note_reactions(self, post_id: str) -> None:
        has_reactions = bool(await self._store.reactions.count("post_id = ?", post_id))

        def change(post: Post) -> None:
            post.has_reactions = has_reactions

        await self._store.posts.change(change, post_id)
