"""What users show of themselves, how they log in and what they may, through the client."""

from __future__ import annotations

import json
import struct
import zlib

import pytest

from mm_plugin import limits
from mm_plugin.devserver.outbox import OutboxKind
from mm_plugin.devserver.pictures import drawn_picture, format_of
from mm_plugin.exceptions import NotFoundError, PermissionDeniedError, PluginAPIError, TooLargeError, ValidationError
from mm_plugin.messages.bots import Bot
from mm_plugin.messages.helpers import now_ms
from mm_plugin.messages.preferences import Preference
from mm_plugin.messages.users import CustomStatus, Session, User, UserAccessToken, UserAuth
from tests.devserver.worlds import open_world


async def test_do_not_disturb_ends_by_itself() -> None:
    """A timed "do not disturb" holds until its second, and then the status of before is back."""
    async with open_world() as world, world.client() as api:
        ada = world.seed.users["ada"].id
        await api.update_user_status(ada, "away")
        later = now_ms() // 1000 + 3600
        status = await api.set_user_status_timed_dnd(ada, later)
        assert (status.status, status.manual, status.dnd_end_time) == ("dnd", True, later)
        assert (await api.get_user_status(ada)).status == "dnd"
        await api.set_user_status_timed_dnd(ada, 1)
        over = await api.get_user_status(ada)
        assert (over.status, over.dnd_end_time) == ("away", 0)
        with pytest.raises(NotFoundError):
            await api.set_user_status_timed_dnd("nobody", later)
        assert [found.user_id for found in await api.get_user_statuses_by_ids(["nobody", ada])] == [ada]


async def test_custom_status_stands_in_the_props() -> None:
    """A custom status is what clients read in the user's props, and is gone once removed."""
    async with open_world() as world, world.client() as api:
        ada = world.seed.users["ada"].id
        await api.update_user_custom_status(ada, CustomStatus(text="At lunch", duration="", emoji=""))
        props = (await api.get_user(ada)).props
        assert json.loads(props["customStatus"])["text"] == "At lunch"
        assert json.loads(props["customStatus"])["emoji"] == "speech_balloon"
        for bad in (
            CustomStatus(),
            CustomStatus(text="x", duration="a_while"),
            CustomStatus(text="x", duration="today", expires_at=1),
        ):
            with pytest.raises(ValidationError):
                await api.update_user_custom_status(ada, bad)
        await api.remove_user_custom_status(ada)
        assert "customStatus" not in (await api.get_user(ada)).props
        with pytest.raises(NotFoundError):
            await api.remove_user_custom_status("nobody")


async def test_profile_images() -> None:
    """A user has a drawn picture until one is set; what is no image, or too much of one, is refused."""
    async with open_world() as world, world.client() as api:
        ada = world.seed.users["ada"].id
        drawn = await api.get_profile_image(ada)
        assert drawn == await api.get_profile_image(ada)
        assert drawn != await api.get_profile_image(world.seed.users["bob"].id)
        mine = drawn_picture("mine")
        await api.set_profile_image(ada, mine)
        assert await api.get_profile_image(ada) == mine
        assert (await api.get_user(ada)).last_picture_update > 0
        with pytest.raises(ValidationError):
            await api.set_profile_image(ada, b"words")
        with pytest.raises(TooLargeError):
            await api.set_profile_image(ada, mine + bytes(limits.devserver_picture_octets))
        with pytest.raises(NotFoundError):
            await api.get_profile_image("nobody")


def test_a_drawn_picture_is_a_png() -> None:
    """Its chunks have the right sums and its rows the right length; formats are told by their first octets."""
    picture = drawn_picture("x")
    width, height = struct.unpack(">II", picture[16:24])
    place, pixels = 8, b""
    while place < len(picture):
        length = int.from_bytes(picture[place : place + 4], "big")
        kind, data = picture[place + 4 : place + 8], picture[place + 8 : place + 8 + length]
        assert zlib.crc32(kind + data) == int.from_bytes(picture[place + 8 + length : place + 12 + length], "big")
        pixels += zlib.decompress(data) if kind == b"IDAT" else b""
        place += 12 + length
    assert len(pixels) == height * (1 + 3 * width)
    samples = (picture, b"\xff\xd8\xff\xe0", b"GIF89a", b"RIFF....WEBP", b"BM" + bytes(30), b"<svg>", b"")
    assert [format_of(data) for data in samples] == ["png", "jpeg", "gif", "webp", "bmp", "", ""]


