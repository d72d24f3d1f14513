"""What people write into Mattermost's search box, and whether a post is meant by it.

Job:    take the words apart: phrases, exclusions, ``from:``, ``in:``, ``before:``, ``after:``, ``on:``; match one post.
Layer:  devserver. Pure functions; names of users and channels are resolved by the caller.
See:    https://docs.mattermost.com/collaborate/search-for-messages.html
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mm_plugin.messages.posts import Post

__all__ = ("Query", "parse_query")

_PART = re.compile(r'(-?)(?:(from|in|channel|before|after|on):\s?)?("[^"]*"|\S+)', re.IGNORECASE)
_DAY = re.compile(r"(\d{4})-(\d{1,2})-(\d{1,2})")
_DAY_MS = 24 * 60 * 60 * 1000
_ALWAYS = 1 << 62


@dataclass(slots=True, kw_only=True)
class Query:
    """What is searched for.

    Attributes:
        words: Words and phrases, in lower case; a trailing ``*`` completes.
        excluded: Words and phrases that must not be there.
        any_word: Whether one of the words is enough.
        from_users: Names or ids of authors; empty for all.
        not_from_users: Likewise, of those who are not meant.
        in_channels: Names or ids of channels; empty for all.
        not_in_channels: Likewise, of those that are not meant.
        since_ms: The first millisecond that counts.
        until_ms: The first one after that does not.
    """

    words: list[str] = field(default_factory=list[str])
    excluded: list[str] = field(default_factory=list[str])
    any_word: bool = False
    from_users: set[str] = field(default_factory=set[str])
    not_from_users: set[str] = field(default_factory=set[str])
    in_channels: set[str] = field(default_factory=set[str])
    not_in_channels: set[str] = field(default_factory=set[str])
    since_ms: int = 0
    until_ms: int = _ALWAYS

    @property
    def is_empty(self) -> bool:
        """Whether it asks for nothing at all, which finds nothing."""
        return self == Query(any_word=self.any_word)

    def matches(self, post: Post, author: set[str], channel: set[str]) -> list[str] | None:
        """Return the words of the query that a post holds, or None where the post is not meant.

        Args:
            post: The post.
            author: Name and id of its author.
            channel: Name and id of its channel.
        """
        text = post.message.lower()
        if (
            not self.since_ms <= post.create_at < self.until_ms
            or (self.from_users and not self.from_users & author)
            or self.not_from_users & author
            or (self.in_channels and not self.in_channels & channel)
            or self.not_in_channels & channel
            or any(_holds(text, word) for word in self.excluded)
        ):
            return None
        found = [word for word in self.words if _holds(text, word)]
        enough = not self.words or (bool(found) if self.any_word else len(found) == len(self.words))
        return found if enough else None


def parse_query(terms: str, *, any_word: bool = False, zone_offset_s: int = 0) -> Query:
    """Take apart what somebody searches for.

    Args:
        terms: The text of the search box.
        any_word: Whether one of the words is enough.
        zone_offset_s: The seconds by which days begin before those of UTC.
    """
    query = Query(any_word=any_word)
    for minus, flag, quoted in _PART.findall(terms):
        value = quoted.strip('"').strip().lower()
        match flag.lower():
            case "" if value:
                (query.excluded if minus else query.words).append(value)
            case "from":
                (query.not_from_users if minus else query.from_users).add(value.removeprefix("@"))
            case "in" | "channel":
                (query.not_in_channels if minus else query.in_channels).add(value.removeprefix("~"))
            case "before" | "after" | "on" as when if (day := _day_ms(value, zone_offset_s)) is not None:
                if when != "before":
                    query.since_ms = max(query.since_ms, day + (_DAY_MS if when == "after" else 0))
                if when != "after":
                    query.until_ms = min(query.until_ms, day + (_DAY_MS if when == "on" else 0))
            case _:
                pass
    return query


def _day_ms(text: str, zone_offset_s: int) -> int | None:
    """Return when a day begins; None for what is no day."""
    parts = _DAY.fullmatch(text)
    try:
        day = datetime(int(parts[1]), int(parts[2]), int(parts[3]), tzinfo=UTC) if parts else None
    except ValueError:
        return None
    return None if day is None else int((day - timedelta(seconds=zone_offset_s)).timestamp() * 1000)


def _holds(text: str, word: str) -> bool:
    """Tell whether a text holds a word as a word, or something that begins with it where it ends with ``*``."""
    end = "" if word.endswith("*") else r"(?!\w)"
    return re.search(rf"(?<!\w){re.escape(word.rstrip('*'))}{end}", text) is not None
