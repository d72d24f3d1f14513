"""The server's events over real WebSockets: what they hold, how they are numbered, and who gets them."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest

from mm_plugin.devserver.api import DevServerAPI
from mm_plugin.devserver.clients import Audience
from mm_plugin.devserver.outbox import OutboxKind
from mm_plugin.devserver.server import open_door
from mm_plugin.messages.channels import Channel, ChannelMember, ChannelType
from mm_plugin.messages.posts import Post, Reaction
from mm_plugin.messages.teams import Team, TeamType
from mm_plugin.messages.websocket import WebsocketBroadcast
from tests.devserver.websocket_client import WebSocketClient, open_client
from tests.devserver.worlds import World, open_world

NAMES = ("admin", "ada", "bob")
EVERYBODY = Audience()


@asynccontextmanager
async def connected() -> AsyncGenerator[tuple[World, DevServerAPI, dict[str, WebSocketClient]]]:
    """A world, its API, and a client of each of its people, greeted."""
    async with AsyncExitStack() as stack:
        world = await stack.enter_async_context(open_world())
        url = await stack.enter_async_context(open_door(world.app, "127.0.0.1", 0))
        tokens = world.seed.tokens
        clients = {name: await stack.enter_async_context(open_client(url, tokens[name])) for name in NAMES}
        yield world, DevServerAPI(world.app), clients


async def heard(clients: dict[str, WebSocketClient], world: World) -> dict[str, list[dict[str, Any]]]:
    """What each client has got by now: everything before an event that all get."""
    await world.app.clients.publish("mark", {}, EVERYBODY)
    got: dict[str, list[dict[str, Any]]] = {}
    for name, client in clients.items():
        got[name] = []
        while (message := await client.receive())["event"] != "mark":
            got[name].append(message)
    return got


async def private_channel(world: World, api: DevServerAPI) -> Channel:
    """A channel of admin and ada alone."""
    draft = Channel(
        team_id=world.seed.team.id, name="den", display_name="Den", type=ChannelType.CHANNEL_TYPE_PRIVATE,
        creator_id=world.seed.users["admin"].id,
    )  # fmt: skip
    channel = await api.create_channel(draft)
    ada = ChannelMember(channel_id=channel.id, user_id=world.seed.users["ada"].id, roles="channel_user")
    await world.app.store.channel_members.insert(ada)
    return channel


async def test_posts_are_told_to_their_channels_members() -> None:
    """A new, changed and deleted post is an event for each member, with Mattermost's data; nobody else hears of it."""
    async with connected() as (world, api, clients):
        channel, ada = await private_channel(world, api), world.seed.users["ada"]
        post = await api.create_post(Post(user_id=ada.id, channel_id=channel.id, message="hello"))
        await api.update_post(Post(id=post.id, message="hello again"))
        await api.delete_post(post.id)
        got = await heard(clients, world)
        assert got["bob"] == []
        assert got["ada"] == got["admin"]
        posted, edited, deleted = got["ada"]
        assert [event["event"] for event in got["ada"]] == ["posted", "post_edited", "post_deleted"]
        assert [event["seq"] for event in got["ada"]] == [1, 2, 3]
        assert {event["broadcast"]["channel_id"] for event in got["ada"]} == {channel.id}
        shown = json.loads(posted["data"].pop("post"))
        assert (shown["id"], shown["message"], shown["user_id"]) == (post.id, "hello", ada.id)
        assert posted["data"] == {
            "channel_type": "P",
            "channel_name": "den",
            "channel_display_name": "Den",
            "sender_name": "@ada",
            "team_id": world.seed.team.id,
            "set_online": True,
        }
        assert json.loads(edited["data"]["post"])["message"] == "hello again"
        assert json.loads(deleted["data"]["post"])["delete_at"] > 0


async def test_ephemeral_posts_are_told_to_their_user() -> None:
    """A post for one user alone appears, changes and goes on that user's screens only."""
    async with connected() as (world, api, clients):
        ada = world.seed.users["ada"].id
        post = await api.send_ephemeral_post(ada, Post(channel_id=world.seed.channel.id, message="psst"))
        post.message = "pssst"
        await api.update_ephemeral_post(ada, post)
        await api.delete_ephemeral_post(ada, post.id)
        got = await heard(clients, world)
        assert got["bob"] == got["admin"] == []
        assert [event["event"] for event in got["ada"]] == ["ephemeral_message", "post_edited", "post_deleted"]
        posts = [json.loads(event["data"]["post"]) for event in got["ada"]]
        assert [shown["id"] for shown in posts] == [post.id] * 3
        assert [shown["message"] for shown in posts] == ["psst", "pssst", ""]
        assert posts[0]["type"] == "system_ephemeral"


async def test_reactions_are_told() -> None:
    """A reaction is told to the channel when it comes and goes, once each."""
    async with connected() as (world, api, clients):
        ada, channel = world.seed.users["ada"].id, world.seed.channel.id
        post = await api.create_post(Post(user_id=ada, channel_id=channel, message="hello"))
        reaction = Reaction(user_id=ada, post_id=post.id, emoji_name="tada")
        for _ in range(2):
            await api.add_reaction(reaction)
        for _ in range(2):
            await api.remove_reaction(reaction)
        events = (await heard(clients, world))["bob"]
        assert [event["event"] for event in events] == ["posted", "reaction_added", "reaction_removed"]
        for event in events[1:]:
            told = json.loads(event["data"]["reaction"])
            assert (told["user_id"], told["post_id"], told["emoji_name"]) == (ada, post.id, "tada")
            assert event["broadcast"]["channel_id"] == channel


