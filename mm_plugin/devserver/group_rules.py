"""What groups mean for teams and channels: who is to be a member by a link, and who may be one at all.

Job:    read the links between groups, teams and channels.
Layer:  devserver, over the store.
Errors: PermissionDeniedError for who may not join.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mm_plugin.devserver.errors import denied

if TYPE_CHECKING:
    from mm_plugin.devserver.store import Store

__all__ = ("CHANNEL", "TEAM", "check_may_join", "members_by_groups")

TEAM, CHANNEL = "Team", "Channel"
_IN_LINKED_GROUPS = (
    "delete_at = 0 AND group_id IN (SELECT group_id FROM group_syncables WHERE syncable_type = ? AND syncable_id = ?"
    " AND delete_at = 0) AND group_id IN (SELECT id FROM user_groups WHERE delete_at = 0)"
)


async def members_by_groups(store: Store, syncable_type: str, syncable_id: str) -> set[str]:
    """Return the ids of the users who are in a group that is linked to a team or channel."""
    found = await store.group_members.find(_IN_LINKED_GROUPS, syncable_type, syncable_id)
    return {member.user_id for member in found}


async def check_may_join(
    store: Store, syncable_type: str, syncable_id: str, user_id: str, *, group_constrained: bool
) -> None:
    """Make sure that a user may be in a team or channel that only groups may be in.

    Raises:
        PermissionDeniedError: The user is in none of its groups.
    """
    if group_constrained and user_id not in await members_by_groups(store, syncable_type, syncable_id):
        raise denied(f"The {syncable_type.lower()} is for members of its groups, and the user is in none of them.")
