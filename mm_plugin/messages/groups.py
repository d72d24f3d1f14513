"""User groups."""

from __future__ import annotations

from mm_plugin._proto.group_pb2 import (
    CreateDefaultMembershipParams as CreateDefaultMembershipParams,
    Group as Group,
    GroupMember as GroupMember,
    GroupSearchOpts as GroupSearchOpts,
    GroupSyncable as GroupSyncable,
)
