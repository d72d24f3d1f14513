"""Small functions over messages: ids, times, props."""

from __future__ import annotations

import base64
import secrets
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from mm_plugin.messages.structs import dict_of_struct

if TYPE_CHECKING:
    from mm_plugin.messages.channels import Channel
    from mm_plugin.messages.commands import CommandResponse
    from mm_plugin.messages.posts import Post
    from mm_plugin.types import JSONValue

__all__ = ("new_id", "now_ms", "props_of", "time_of")

_STANDARD = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
_MATTERMOST = b"ybndrfg8ejkmcpqxot1uwisza345h769"
_ALPHABET = bytes.maketrans(_STANDARD, _MATTERMOST)


def new_id() -> str:
    """Return a new id as the server makes them: 26 characters for 16 random octets."""
    return base64.b32encode(secrets.token_bytes(16)).rstrip(b"=").translate(_ALPHABET).decode()


def now_ms() -> int:
    """Return the time as the server counts it: milliseconds since 1970."""
    return time.time_ns() // 1_000_000


def time_of(time_ms: int) -> datetime | None:
    """Return a time in UTC; None for 0, which means never."""
    return datetime.fromtimestamp(time_ms / 1000, UTC) if time_ms else None


def props_of(message: Post | Channel | CommandResponse) -> dict[str, JSONValue]:
    """Return the props of a message as a dict, whole numbers as ``int``; {} where it has none."""
    return dict_of_struct(message.props)
