"""Posting shortcuts: a reply, a direct message, a message that one user sees.

Layer:  api, beside the client.
Errors: those of the client; TypeError and ValueError for what cannot be sent.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from mm_plugin.api._call import texts
from mm_plugin.messages.structs import fill_struct

if TYPE_CHECKING:
    from mm_plugin._proto.post_pb2 import Post
    from mm_plugin.api.client import PluginAPIClient

__all__ = ("reply", "send_direct", "send_ephemeral")


async def reply(
    api: PluginAPIClient,
    post: Post,
    message: str,
    *,
    user_id: str,
    props: Mapping[str, object] | None = None,
    file_ids: Iterable[str] = (),
) -> Post:
    """Answer a post in its thread, which begins at the post where it is no reply itself.

    Args:
        api: The client.
        post: The post to answer.
        message: The text.
        user_id: Who answers.
        props: The answer's props.
        file_ids: Files to attach.
    """
    return await api.create_post(_post(post.channel_id, message, user_id, post.root_id or post.id, props, file_ids))


async def send_direct(
    api: PluginAPIClient,
    message: str,
    *,
    from_user_id: str,
    to_user_id: str,
    props: Mapping[str, object] | None = None,
    file_ids: Iterable[str] = (),
) -> Post:
    """Send a direct message; the channel between the two is made where there is none.

    Args:
        api: The client.
        message: The text.
        from_user_id: Who sends it, usually a bot.
        to_user_id: Who gets it.
        props: The post's props.
        file_ids: Files to attach.
    """
    channel = await api.get_direct_channel(from_user_id, to_user_id)
    return await api.create_post(_post(channel.id, message, from_user_id, "", props, file_ids))


async def send_ephemeral(
    api: PluginAPIClient,
    message: str,
    *,
    to_user_id: str,
    channel_id: str,
    from_user_id: str = "",
    root_id: str = "",
    props: Mapping[str, object] | None = None,
) -> Post:
    """Show a message to one user in a channel, until they reload.

    Args:
        api: The client.
        message: The text.
        to_user_id: Who sees it.
        channel_id: Where.
        from_user_id: Whom it seems to come from; "" for the system.
        root_id: The thread; "" for none.
        props: The post's props.
    """
    return await api.send_ephemeral_post(to_user_id, _post(channel_id, message, from_user_id, root_id, props, ()))


def _post(
    channel_id: str,
    message: str,
    user_id: str,
    root_id: str,
    props: Mapping[str, object] | None,
    file_ids: Iterable[str],
) -> Post:
    from mm_plugin._proto.post_pb2 import Post

    files = texts(file_ids, "file_ids")
    post = Post(channel_id=channel_id, message=message, user_id=user_id, root_id=root_id, file_ids=files)
    if props is not None:
        fill_struct(post.props, props, "props")
    return post
