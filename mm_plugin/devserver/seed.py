"""The people and places of a new development server: one team, one channel, three users, the same in every run.

Their ids and tokens are made of their names, so that a line in a shell's history goes on working. The tokens are
thereby known to everybody, as the password is: the server guards nothing, and listens on the loopback by default.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from mm_plugin.devserver.api import DevServerAPI
from mm_plugin.devserver.app import App
from mm_plugin.messages.channels import Channel, ChannelType
from mm_plugin.messages.helpers import now_ms
from mm_plugin.messages.teams import Team, TeamType
from mm_plugin.messages.users import User

__all__ = ("CHANNEL_NAME", "PASSWORD", "TEAM_NAME", "USER_NAMES", "Seed", "open_seed")

TEAM_NAME = "dev"
CHANNEL_NAME = "town-square"
#: The first one is the administrator.
USER_NAMES = ("admin", "ada", "bob")
#: Of all three; the server is for one developer's machine.
PASSWORD = "Passw0rd!"  # noqa: S105 - printed by the command, guards nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class Seed:
    """What a developer needs to try things.

    Attributes:
        team: The team.
        channel: Its town square.
        users: By name.
        tokens: A session's token for each user, by name.
    """

    team: Team
    channel: Channel
    users: dict[str, User]
    tokens: dict[str, str]


async def open_seed(app: App) -> Seed:
    """Make the team, channel and users where the state does not have them, and log everybody in."""
    api = DevServerAPI(app)
    team, channel = await _places(app)
    users: dict[str, User] = {}
    tokens: dict[str, str] = {}
    for name in USER_NAMES:
        found = await app.store.users.find("username = ?", name)
        users[name] = found[0] if found else await app.accounts.create(_user(name), user_id=_fixed_id(f"user {name}"))
        await api.create_team_member(team.id, users[name].id)
        await api.add_channel_member(channel.id, users[name].id)
        tokens[name] = await _log_in(app, users[name], _fixed_id(f"token {name}"))
    return Seed(team=team, channel=channel, users=users, tokens=tokens)


async def _log_in(app: App, user: User, token: str) -> str:
    await app.store.sessions.delete("token = ?", token)
    session = await app.accounts.start_session(user)
    session.token = token
    await app.store.sessions.put(session)
    return token


async def _places(app: App) -> tuple[Team, Channel]:
    store, now = app.store, now_ms()
    teams = await store.teams.find("name = ?", TEAM_NAME)
    if not teams:
        team = Team(name=TEAM_NAME, display_name="Development", type=TeamType.TEAM_TYPE_OPEN)
        team.id, team.invite_id = _fixed_id("team"), _fixed_id("invitation")
        team.create_at = team.update_at = now
        await store.teams.insert(team)
        teams = [team]
    team_id = teams[0].id
    channels = await store.channels.find("team_id = ? AND name = ?", team_id, CHANNEL_NAME)
    if not channels:
        channel = Channel(team_id=team_id, name=CHANNEL_NAME, display_name="Town Square")
        channel.id, channel.type = _fixed_id("channel"), ChannelType.CHANNEL_TYPE_OPEN
        channel.create_at = channel.update_at = now
        await store.channels.insert(channel)
        channels = [channel]
    return teams[0], channels[0]


def _fixed_id(what: str) -> str:
    """Return an id in the server's form that is the same in every run."""
    octets = hashlib.sha256(f"mm-plugin dev {what}".encode()).digest()
    return "".join("ybndrfg8ejkmcpqxot1uwisza345h769"[octet % 32] for octet in octets[:26])


def _user(name: str) -> User:
    roles = "system_admin system_user" if name == USER_NAMES[0] else "system_user"
    return User(username=name, email=f"{name}@example.com", first_name=name.title(), roles=roles, password=PASSWORD)
