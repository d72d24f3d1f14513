"""WebSocket messages."""

from __future__ import annotations

from mm_plugin._proto.websocket_pb2 import (
    WebsocketBroadcast as WebsocketBroadcast,
    WebSocketRequest as WebSocketRequest,
)
