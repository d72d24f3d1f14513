"""Users, sessions and statuses."""

from __future__ import annotations

from mm_plugin._proto.user_pb2 import (
    CustomStatus as CustomStatus,
    Session as Session,
    Status as Status,
    User as User,
    UserAccessToken as UserAccessToken,
    UserAuth as UserAuth,
)
