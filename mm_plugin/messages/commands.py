"""Slash commands."""

from __future__ import annotations

from mm_plugin._proto.command_pb2 import (
    Command as Command,
    CommandArgs as CommandArgs,
    CommandResponse as CommandResponse,
)
