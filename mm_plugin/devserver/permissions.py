"""Which role grants what: Mattermost's own roles with the permissions they are born with.

Job:    answer for the roles of a new server, without schemes and without changes by an administrator.
Layer:  devserver. Pure data and functions.
See:    https://docs.mattermost.com/onboard/advanced-permissions-backend-infrastructure.html
"""

from __future__ import annotations

from collections.abc import Iterable
from types import MappingProxyType

__all__ = ("CHANNEL_ROLES", "SYSTEM_ROLES", "TEAM_ROLES", "grants", "unknown_roles")

_CHANNEL_GUEST = (
    "read_channel read_channel_content add_reaction remove_reaction upload_file edit_post create_post"
    " use_channel_mentions use_slash_commands"
)
_CHANNEL_USER = (
    f"{_CHANNEL_GUEST} manage_public_channel_members manage_public_channel_properties delete_public_channel"
    " manage_private_channel_members manage_private_channel_properties delete_private_channel delete_post"
    " use_group_mentions get_public_link add_bookmark_public_channel edit_bookmark_public_channel"
    " delete_bookmark_public_channel order_bookmark_public_channel add_bookmark_private_channel"
    " edit_bookmark_private_channel delete_bookmark_private_channel order_bookmark_private_channel"
)
_CHANNEL_ADMIN = (
    "manage_channel_roles use_group_mentions add_bookmark_public_channel edit_bookmark_public_channel"
    " delete_bookmark_public_channel order_bookmark_public_channel add_bookmark_private_channel"
    " edit_bookmark_private_channel delete_bookmark_private_channel order_bookmark_private_channel"
    " manage_public_channel_banner manage_private_channel_banner"
)
_TEAM_GUEST = "view_team"
_TEAM_USER = (
    "list_team_channels join_public_channels read_public_channel view_team create_public_channel"
    " create_private_channel invite_user add_user_to_team playbook_public_create playbook_private_create"
)
_TEAM_ADMIN = (
    "remove_user_from_team manage_team import_team manage_team_roles manage_channel_roles manage_slash_commands"
    " manage_own_slash_commands manage_others_slash_commands manage_incoming_webhooks manage_own_incoming_webhooks"
    " manage_others_incoming_webhooks manage_outgoing_webhooks manage_own_outgoing_webhooks"
    " manage_others_outgoing_webhooks delete_post delete_others_posts convert_public_channel_to_private"
    " convert_private_channel_to_public playbook_public_manage_roles playbook_private_manage_roles"
    " add_bookmark_public_channel manage_public_channel_banner manage_private_channel_banner"
)
_SYSTEM_GUEST = "create_direct_channel create_group_channel"
_SYSTEM_USER = (
    "list_public_teams join_public_teams create_direct_channel create_group_channel view_members create_team"
    " create_emojis delete_emojis create_custom_group edit_custom_group delete_custom_group restore_custom_group"
    " manage_custom_group_members"
)
#: The role of an administrator grants everything, also what is not named here.
_EVERYTHING = "system_admin"

_PERMISSIONS = MappingProxyType(
    {
        name: frozenset(permissions.split())
        for name, permissions in {
            "channel_guest": _CHANNEL_GUEST,
            "channel_user": _CHANNEL_USER,
            "channel_admin": _CHANNEL_ADMIN,
            "team_guest": _TEAM_GUEST,
            "team_user": _TEAM_USER,
            "team_admin": _TEAM_ADMIN,
            "team_post_all": "create_post use_channel_mentions",
            "team_post_all_public": "create_post_public use_channel_mentions",
            "system_guest": _SYSTEM_GUEST,
            "system_user": _SYSTEM_USER,
            "system_post_all": "create_post use_channel_mentions",
            "system_post_all_public": "create_post_public use_channel_mentions",
            "system_user_access_token": "create_user_access_token read_user_access_token revoke_user_access_token",
            "system_read_only_admin": "",
            "system_user_manager": "",
            "system_manager": "",
            "system_custom_group_admin": (
                "create_custom_group edit_custom_group delete_custom_group restore_custom_group"
                " manage_custom_group_members"
            ),
            _EVERYTHING: "",
        }.items()
    }
)
SYSTEM_ROLES = frozenset(name for name in _PERMISSIONS if name.startswith("system_"))
TEAM_ROLES = frozenset(name for name in _PERMISSIONS if name.startswith("team_"))
CHANNEL_ROLES = frozenset(name for name in _PERMISSIONS if name.startswith("channel_"))


def grants(roles: Iterable[str], permission_id: str) -> bool:
    """Tell whether any of the roles grants a permission; an unknown role grants nothing."""
    return any(role == _EVERYTHING or permission_id in _PERMISSIONS.get(role, ()) for role in roles)


def unknown_roles(roles: str, known: frozenset[str]) -> list[str]:
    """Return those of a list of roles, separated by spaces, that are not among the known ones."""
    return [role for role in roles.split() if role not in known]
