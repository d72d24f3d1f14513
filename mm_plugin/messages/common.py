"""What several topics share: contexts, errors, small containers."""

from __future__ import annotations

from mm_plugin._proto.common_pb2 import (
    AppError as AppError,
    PluginContext as PluginContext,
    RequestContext as RequestContext,
    StringMap as StringMap,
    ViewUsersRestrictions as ViewUsersRestrictions,
)
