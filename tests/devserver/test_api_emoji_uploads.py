"""Emoji, uploads in pieces and public links: through the client, and the REST door beside it."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import anyio
import httpx
import pytest

from mm_plugin import limits
from mm_plugin.api.client import PluginAPIClient
from mm_plugin.devserver.pictures import drawn_picture
from mm_plugin.devserver.server import open_door
from mm_plugin.exceptions import NotFoundError, PluginAPIError, TooLargeError, ValidationError
from mm_plugin.messages.files import UploadSession
from mm_plugin.messages.helpers import new_id
from mm_plugin.messages.posts import Post, Reaction
from tests.devserver.worlds import World, open_world


@dataclass
class Doors:
    """Both ways in: the API of a plugin, and REST for two people."""

    world: World
    url: str
    api: PluginAPIClient
    ada: httpx.AsyncClient
    admin: httpx.AsyncClient


@asynccontextmanager
async def open_doors() -> AsyncGenerator[Doors]:
    async with open_world() as world, world.client() as api, open_door(world.app, "127.0.0.1", 0) as url:

        def client(name: str) -> httpx.AsyncClient:
            headers = {"Authorization": f"Bearer {world.seed.tokens[name]}"}
            return httpx.AsyncClient(base_url=f"{url}/api/v4", headers=headers)

        async with client("ada") as ada, client("admin") as admin:
            yield Doors(world, url, api, ada, admin)


async def test_emoji_are_made_by_people_and_read_by_plugins() -> None:
    """An emoji that a user made is found by id and name, with its picture, until it is deleted."""
    async with open_doors() as doors:
        picture = drawn_picture("party")

        async def make(name: str, image: bytes, by: httpx.AsyncClient) -> httpx.Response:
            return await by.post("/emoji", files={"image": image}, data={"emoji": json.dumps({"name": name})})

        made = await make("party_parrot", picture, doors.admin)
        assert made.status_code == 201
        emoji = await doors.api.get_emoji_by_name("party_parrot")
        assert (emoji.id, emoji.creator_id) == (made.json()["id"], doors.world.seed.users["admin"].id)
        assert (await doors.api.get_emoji(emoji.id)) == emoji
        image = await doors.api.get_emoji_image(emoji.id)
        assert (image.image, image.content_type) == (picture, "png")
        assert (await doors.ada.get(f"/emoji/{emoji.id}/image")).content == picture
        await make("alpaca", picture, doors.ada)
        assert [found.name for found in await doors.api.get_emoji_list("name")] == ["alpaca", "party_parrot"]
        assert [found.name for found in await doors.api.get_emoji_list(page=1, per_page=1)] == ["alpaca"]
        for name, data in (("alpaca", picture), ("No Name", picture), ("fine", b"no picture")):
            assert (await make(name, data, doors.ada)).status_code == 400
        assert (await doors.ada.post("/emoji", content=b"no form")).status_code == 400
        assert (await doors.ada.delete(f"/emoji/{emoji.id}")).status_code == 403
        assert (await doors.admin.delete(f"/emoji/{emoji.id}")).status_code == 200
        for call in (doors.api.get_emoji(emoji.id), doors.api.get_emoji_by_name("x"), doors.api.get_emoji_image("x")):
            with pytest.raises(NotFoundError):
                await call


async def test_switched_off_emoji_are_not_there() -> None:
    """The configuration switches custom emoji off."""
    async with open_world() as world, world.client() as api:
        await api.save_config({"ServiceSettings": {"EnableCustomEmoji": False}})
        with pytest.raises(PluginAPIError, match="EnableCustomEmoji") as caught:
            await api.get_emoji_list()
        assert caught.value.status_code == 501


async def test_no_upload_takes_the_place_of_another_file() -> None:
    """Of two uploads that ask for one id the first to be complete has it, and keeps its content."""
    async with open_world() as world, world.client() as api:
        wanted = new_id()
        draft = UploadSession(channel_id=world.seed.channel.id, filename="x", file_size=3, req_file_id=wanted)
        first, second = [await api.create_upload_session(draft) for _ in range(2)]
        info = await api.upload_data(first, b"one")
        with pytest.raises(ValidationError):
            await api.upload_data(second, b"two")
        assert info is not None
        assert (info.id, await api.get_file(wanted)) == (wanted, b"one")


async def test_an_upload_arrives_in_pieces() -> None:
    """Each piece moves the offset, the last one makes the file, and pieces that do not fit change nothing."""
    async with open_world() as world, world.client() as api:
        ada, channel = world.seed.users["ada"].id, world.seed.channel.id
        data = bytes(range(100))
        draft = UploadSession(user_id=ada, channel_id=channel, filename="data.bin", file_size=len(data))
        session = await api.create_upload_session(draft)
        assert await api.upload_data(session, data[:60]) is None
        with pytest.raises(ValidationError):
            await api.upload_data(session, data[60:])  # at the old offset
        session = await api.get_upload_session(session.id)
        assert session.file_offset == 60
        with pytest.raises(ValidationError):
            await api.upload_data(session, data)
        info = await api.upload_data(session, data[60:])
        assert info is not None
        assert (info.name, info.creator_id, info.size) == ("data.bin", ada, len(data))
        assert await api.get_file(info.id) == data
        for call in (api.get_upload_session(session.id), api.upload_data(session, b"x")):
            with pytest.raises(NotFoundError):
                await call
        for bad in (
            UploadSession(channel_id=channel, filename="x"),
            UploadSession(channel_id=channel, file_size=1),
            UploadSession(channel_id=channel, filename="x", file_size=1, type="import"),
            UploadSession(channel_id=channel, filename="x", file_size=1, req_file_id=info.id),
        ):
            with pytest.raises(ValidationError):
                await api.create_upload_session(bad)
        with pytest.raises(NotFoundError):
            await api.create_upload_session(UploadSession(channel_id="x", filename="x", file_size=1))
        huge = UploadSession(channel_id=channel, filename="x", file_size=limits.devserver_file_octets + 1)
        with pytest.raises((TooLargeError, PluginAPIError)):
            await api.create_upload_session(huge)


async def test_of_two_pieces_for_one_place_one_is_taken() -> None:
    """Two clients that send the same piece at once do not spoil the file: one of them is refused."""
    async with open_world() as world, world.client() as api:
        draft = UploadSession(channel_id=world.seed.channel.id, filename="data.bin", file_size=20)
        session = await api.create_upload_session(draft)
        refused: list[str] = []

        async def upload() -> None:
            try:
                await api.upload_data(session, bytes(10))
            except ValidationError as error:
                refused.append(error.message)

        async with anyio.create_task_group() as tasks:
            for _ in range(2):
                tasks.start_soon(upload)
        assert refused == ["The upload stands at octet 10, not at 0."]
        assert (await api.get_upload_session(session.id)).file_offset == 10


async def test_a_public_link_opens_one_file() -> None:
    """The link of a posted file needs no login and opens that file only."""
    async with open_doors() as doors:
        api, channel = doors.api, doors.world.seed.channel.id
        info = await api.upload_file(b"for all", channel, "note.txt")
        other = await api.upload_file(b"not for all", channel, "other.txt")
        with pytest.raises(PluginAPIError, match="belongs to no post"):
            await api.get_file_link(info.id)
        ada = doors.world.seed.users["ada"].id
        post = await api.create_post(Post(user_id=ada, channel_id=channel, message="x", file_ids=[info.id, other.id]))
        assert (await api.get_file_info(info.id)).post_id == post.id
        link = await api.get_file_link(info.id)
        assert link.startswith(doors.url)
        async with httpx.AsyncClient() as anybody:
            assert (await anybody.get(link)).content == b"for all"
            assert (await anybody.get(link.replace(info.id, other.id))).status_code == 400
        with pytest.raises(NotFoundError):
            await api.get_file_link("x")
        await api.save_config({"FileSettings": {"EnablePublicLink": False}})
        with pytest.raises(PluginAPIError, match="EnablePublicLink"):
            await api.get_file_link(info.id)


async def test_pictures_and_reading_by_rest() -> None:
    """People see pictures and unread counts, and viewing a channel reads it."""
    async with open_doors() as doors:
        users, team = doors.world.seed.users, doors.world.seed.team.id
        ada, channel = users["ada"].id, doors.world.seed.channel.id
        image = await doors.ada.get("/users/me/image")
        assert (image.headers["content-type"], image.content) == ("image/png", await doors.api.get_profile_image(ada))
        assert (await doors.ada.get(f"/teams/{team}/image")).status_code == 404
        await doors.api.create_post(Post(user_id=users["bob"].id, channel_id=channel, message="@ada?"))
        (unread,) = (await doors.ada.get("/users/me/teams/unread")).json()
        assert (unread["msg_count"], unread["mention_count"]) == (1, 1)
        viewed = await doors.ada.post("/channels/members/me/view", json={"channel_id": channel})
        assert viewed.json()["last_viewed_at_times"][channel] > 0
        (unread,) = (await doors.ada.get("/users/me/teams/unread")).json()
        assert (unread["msg_count"], unread["mention_count"]) == (0, 0)
        assert (await doors.ada.get(f"/users/{users['bob'].id}/teams/unread")).status_code == 403


async def test_the_outbox_is_shown_to_administrators() -> None:
    """What was sent is listed by kind and from a number on."""
    async with open_doors() as doors:
        for number in range(3):
            await doors.api.publish_user_typing("user", "channel", str(number))
        shown = (await doors.admin.get("/devserver/outbox?kind=websocket")).json()
        assert [entry["content"]["data"]["parent_id"] for entry in shown] == ["0", "1", "2"]
        later = (await doors.admin.get(f"/devserver/outbox?after={shown[1]['id']}")).json()
        assert [entry["id"] for entry in later] == [shown[2]["id"]]
        assert (await doors.admin.get("/devserver/outbox?kind=mail")).json() == []
        assert (await doors.admin.get("/devserver/outbox?kind=pigeon")).status_code == 400
        assert (await doors.ada.get("/devserver/outbox")).status_code == 403


async def test_reactions_and_deleted_posts() -> None:
    """Reactions need a post and an open channel; what was deleted is told to those who ask what is new."""
    async with open_world() as world, world.client() as api:
        ada, channel = world.seed.users["ada"].id, world.seed.channel.id
        post = await api.create_post(Post(user_id=ada, channel_id=channel, message="gone soon"))
        with pytest.raises(NotFoundError):
            await api.remove_reaction(Reaction(user_id=ada, post_id="none", emoji_name="x"))
        await api.remove_reaction(Reaction(user_id=ada, post_id=post.id, emoji_name="not_there"))
        await api.delete_post(post.id)
        since = await api.get_posts_since(channel, post.create_at - 1)
        assert since.posts[post.id].delete_at > 0
        assert since.posts[post.id].message == ""
