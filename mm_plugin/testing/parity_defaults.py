"""What each API method leaves out, and what the server must see then: agreed on by hand, derived from nothing.

Layer:  testing. ``api/table.py`` has the rules from which the client is generated; this table is what they must come
        to, method by method, so that a wrong rule, or a wrong line in the generated client, shows.
Output: ``DEFAULTS``: by the client's method, each optional parameter with what the server's handler is given.

Design decision 8: pages begin at 0 and have 60 entries, 100 of ``kv_list``; searches for users give 100; options
messages are left out; every other default restricts nothing and names nobody.
"""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ("DEFAULTS",)

_PAGE: Mapping[str, object] = {"page": 0, "per_page": 60}
_LIVING: Mapping[str, object] = {"include_deleted": False}
_NOBODY_ASKED: Mapping[str, object] = {"requestor_id": ""}
_FIELDS: Mapping[str, object] = {"key_value_pairs": {}}
_OPTIONS: Mapping[str, object] = {"options": None}
_OPTS: Mapping[str, object] = {"opts": None}
_ANY_USER: Mapping[str, object] = {
    "in_team_id": "",
    "not_in_team_id": "",
    "in_channel_id": "",
    "not_in_channel_id": "",
    "in_group_id": "",
    "not_in_group_id": "",
    "group_constrained": False,
    "without_team": False,
    "role": "",
    "roles": [],
    "channel_roles": [],
    "team_roles": [],
}
_ANY_FOUND_USER = {name: value for name, value in _ANY_USER.items() if name != "in_team_id"}

DEFAULTS: Mapping[str, Mapping[str, object]] = {
    "get_users": {
        **_ANY_USER,
        **_PAGE,
        "inactive": False,
        "active": False,
        "sort": "",
        "updated_after": 0,
        "view_restrictions": None,
    },
    "search_users": {**_ANY_FOUND_USER, "team_id": "", "allow_inactive": False, "limit": 100},
    "get_users_in_team": _PAGE,
    "get_users_in_channel": {"sort_by": "", **_PAGE},
    "publish_user_typing": {"parent_id": ""},
    "create_team_members": _NOBODY_ASKED,
    "create_team_members_gracefully": _NOBODY_ASKED,
    "delete_team_member": _NOBODY_ASKED,
    "get_team_members": _PAGE,
    "get_team_members_for_user": _PAGE,
    "get_public_channels_for_team": _PAGE,
    "get_channel_by_name": _LIVING,
    "get_channel_by_name_for_team_name": _LIVING,
    "get_channels_for_team_for_user": _LIVING,
    "add_user_to_channel": {"as_user_id": ""},
    "get_channel_members": _PAGE,
    "get_channel_members_for_user": _PAGE,
    "get_posts_after": _PAGE,
    "get_posts_before": _PAGE,
    "get_posts_for_channel": _PAGE,
    "get_emoji_list": {"sort_by": "", **_PAGE},
    "kv_set_with_options": _OPTIONS,
    "kv_list": {"page": 0, "per_page": 100},
    "log_debug": _FIELDS,
    "log_info": _FIELDS,
    "log_error": _FIELDS,
    "log_warn": _FIELDS,
    "get_file_infos": {**_PAGE, **_OPTIONS},
    "get_bot": _LIVING,
    "get_bots": _OPTIONS,
    "get_group_member_users": _PAGE,
    "get_groups": {**_PAGE, **_OPTS, "view_restrictions": None},
    "register_plugin_for_shared_channels": _OPTS,
    "invite_remote_to_channel": {"share_if_not_shared": False},
    "search_property_fields": _OPTS,
    "count_property_fields": _LIVING,
    "count_property_fields_for_target": _LIVING,
    "search_property_values": _OPTS,
    "plugin_http": {"headers": {}, "body": b""},
    "publish_plugin_cluster_event": _OPTS,
}