async def test_typing_is_an_event_for_the_channel() -> None:
    """Clients of the channel are told who types, all but who does."""
    async with open_world() as world, world.client() as api:
        ada, channel = world.seed.users["ada"].id, world.seed.channel.id
        await api.publish_user_typing(ada, channel, "root")
        (sent,) = await world.app.store.outbox.newest(OutboxKind.WEBSOCKET)
        assert sent.content == {
            "event": "typing",
            "data": {"user_id": ada, "parent_id": "root"},
            "broadcast": {"channel_id": channel, "omit_users": [ada]},
        }


async def test_sessions_are_extended_and_end_once() -> None:
    """A session keeps its props and end, can be extended, and a second end is an error."""
    async with open_world() as world, world.client() as api:
        ada = world.seed.users["ada"].id
        session = await api.create_session(Session(user_id=ada, props={"platform": "test"}, expires_at=now_ms() + 9999))
        assert (session.props["platform"], len(session.token)) == ("test", 26)
        await api.extend_session_expiry(session.id, 1)
        assert (await api.get_session(session.id)).expires_at == 1
        assert await world.app.accounts.session_of(session.token) is None
        await api.revoke_session(session.id)
        for call in (api.revoke_session(session.id), api.extend_session_expiry(session.id, 2)):
            with pytest.raises(NotFoundError):
                await call


async def test_a_personal_access_token_acts_for_its_user() -> None:
    """A token is a session without a login until it is revoked; the configuration can forbid them for people."""
    async with open_world() as world, world.client() as api:
        ada, accounts = world.seed.users["ada"].id, world.app.accounts
        token = await api.create_user_access_token(UserAccessToken(user_id=ada, description="for scripts"))
        acting = await accounts.session_of(token.token)
        assert acting is not None
        assert (acting.user_id, acting.props["user_access_token_id"]) == (ada, token.id)
        await api.revoke_user_access_token(token.id)
        assert await accounts.session_of(token.token) is None
        with pytest.raises(NotFoundError):
            await api.revoke_user_access_token(token.id)
        config = json.loads(await api.get_config())
        config["ServiceSettings"]["EnableUserAccessTokens"] = False
        await api.save_config(json.dumps(config).encode())
        with pytest.raises(PluginAPIError, match="EnableUserAccessTokens") as caught:
            await api.create_user_access_token(UserAccessToken(user_id=ada))
        assert caught.value.status_code == 501
        bot = await api.create_bot(Bot(username="robot"))
        assert (await api.create_user_access_token(UserAccessToken(user_id=bot.user_id))).is_active


async def test_a_login_service_takes_the_password_away() -> None:
    """With auth_data the user logs in elsewhere, so the password no longer opens anything."""
    async with open_world() as world, world.client() as api:
        eve = await api.create_user(User(username="eve", email="eve@example.com", password="secret"))
        await api.update_user_auth(eve.id, UserAuth(auth_service="saml", auth_data="eve-1"))
        kept = await world.app.store.users.get(eve.id)
        assert kept is not None
        assert (kept.auth_service, kept.auth_data, kept.password) == ("saml", "eve-1", "")
        with pytest.raises(ValidationError):
            await api.update_user_auth(eve.id, UserAuth(auth_service="saml"))
        with pytest.raises(NotFoundError):
            await api.update_user_auth("nobody", UserAuth())


async def test_roles_grant_what_they_grant_on_a_new_server() -> None:
    """Permissions follow the roles: of the channel, its team and the system; only administrators have all."""
    async with open_world() as world, world.client() as api:
        ada, channel, team = world.seed.users["ada"].id, world.seed.channel.id, world.seed.team.id
        assert await api.has_permission_to_channel(ada, channel, "create_post")
        assert await api.has_permission_to_channel(ada, channel, "create_public_channel")  # by the team's role
        assert await api.has_permission_to_channel(ada, channel, "create_direct_channel")  # by the system's role
        assert not await api.has_permission_to_channel(ada, channel, "manage_channel_roles")
        assert not await api.has_permission_to_team(ada, team, "manage_team")
        assert await api.roles_grant_permission(["nothing", "channel_admin"], "manage_channel_roles")
        assert await api.roles_grant_permission(["system_admin"], "anything_at_all")
        assert not await api.roles_grant_permission(["system_user"], "manage_system")
        with pytest.raises(ValidationError):
            await api.update_user_roles(ada, "system_user king")


async def test_preferences_belong_to_their_user() -> None:
    """Nobody's preferences are set or deleted in another one's name."""
    async with open_world() as world, world.client() as api:
        ada, bob = world.seed.users["ada"].id, world.seed.users["bob"].id
        foreign = [Preference(user_id=bob, category="c", name="n", value="v")]
        for call in (
            api.update_preferences_for_user(ada, foreign),
            api.delete_preferences_for_user(ada, foreign),
        ):
            with pytest.raises(PermissionDeniedError):
                await call
        assert await api.get_preferences_for_user(ada) == []
        assert await api.get_preferences_for_user(bob) == []