async def test_typing_is_told_to_the_others() -> None:
    """The action user_typing is an event for the channel's other members, and stands in the outbox."""
    async with connected() as (world, api, clients):
        channel, ada = await private_channel(world, api), world.seed.users["ada"].id
        data = {"channel_id": channel.id, "parent_id": "thread"}
        assert await clients["ada"].ask("user_typing", data) == {"status": "OK", "seq_reply": 1}
        assert (await clients["bob"].ask("user_typing", data))["status"] == "FAIL"  # bob may not post there
        got = await heard(clients, world)
        assert got["ada"] == got["bob"] == []
        (event,) = got["admin"]
        assert (event["event"], event["data"]) == ("typing", {"user_id": ada, "parent_id": "thread"})
        assert event["broadcast"]["omit_users"] == {ada: True}
        (entry,) = await world.app.store.outbox.newest(OutboxKind.WEBSOCKET)
        assert entry.content["event"] == "typing"


async def test_members_who_come_and_go_are_told() -> None:
    """All members hear who joins, the new one too; who has left hears it apart, and nothing of the channel any more."""
    async with connected() as (world, api, clients):
        channel, bob = await private_channel(world, api), world.seed.users["bob"].id
        for _ in range(2):
            await api.add_channel_member(channel.id, bob)
        await api.delete_channel_member(channel.id, bob)
        await api.create_post(Post(user_id=world.seed.users["ada"].id, channel_id=channel.id, message="gone"))
        got = await heard(clients, world)
        assert [event["event"] for event in got["ada"]] == ["user_added", "user_removed", "posted"]
        assert got["ada"][0]["data"] == {"user_id": bob, "team_id": world.seed.team.id}
        assert got["ada"][1]["data"] == {"user_id": bob, "remover_id": ""}
        assert [event["event"] for event in got["bob"]] == ["user_added", "user_removed"]
        assert got["bob"][1]["data"] == {"channel_id": channel.id, "remover_id": ""}


async def test_a_status_is_told_to_its_user() -> None:
    """A user's own clients hear of a changed status."""
    async with connected() as (world, api, clients):
        await api.update_user_status(world.seed.users["ada"].id, "away")
        got = await heard(clients, world)
        assert [event["event"] for event in got["ada"]] == ["status_change"]
        assert got["ada"][0]["data"]["status"] == "away"
        assert got["bob"] == []


@pytest.mark.parametrize(
    ("broadcast", "listeners"),
    [
        ({}, {"admin", "ada", "bob"}),
        ({"user_id": "ada"}, {"ada"}),
        ({"channel_id": "den"}, {"admin", "ada"}),
        ({"channel_id": "nowhere"}, set[str]()),
        ({"team_id": "club"}, {"bob"}),
        ({"omit_users": ["ada"]}, {"admin", "bob"}),
        ({"channel_id": "den", "omit_users": ["admin"]}, {"ada"}),
        ({"team_id": "club", "channel_id": "den"}, {"admin", "ada"}),
        ({"user_id": "bob", "channel_id": "den", "omit_users": ["bob"]}, {"bob"}),
        ({"connection_id": "bob", "omit_connection_id": True}, {"admin", "ada"}),
        ({"user_id": "bob", "connection_id": "bob", "omit_connection_id": True}, set[str]()),
        ({"connection_id": "bob"}, {"admin", "ada", "bob"}),
    ],
)
async def test_a_plugins_events_reach_whom_they_are_for(broadcast: dict[str, Any], listeners: set[str]) -> None:
    """Each rule of a broadcast, alone and with others, as the server goes through them; the outbox has the event."""
    async with connected() as (world, api, clients), world.client() as plugin:
        den = await private_channel(world, api)
        club = await api.create_team(Team(name="club", display_name="Club", type=TeamType.TEAM_TYPE_INVITE))
        await api.create_team_member(club.id, world.seed.users["bob"].id)
        await api.create_team_member(club.id, world.seed.users["ada"].id)
        await api.delete_team_member(club.id, world.seed.users["ada"].id)
        ids = {name: user.id for name, user in world.seed.users.items()} | {"den": den.id, "club": club.id}
        fields: dict[str, Any] = {
            name: ids.get(value, value) if isinstance(value, str) else value for name, value in broadcast.items()
        }
        if "connection_id" in broadcast:
            fields["connection_id"] = clients[broadcast["connection_id"]].connection_id
        fields["omit_users"] = [ids[name] for name in broadcast.get("omit_users", [])]
        await plugin.publish_websocket_event("moved", {"x": 1, "deep": [{"y": None}]}, WebsocketBroadcast(**fields))
        got = await heard(clients, world)
        assert {name for name, events in got.items() if events} == listeners
        for name in listeners:
            (event,) = got[name]
            assert event["event"] == "custom_com.example.test_moved"
            assert event["data"] == {"x": 1, "deep": [{"y": None}]}
            assert event["seq"] == 1
        assert len(await world.app.store.outbox.newest(OutboxKind.WEBSOCKET)) == 1


async def test_events_come_in_order_and_replies_have_no_number() -> None:
    """Many events at once keep their order for everybody; seq rises by one with each, replies do not count."""
    async with connected() as (world, api, clients):
        for number in range(50):
            await api.create_post(
                Post(user_id=world.seed.users["ada"].id, channel_id=world.seed.channel.id, message=str(number))
            )
        await clients["bob"].act("ping")
        await world.app.clients.publish("last", {}, EVERYBODY)
        events: list[dict[str, Any]] = []
        while len(events) < 51:
            message = await clients["bob"].receive()
            if "seq_reply" not in message:
                events.append(message)
        assert [json.loads(event["data"]["post"])["message"] for event in events[:-1]] == [str(n) for n in range(50)]
        assert [event["seq"] for event in events] == list(range(1, 52))
