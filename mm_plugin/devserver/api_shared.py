"""Shared channels as plugins see them: a plugin stands for another server, channels are shared with it.

Sharing is kept and invitations too. ``sync_shared_channel`` tells each invited plugin what is new in a channel, by
OnSharedChannelsSyncMsg, and remembers how far it has got. There is no other server to reach, so a plugin is the only
other side.
"""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, cast

from mm_plugin import limits
from mm_plugin.devserver.accounts import public
from mm_plugin.devserver.api_base import APIBase, needed
from mm_plugin.devserver.errors import invalid, missing
from mm_plugin.devserver.json_forms import json_of
from mm_plugin.hooks.names import HookName
from mm_plugin.messages.channels import Channel
from mm_plugin.messages.helpers import new_id, now_ms
from mm_plugin.messages.shared_channels import (
    GetPostsSinceForSyncCursor,
    RegisterPluginOpts,
    RemoteCluster,
    SharedChannel,
    SyncMsgJson,
)

if TYPE_CHECKING:
    from mm_plugin._proto.hooks_shared_channel_pb2 import OnSharedChannelsSyncMsgResponse
    from mm_plugin.devserver.message_table import SQLValue
    from mm_plugin.types import JSONObject, JSONValue

__all__ = ("SharedChannelsHandler",)

_LETTERS = {1: "O", 2: "P", 3: "D", 4: "G"}
_NEW = "channel_id = ? AND (update_at > ? OR (update_at = ? AND id > ?))"


