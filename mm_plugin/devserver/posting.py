"""What happens to a post: plugins are asked, it is kept, plugins are told.

Job:    Mattermost's order of things for new, edited and deleted posts, the same for people and for plugins.
Layer:  devserver, over the store and the host.
Errors: the server's own; a rejection is HTTP 400 with the plugin's reason, as on the server.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import anyio

from mm_plugin import limits
from mm_plugin.devserver.errors import invalid, missing
from mm_plugin.devserver.filing import attach_files
from mm_plugin.devserver.reading import count_new_post
from mm_plugin.hooks.names import HookName
from mm_plugin.host.hook_client import HookContext
from mm_plugin.messages.helpers import new_id, now_ms
from mm_plugin.messages.posts import Post

if TYPE_CHECKING:
    from mm_plugin._proto.hooks_message_pb2 import MessageWillBeUpdatedResponse
    from mm_plugin.devserver.client_events import ClientEvents
    from mm_plugin.devserver.events import Events
    from mm_plugin.devserver.store import Store
    from mm_plugin.host.host import Host
    from mm_plugin.messages.channels import Channel

__all__ = ("Posting",)


class Posting:
    """The way of a post into a channel, and out of it."""

    def __init__(self, store: Store, host: Host, events: Events, client_events: ClientEvents) -> None:
        self._store = store
        self._host = host
        self._events = events
        self._client_events = client_events

    async def get(self, post_id: str) -> Post:
        """Return a post.

        Raises:
            NotFoundError: There is none, or it was deleted.
        """
        post = await self._store.posts.get(post_id)
        if post is None or post.delete_at:
            raise missing("app.post.get.app_error", "The post", "GetPost")
        return post

    async def create(self, draft: Post, *, context: HookContext | None = None) -> Post:
        """Ask the plugins about a post (MessageWillBePosted), keep it, and tell them (MessageHasBeenPosted).

        Cancellation before it is kept leaves nothing behind.

        Args:
            draft: user_id and channel_id must be there; id and times are filled in once the plugins have let it pass.
            context: For whom the plugins are asked.

        Raises:
            ValidationError: A field is wrong, or a plugin rejected it.
            NotFoundError: There is no such user or channel.
            RateLimitedError: The plugins are too far behind.
        """
        self._events.check_room()
        await self._check(draft)
        post = Post()
        post.CopyFrom(draft)
        post.ClearField("id")
        context = context or HookContext(user_id=post.user_id)
        decision = await self._host.message_will_be_posted(post, context=context)
        if decision.post is None:
            text = decision.rejection if decision.dismissed else f"Post rejected by plugin. {decision.rejection}"
            raise invalid(text, text, "createPost")
        post.CopyFrom(decision.post)
        await self._check(post)  # a plugin may change everything, also into what cannot be
        post.id = new_id()
        post.create_at = post.update_at = now_ms()
        post.edit_at = post.delete_at = 0
        with anyio.CancelScope(shield=True):  # all of it or nothing; waits for the state's file only
            await self._store.posts.insert(post)
            await self._store.channels.change(lambda channel: _count(channel, post), post.channel_id)
            if post.root_id:
                await self._store.posts.change(lambda root: _count_reply(root, post), post.root_id)
            await count_new_post(self._store, post)
            await attach_files(self._store, post)
            await self._client_events.posted(post)
        self._events.tell(HookName.MessageHasBeenPosted, context=context, post=post)
        return post

    async def update(self, changed: Post, *, context: HookContext | None = None) -> Post:
        """Change message, props, files and pin of a post, after asking the plugins (MessageWillBeUpdated).

        Raises:
            NotFoundError: There is no such post.
            ValidationError: The message is too long, or a plugin rejected the change.
            RateLimitedError: The plugins are too far behind.
        """
        self._events.check_room()
        old = await self.get(changed.id)
        _check_message(changed)
        new = Post()
        new.CopyFrom(old)
        new.message, new.is_pinned = changed.message, changed.is_pinned
        new.props.CopyFrom(changed.props)
        new.file_ids[:] = changed.file_ids
        context = context or HookContext(user_id=old.user_id)
        new.CopyFrom(await self._ask_about_update(new, old, context))
        new.id, new.user_id, new.channel_id = old.id, old.user_id, old.channel_id
        new.update_at = now_ms()
        new.edit_at = new.update_at if new.message != old.message else old.edit_at
        await self._store.posts.put(new)
        await self._client_events.post_changed("post_edited", new)
        self._events.tell(HookName.MessageHasBeenUpdated, context=context, new_post=new, old_post=old)
        return new

    async def delete(self, post_id: str, *, context: HookContext | None = None) -> None:
        """Mark a post and its replies as deleted, and tell the plugins (MessageHasBeenDeleted).

        Raises:
            NotFoundError: There is no such post.
            RateLimitedError: The plugins are too far behind.
        """
        self._events.check_room()
        await self.get(post_id)
        now = now_ms()

        def mark(post: Post) -> None:
            post.delete_at = post.update_at = now

        for reply in await self._store.posts.find("root_id = ? AND delete_at = 0", post_id):
            await self._store.posts.change(mark, reply.id)
        deleted = await self._store.posts.change(mark, post_id)
        if deleted is not None:
            await self._client_events.post_changed("post_deleted", deleted)
        self._events.tell(HookName.MessageHasBeenDeleted, context=context, post=deleted)

    async def _check(self, draft: Post) -> None:
        _check_message(draft)
        if await self._store.users.get(draft.user_id) is None:
            raise missing("app.user.missing_account.const", f"The post's user {draft.user_id!r}", "CreatePost")
        channel = await self._store.channels.get(draft.channel_id)
        if channel is None:
            raise missing(
                "app.channel.get.existing.app_error", f"The post's channel {draft.channel_id!r}", "CreatePost"
            )
        if channel.delete_at:
            raise invalid(
                "api.post.create_post.can_not_post_to_deleted.error", "The channel is archived.", "createPost"
            )
        if draft.root_id:
            root = await self._store.posts.get(draft.root_id)
            if root is None or root.delete_at or root.channel_id != draft.channel_id or root.root_id:
                raise invalid(
                    "api.post.create_post.root_id.app_error",
                    "root_id must be the first post of a thread in the same channel.",
                    "createPost",
                )

    async def _ask_about_update(self, new: Post, old: Post, context: HookContext) -> Post:
        for plugin in self._host.plugins.values():
            if plugin.hooks is None:
                continue
            answer = await plugin.hooks.call_or_allow(
                HookName.MessageWillBeUpdated, context=context, new_post=new, old_post=old
            )
            if answer is None:
                continue
            response = cast("MessageWillBeUpdatedResponse", answer)
            if response.rejection_reason:
                text = f"Post rejected by plugin. {response.rejection_reason}"
                raise invalid(text, text, "UpdatePost")
            if response.HasField("modified_post"):
                new = response.modified_post
        return new


def _check_message(post: Post) -> None:
    if len(post.message) > limits.devserver_post_characters:
        raise invalid(
            "model.post.is_valid.message_length.app_error",
            f"A message has at most {limits.devserver_post_characters} characters, this one has {len(post.message)}.",
            "Post.IsValid",
        )


def _count(channel: Channel, post: Post) -> None:
    channel.total_msg_count += 1
    channel.last_post_at = max(channel.last_post_at, post.create_at)
    if not post.root_id:
        channel.total_msg_count_root += 1
        channel.last_root_post_at = max(channel.last_root_post_at, post.create_at)


def _count_reply(root: Post, reply: Post) -> None:
    root.reply_count += 1
    root.last_reply_at = max(root.last_reply_at, reply.create_at)
