"""Which users are meant: the filters of lists and searches, turned into conditions.

Layer:  devserver, over the store.
Errors: ValidationError for the one filter that this server does not know, rather than to answer with too much.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypedDict

from mm_plugin.devserver.errors import invalid

if TYPE_CHECKING:
    from mm_plugin.devserver.store import Store
    from mm_plugin.messages.users import User

__all__ = ("UserFilter", "find_users")

_IN_TEAM = "id IN (SELECT user_id FROM team_members WHERE team_id = ? AND delete_at = 0)"
_IN_CHANNEL = "id IN (SELECT user_id FROM channel_members WHERE channel_id = ?)"
_IN_GROUP = "id IN (SELECT user_id FROM group_members WHERE group_id = ? AND delete_at = 0)"
_IN_NO_TEAM = "id NOT IN (SELECT user_id FROM team_members WHERE delete_at = 0)"
_CONDITIONS = (
    ("in_team_id", _IN_TEAM), ("not_in_team_id", f"NOT {_IN_TEAM}"),
    ("in_channel_id", _IN_CHANNEL), ("not_in_channel_id", f"NOT {_IN_CHANNEL}"),
    ("in_group_id", _IN_GROUP), ("not_in_group_id", f"NOT {_IN_GROUP}"),
)  # fmt: skip


class UserFilter(TypedDict, total=False):
    """What limits a list of users; what is empty or left out does not. ``roles`` and its like: any of them."""

    in_team_id: str
    not_in_team_id: str
    in_channel_id: str
    not_in_channel_id: str
    in_group_id: str
    not_in_group_id: str
    group_constrained: bool
    without_team: bool
    inactive: bool
    active: bool
    role: str
    roles: Sequence[str]
    channel_roles: Sequence[str]
    team_roles: Sequence[str]


async def find_users(store: Store, wanted: UserFilter) -> list[User]:
    """Return the users that are meant, as they are kept, in the order of their names.

    ``channel_roles`` and ``team_roles`` are those held in ``in_channel_id`` and ``in_team_id``.

    Raises:
        ValidationError: ``group_constrained`` is asked for.
    """
    if wanted.get("group_constrained"):
        raise invalid("api.context.invalid_url_param.app_error", "This server cannot filter by group_constrained.")
    given = {name: str(value) for name, value in wanted.items() if isinstance(value, str) and value}
    conditions = [(where, given[name]) for name, where in _CONDITIONS if name in given]
    where = " AND ".join([_IN_NO_TEAM if wanted.get("without_team") else "TRUE", *(where for where, _ in conditions)])
    users = await store.users.find(where, *(value for _, value in conditions), order="username")
    if names := {*wanted.get("roles", ()), *wanted.get("channel_roles", ()), *wanted.get("team_roles", ())}:
        held = await _roles_held(store, wanted)
        users = [user for user in users if names & {*user.roles.split(), *held.get(user.id, ())}]
    return [
        user
        for user in users
        if wanted.get("role", "") in {"", *user.roles.split()}
        and not (wanted.get("active") and user.delete_at)
        and not (wanted.get("inactive") and not user.delete_at)
    ]


async def _roles_held(store: Store, wanted: UserFilter) -> dict[str, set[str]]:
    """Return the roles that users hold in the team and channel that are asked about, by user."""
    held: dict[str, set[str]] = {}
    if wanted.get("team_roles"):
        for member in await store.team_members.find("team_id = ?", wanted.get("in_team_id", "")):
            held.setdefault(member.user_id, set()).update(member.roles.split())
    if wanted.get("channel_roles"):
        for place in await store.channel_members.find("channel_id = ?", wanted.get("in_channel_id", "")):
            held.setdefault(place.user_id, set()).update(place.roles.split())
    return held
