"""Custom emoji."""

from __future__ import annotations

from mm_plugin._proto.emoji_pb2 import Emoji as Emoji
