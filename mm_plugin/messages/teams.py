"""Teams and their members."""

from __future__ import annotations

from mm_plugin._proto.team_pb2 import (
    Team as Team,
    TeamMember as TeamMember,
    TeamMemberWithError as TeamMemberWithError,
    TeamStats as TeamStats,
    TeamType as TeamType,
    TeamUnread as TeamUnread,
)