class SharedChannelsHandler(APIBase):
    """Shared channels."""

    async def register_plugin_for_shared_channels(self, *, opts: RegisterPluginOpts | None = None) -> str:
        """Let the plugin stand for another server; return that one's id, the same each time."""
        name = opts.display_name if opts and opts.display_name else self._plugin_id
        async with self._store.turn:
            found = await self._store.remotes.find("plugin_id = ?", self._plugin_id)
            remote = found[0] if found else RemoteCluster(remote_id=new_id(), create_at=now_ms())
            remote.plugin_id = self._plugin_id
            remote.name, remote.display_name, remote.site_url = self._plugin_id, name, f"plugin_{self._plugin_id}"
            remote.last_ping_at, remote.delete_at = now_ms(), 0
            await self._store.remotes.put(remote)
        return remote.remote_id

    async def unregister_plugin_for_shared_channels(self, plugin_id: str) -> None:
        """End that a plugin stands for another server, and its part in channels; none is no error."""
        for remote in await self._store.remotes.find("plugin_id = ? AND delete_at = 0", plugin_id):
            remote.delete_at = now_ms()
            await self._store.remotes.put(remote)
            for shared in await self._store.shared_channels.find():
                await self._store.delete_documents(_invitation(shared.channel_id, remote.remote_id))

    # -- sharing ----------------------------------------------------------------------------------------------

    async def share_channel(self, shared_channel: SharedChannel | None) -> SharedChannel:
        """Share a channel."""
        wanted = needed(shared_channel, "shared_channel")
        if await self._store.shared_channels.get(wanted.channel_id) is not None:
            text = "The channel is shared already; use update_shared_channel to change how."
            raise invalid("app.shared_channel.save.exists.app_error", text, "ShareChannel")
        return await self._keep_shared(wanted, now_ms())

    async def update_shared_channel(self, shared_channel: SharedChannel | None) -> SharedChannel:
        """Change how a channel is shared."""
        wanted = needed(shared_channel, "shared_channel")
        return await self._keep_shared(wanted, (await self._shared(wanted.channel_id, "UpdateSharedChannel")).create_at)

    async def unshare_channel(self, channel_id: str) -> bool:
        """End the sharing of a channel, its invitations too; return whether it was shared."""
        unshared = bool(await self._store.shared_channels.delete("channel_id = ?", channel_id))
        await self._store.delete_documents(_invitation(channel_id, ""))
        await self._mark(channel_id, shared=False)
        return unshared

    async def _keep_shared(self, wanted: SharedChannel, create_at: int) -> SharedChannel:
        channel = await self._store.channels.get(wanted.channel_id)
        if channel is None:
            raise missing("app.channel.get.existing.app_error", "The channel", "ShareChannel")
        new = SharedChannel()
        new.CopyFrom(wanted)
        new.team_id, new.type = channel.team_id, _LETTERS.get(channel.type, "")
        new.share_name = wanted.share_name or channel.name
        new.share_display_name = wanted.share_display_name or channel.display_name
        new.creator_id = wanted.creator_id or channel.creator_id
        new.create_at, new.update_at = create_at, now_ms()
        if bool(new.home) is bool(new.remote_id):
            text = "A shared channel has home (true) where this server is its home, and remote_id where it is not."
            raise invalid("model.channel.is_valid.home_remote.app_error", text, "SharedChannel.IsValid")
        if not await self._store.shared_channels.put(new):
            text = f"Another channel of the team is shared as {new.share_name}."
            raise invalid("app.shared_channel.save.name.app_error", text, "ShareChannel")
        await self._mark(channel.id, shared=True)
        return new

    async def _mark(self, channel_id: str, *, shared: bool) -> None:
        def change(channel: Channel) -> None:
            channel.shared, channel.update_at = shared, now_ms()

        await self._store.channels.change(change, channel_id)

    async def _shared(self, channel_id: str, where: str) -> SharedChannel:
        shared = await self._store.shared_channels.get(channel_id)
        if shared is None:
            raise missing("app.shared_channel.get.app_error", "The shared channel", where)
        return shared

    # -- the other sides --------------------------------------------------------------------------------------

    async def invite_remote_to_channel(
        self, channel_id: str, remote_id: str, user_id: str, *, share_if_not_shared: bool = False
    ) -> None:
        """Let another side take part in a shared channel; again changes nothing."""
        await self._app.accounts.get(user_id)
        remote = await self._store.remotes.get(remote_id)
        if remote is None or remote.delete_at:
            raise missing("api.remote_cluster.get.not_found", "The remote", "InviteRemoteToChannel")
        if share_if_not_shared and await self._store.shared_channels.get(channel_id) is None:
            await self.share_channel(SharedChannel(channel_id=channel_id, home="true", creator_id=user_id))
        await self._shared(channel_id, "InviteRemoteToChannel")
        await self._store.first_document(_invitation(channel_id, remote_id), {"time": 0, "post": ""})

    async def uninvite_remote_from_channel(self, channel_id: str, remote_id: str) -> None:
        """End that another side takes part in a channel."""
        await self._needed_cursor(channel_id, remote_id, "UninviteRemoteFromChannel")
        await self._store.delete_documents(_invitation(channel_id, remote_id))

    async def update_shared_channel_cursor(
        self, channel_id: str, remote_id: str, cursor: GetPostsSinceForSyncCursor | None
    ) -> None:
        """Say how far another side has a channel's posts."""
        wanted = needed(cursor, "cursor")
        await self._needed_cursor(channel_id, remote_id, "UpdateSharedChannelCursor")
        await self._set_cursor(channel_id, remote_id, wanted.last_post_update_at, wanted.last_post_id)

    async def sync_shared_channel(self, channel_id: str) -> None:
        """Tell all invited plugins in the background what is new in a channel."""
        await self._shared(channel_id, "SyncSharedChannel")
        for remote in await self._store.remotes.find("delete_at = 0"):
            if await self._cursor(channel_id, remote.remote_id) is not None:
                self._app.events.check_room()
                self._app.events.start_soon("OnSharedChannelsSyncMsg", partial(self._sync, channel_id, remote))

    async def _sync(self, channel_id: str, remote: RemoteCluster) -> None:
        """Tell one plugin, page by page, as long as it takes whole pages."""
        while await self._sync_page(channel_id, remote):
            pass

    async def _sync_page(self, channel_id: str, remote: RemoteCluster) -> bool:
        """Tell one page; return whether it was taken whole, so that there may be another."""
        plugin = self._app.host.plugins.get(remote.plugin_id)
        cursor = await self._cursor(channel_id, remote.remote_id)
        if plugin is None or plugin.hooks is None or cursor is None:
            return False
        time_ms, last_id = int(str(cursor["time"])), str(cursor["post"])
        values: tuple[SQLValue, ...] = (channel_id, time_ms, time_ms, last_id)
        page = limits.devserver_page_entries
        posts = await self._store.posts.find(_NEW, *values, order="update_at, id", limit=page)
        if not posts:
            return False
        users = {post.user_id: await self._store.users.get(post.user_id) for post in posts}
        message: dict[str, JSONValue] = {
            "id": new_id(),
            "channel_id": channel_id,
            "users": {user_id: json_of(public(user)) for user_id, user in users.items() if user},
            "posts": [json_of(post) for post in posts],
        }
        sync_msg = SyncMsgJson(sync_msg_json=json.dumps(message).encode())
        answer = await plugin.hooks.call_or_allow(
            HookName.OnSharedChannelsSyncMsg, sync_msg=sync_msg, remote_cluster=remote
        )
        taken = cast("OnSharedChannelsSyncMsgResponse", answer).response.posts_last_update_at if answer else 0
        done = [post for post in posts if post.update_at <= taken]
        if done:
            await self._set_cursor(channel_id, remote.remote_id, done[-1].update_at, done[-1].id)
        return len(done) == page

    async def _cursor(self, channel_id: str, remote_id: str) -> JSONObject | None:
        return await self._store.get_document(_invitation(channel_id, remote_id))

    async def _needed_cursor(self, channel_id: str, remote_id: str, where: str) -> None:
        if await self._cursor(channel_id, remote_id) is None:
            raise missing("app.shared_channel_remote.get.app_error", "The remote's part in the channel", where)

    async def _set_cursor(self, channel_id: str, remote_id: str, time_ms: int, post_id: str) -> None:
        # One that has been uninvited meanwhile stays so.
        await self._store.replace_document(_invitation(channel_id, remote_id), {"time": time_ms, "post": post_id})


def _invitation(channel_id: str, remote_id: str) -> str:
    return f"shared/{channel_id}/{remote_id}"
