"""Shared channels and remote clusters."""

from __future__ import annotations

from mm_plugin._proto.shared_channel_pb2 import (
    GetPostsSinceForSyncCursor as GetPostsSinceForSyncCursor,
    RegisterPluginOpts as RegisterPluginOpts,
    RemoteCluster as RemoteCluster,
    SharedChannel as SharedChannel,
    SyncMsgJson as SyncMsgJson,
    SyncResponse as SyncResponse,
)
