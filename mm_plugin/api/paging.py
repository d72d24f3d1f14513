"""Paged: all entries of a list that the server gives page by page.

Layer:  api, beside the client. A class, not an async generator: it holds nothing between two entries that would have
        to be cleaned up, so a loop may be left at any point.
"""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from typing import Generic, Protocol, Self, TypeVar

from mm_plugin import limits

__all__ = ("Paged",)

_Entry = TypeVar("_Entry")
_Entry_co = TypeVar("_Entry_co", covariant=True)


class _PageMethod(Protocol[_Entry_co]):
    def __call__(self, *, page: int, per_page: int) -> Awaitable[Sequence[_Entry_co]]: ...


class Paged(Generic[_Entry]):
    """Iterate over a whole list, one call for each page.

    ::

        async for user in Paged(partial(api.get_users_in_team, team_id)):
            ...

    Each ``async for`` begins anew. One page is held at a time. Entries added or removed meanwhile shift the pages: an
    entry may then be missed or come twice.

    Args:
        method: Any method with the parameters ``page`` and ``per_page``, its other arguments bound by
            ``functools.partial``.
        per_page: Entries asked for at once.

    Raises:
        ValueError: ``per_page`` is not within 1 and ``limits.api_page_entries``.
    """

    def __init__(self, method: _PageMethod[_Entry], *, per_page: int = limits.api_page_entries) -> None:
        if not 1 <= per_page <= limits.api_page_entries:
            raise ValueError(f"per_page must be within 1 and {limits.api_page_entries}, not {per_page}")
        self._method = method
        self._per_page = per_page

    def __aiter__(self) -> _Walk[_Entry]:
        return _Walk(self._method, self._per_page)


class _Walk(Generic[_Entry]):
    """One walk over the pages."""

    def __init__(self, method: _PageMethod[_Entry], per_page: int) -> None:
        self._method = method
        self._per_page = per_page
        self._page = 0
        self._entries: Sequence[_Entry] = ()
        self._next = 0
        self._last = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> _Entry:
        """Return the next entry, fetching a page where needed; cancellation loses nothing.

        Raises:
            PluginAPIError: The page could not be fetched; asking again tries again.
            RuntimeError: There are more than ``limits.api_pages`` pages.
        """
        while self._next >= len(self._entries):
            if self._last:
                raise StopAsyncIteration
            if self._page >= limits.api_pages:
                raise RuntimeError(f"the list has no end: {limits.api_pages} full pages of {self._per_page} were read")
            entries = await self._method(page=self._page, per_page=self._per_page)
            self._page += 1
            self._entries, self._next = entries, 0
            self._last = len(entries) < self._per_page
        self._next += 1
        return self._entries[self._next - 1]
