"""The people and places of a new development server: one team, one channel, three users."""

from __future__ import annotations

from dataclasses import dataclass

from mm_plugin.devserver.api import DevServerAPI
from mm_plugin.devserver.app import App
from mm_plugin.messages.channels import Channel
from mm_plugin.messages.teams import Team
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
        tokens: A session's token for each user, by name; new in each run.
    """

    team: Team
    channel: Channel
    users: dict[str, User]
    tokens: dict[str, str]


async def open_seed(app: App) -> Seed:
    """Make the team, channel and users where the state does not have them, and log everybody in."""
    api = DevServerAPI(app)
    store = app.store
    teams = await store.teams.find("name = ?", TEAM_NAME)
    team = teams[0] if teams else await api.create_team(Team(name=TEAM_NAME, display_name="Development"))
    channels = await store.channels.find("team_id = ? AND name = ?", team.id, CHANNEL_NAME)
    channel = (
        channels[0]
        if channels
        else await api.create_channel(Channel(team_id=team.id, name=CHANNEL_NAME, display_name="Town Square"))
    )
    users: dict[str, User] = {}
    tokens: dict[str, str] = {}
    for name in USER_NAMES:
        found = await store.users.find("username = ?", name)
        users[name] = found[0] if found else await app.accounts.create(_user(name))
        await api.create_team_member(team.id, users[name].id)
        await api.add_channel_member(channel.id, users[name].id)
        tokens[name] = (await app.accounts.start_session(users[name])).token
    return Seed(team=team, channel=channel, users=users, tokens=tokens)


def _user(name: str) -> User:
    roles = "system_admin system_user" if name == USER_NAMES[0] else "system_user"
    return User(username=name, email=f"{name}@example.com", first_name=name.title(), roles=roles, password=PASSWORD)
