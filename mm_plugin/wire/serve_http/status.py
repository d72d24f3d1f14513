"""Which status a response may have. Internal."""

from __future__ import annotations

from mm_plugin.exceptions import RemoteProtocolError

__all__ = ("InvalidStatusError", "is_valid_status")


class InvalidStatusError(RemoteProtocolError):
    """A plugin answered with a status outside 100 to 999; the server shows a page with status 500 instead.

    Attributes:
        status: The number it gave.
    """

    docs_code = "MMP205"

    def __init__(self, status: int) -> None:
        super().__init__(f"the plugin answered with status {status}, which is outside 100 to 999")
        self.status = status


def is_valid_status(status: int) -> bool:
    """Tell whether the server passes this status on (Go's net/http panics outside 100 to 999)."""
    return 100 <= status <= 999
