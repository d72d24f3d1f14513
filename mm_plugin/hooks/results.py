"""The results a handler can return where a plain message, number or None does not say it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mm_plugin._proto.file_pb2 import FileInfo
    from mm_plugin.hooks.files import NewContent

__all__ = ("DISMISS_REASON", "Dismiss", "Reject", "ReplaceFile")

#: The rejection reason by which the server drops a post silently (reference: the Go host's MessageWillBePosted).
DISMISS_REASON = "plugin.message_will_be_posted.dismiss_post"


@dataclass(frozen=True, slots=True)
class Reject:
    """Refuse what the server asked about.

    Hooks with a rejection reason carry it in there, hooks with an error in their answer carry it as that error.

    Attributes:
        reason: Shown to the user who is refused. Must not be empty: the server reads an empty one as consent.

    Raises:
        TypeError: The reason is no text.
        ValueError: The reason is empty.
    """

    reason: str

    def __post_init__(self) -> None:
        if not isinstance(self.reason, str):  # pyright: ignore[reportUnnecessaryIsInstance] - authors need not check types
            raise TypeError(f"Reject needs a reason as str, not {type(self.reason).__name__}")
        if not self.reason:
            raise ValueError("Reject needs a reason: the server reads an empty one as consent")


@dataclass(frozen=True, slots=True)
class Dismiss:
    """Drop the post without telling its author; MessageWillBePosted alone knows this."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplaceFile:
    """Replace a file that is being uploaded; FileWillBeUploaded alone knows this.

    Returning a FileInfo or content alone says the same for one of the two.

    Attributes:
        info: The new description; None keeps the old one.
        content: The new content, as bytes or as an iterator of bytes, async or from a ``def`` handler; None keeps the
            old one. Empty content cannot be said on this wire.
    """

    info: FileInfo | None = None
    content: NewContent | None = None
