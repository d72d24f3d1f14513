"""Shared channels, with a plugin as the other side, through the client and its hook."""

from __future__ import annotations

import anyio
import anyio.lowlevel
import pytest

from mm_plugin import limits
from mm_plugin.exceptions import NotFoundError, ValidationError
from mm_plugin.messages.json_fields import SyncMessage
from mm_plugin.messages.posts import Post
from mm_plugin.messages.shared_channels import (
    GetPostsSinceForSyncCursor,
    RegisterPluginOpts,
    RemoteCluster,
    SharedChannel,
    SyncResponse,
)
from mm_plugin.plugin.plugin import Plugin
from tests.devserver.worlds import open_world


class Bridge(Plugin):
    """Takes whatever it is told, and says so."""

    def __init__(self) -> None:
        self.send, self.told = anyio.create_memory_object_stream[tuple[list[str], str]](10)

    async def on_shared_channels_sync_msg(self, sync_msg: SyncMessage, remote_cluster: RemoteCluster) -> SyncResponse:
        posts = sync_msg["posts"]
        assert isinstance(posts, list)
        times, messages = [0], list[str]()
        for post in posts:
            assert isinstance(post, dict)
            messages.append(str(post["message"]))
            times.append(int(str(post["update_at"])))
        await self.send.send((messages, remote_cluster.remote_id))
        return SyncResponse(posts_last_update_at=max(times))

    async def on_deactivate(self) -> None:
        self.send.close()
        self.told.close()


async def test_an_invited_plugin_is_told_what_is_new() -> None:
    """Each synchronisation tells an invited plugin the posts that it does not have yet, from its cursor on."""
    async with open_world() as world, world.running(Bridge()) as bridge:
        assert isinstance(bridge, Bridge)
        api, ada, channel = bridge.api, world.seed.users["ada"].id, world.seed.channel.id
        remote = await api.register_plugin_for_shared_channels(opts=RegisterPluginOpts(display_name="Far away"))
        assert await api.register_plugin_for_shared_channels() == remote
        await api.invite_remote_to_channel(channel, remote, ada, share_if_not_shared=True)
        assert (await api.get_channel(channel)).shared
        first = await api.create_post(Post(user_id=ada, channel_id=channel, message="one"))
        await api.sync_shared_channel(channel)
        with anyio.fail_after(20):
            assert await bridge.told.receive() == (["one"], remote)
            await api.update_shared_channel_cursor(
                channel, remote, GetPostsSinceForSyncCursor(last_post_update_at=first.update_at, last_post_id=first.id)
            )
            await api.create_post(Post(user_id=ada, channel_id=channel, message="two"))
            await api.sync_shared_channel(channel)
            assert await bridge.told.receive() == (["two"], remote)
            await api.update_shared_channel_cursor(channel, remote, GetPostsSinceForSyncCursor())
            await api.sync_shared_channel(channel)
            assert await bridge.told.receive() == (["one", "two"], remote)
        await api.uninvite_remote_from_channel(channel, remote)
        for call in (
            api.uninvite_remote_from_channel(channel, remote),
            api.update_shared_channel_cursor(channel, remote, GetPostsSinceForSyncCursor()),
        ):
            with pytest.raises(NotFoundError):
                await call
        await api.invite_remote_to_channel(channel, remote, ada)
        await api.unregister_plugin_for_shared_channels(bridge.plugin_id)
        await api.unregister_plugin_for_shared_channels(bridge.plugin_id)
        with pytest.raises(NotFoundError):
            await api.invite_remote_to_channel(channel, remote, ada)


async def test_many_posts_are_told_page_by_page(monkeypatch: pytest.MonkeyPatch) -> None:
    """One synchronisation tells everything, but no more than a page at a time."""
    monkeypatch.setattr(limits, "devserver_page_entries", 2)
    async with open_world() as world, world.running(Bridge()) as bridge:
        assert isinstance(bridge, Bridge)
        api, ada, channel = bridge.api, world.seed.users["ada"].id, world.seed.channel.id
        remote = await api.register_plugin_for_shared_channels()
        await api.invite_remote_to_channel(channel, remote, ada, share_if_not_shared=True)
        for number in range(5):
            await api.create_post(Post(user_id=ada, channel_id=channel, message=str(number)))
        await api.sync_shared_channel(channel)
        with anyio.fail_after(20):
            told = [len((await bridge.told.receive())[0]) for _ in range(3)]
        assert told == [2, 2, 1]


class Leaver(Plugin):
    """Is uninvited while it is told what is new."""

    def __init__(self) -> None:
        self.left = anyio.Event()

    async def on_shared_channels_sync_msg(self, sync_msg: SyncMessage, remote_cluster: RemoteCluster) -> SyncResponse:
        await self.api.uninvite_remote_from_channel(str(sync_msg["channel_id"]), remote_cluster.remote_id)
        self.left.set()
        return SyncResponse(posts_last_update_at=2**50)


async def test_who_is_uninvited_meanwhile_stays_so() -> None:
    """The end of a synchronisation does not bring back who has left during it."""
    async with open_world() as world, world.running(Leaver()) as leaver:
        assert isinstance(leaver, Leaver)
        api, ada, channel = leaver.api, world.seed.users["ada"].id, world.seed.channel.id
        remote = await api.register_plugin_for_shared_channels()
        await api.invite_remote_to_channel(channel, remote, ada, share_if_not_shared=True)
        await api.create_post(Post(user_id=ada, channel_id=channel, message="one"))
        await api.sync_shared_channel(channel)
        with anyio.fail_after(20):
            await leaver.left.wait()
            while world.app.events._pending:
                await anyio.lowlevel.checkpoint()
        with pytest.raises(NotFoundError):
            await api.uninvite_remote_from_channel(channel, remote)


async def test_channels_are_shared_changed_and_unshared() -> None:
    """A channel is shared once, under a name that no other has, until it is not."""
    async with open_world() as world, world.client() as api:
        ada, channel = world.seed.users["ada"].id, world.seed.channel
        for call in (
            api.sync_shared_channel(channel.id),
            api.update_shared_channel(SharedChannel(channel_id=channel.id, home="true")),
            api.share_channel(SharedChannel(channel_id="none", home="true")),
        ):
            with pytest.raises(NotFoundError):
                await call
        with pytest.raises(ValidationError):
            await api.share_channel(SharedChannel(channel_id=channel.id))
        shared = await api.share_channel(SharedChannel(channel_id=channel.id, home="true", creator_id=ada))
        assert (shared.share_name, shared.team_id, shared.type) == ("town-square", channel.team_id, "O")
        with pytest.raises(ValidationError):
            await api.share_channel(shared)
        shared.read_only = True
        changed = await api.update_shared_channel(shared)
        assert (changed.read_only, changed.create_at) == (True, shared.create_at)
        assert await api.unshare_channel(channel.id)
        assert not await api.unshare_channel(channel.id)
        assert not (await api.get_channel(channel.id)).shared
        remote = await api.register_plugin_for_shared_channels()
        with pytest.raises(NotFoundError):
            await api.invite_remote_to_channel(channel.id, remote, ada)
