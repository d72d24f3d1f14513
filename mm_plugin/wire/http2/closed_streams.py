"""A bounded memory of how streams ended, to tell a late frame from a wrong one (RFC 9113, section 5.1)."""

from __future__ import annotations

from enum import Enum

__all__ = ("ClosedStreams", "Ending")


class Ending(Enum):
    """What is known about a stream that is not open."""

    NEVER_OPENED = "never opened"
    ENDED = "ended by both sides"
    RESET_HERE = "reset by us"
    RESET_THERE = "reset by the peer"
    FORGOTTEN = "so long ago that we do not know"


class ClosedStreams:
    """Two generations of endings: when the younger is full, the older is forgotten."""

    __slots__ = ("_before", "_capacity", "_forgotten_up_to", "_recent")

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._recent: dict[int, Ending] = {}
        self._before: dict[int, Ending] = {}
        self._forgotten_up_to = 0

    def remember(self, stream_id: int, ending: Ending) -> None:
        """Note how a stream ended."""
        self._recent[stream_id] = ending
        if len(self._recent) >= self._capacity:
            self._forgotten_up_to = max(self._forgotten_up_to, *self._before, 0)
            self._before, self._recent = self._recent, {}

    def ending(self, stream_id: int) -> Ending:
        """Say how a stream ended that is neither open nor idle."""
        ending = self._recent.get(stream_id) or self._before.get(stream_id)
        if ending is not None:
            return ending
        return Ending.FORGOTTEN if stream_id <= self._forgotten_up_to else Ending.NEVER_OPENED
