"""Bots."""

from __future__ import annotations

from mm_plugin._proto.bot_pb2 import Bot as Bot, BotGetOptions as BotGetOptions, BotPatch as BotPatch
