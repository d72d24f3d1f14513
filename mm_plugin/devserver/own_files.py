"""Which changes of a bundle's files does the plugin itself make, so that they must not restart it for ever?

Job:    two starts in a row that change files in the same place are taken for the plugin's own writing.
Layer:  devserver, sans-IO.
Input:  when a start begins and ends, what has changed and when, on any clock that does not go back.
Output: the changes that count. Python code and the manifest always do, and so does all that changes outside of a start:
        an author whose saves fell into two starts is heard again with the next one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from mm_plugin import limits

__all__ = ("OwnFiles",)

_ALWAYS = {".py", ".yaml", ".yml"}
_MANIFEST = "plugin.json"
_STARTS = 2


class OwnFiles:
    """Sifts the changes of one bundle.

    Args:
        told: Called once for each place whose changes within a start no longer count: a folder as ``folder/``, else
            ``*.suffix`` or a name.
    """

    def __init__(self, told: Callable[[str], None]) -> None:
        self._told = told
        self._ended_at: float | None = None
        self._written: set[str] = set()
        self._starts_in_a_row: dict[str, int] = {}
        self._known: set[str] = set()

    def start_begins(self) -> None:
        """The plugin is being started, or stopped before."""
        # What the last start has not written is not written by every start.
        self._starts_in_a_row = {place: self._starts_in_a_row.get(place, 0) + 1 for place in self._written}
        self._written = set()
        self._ended_at = None

    def start_ends(self, now: float) -> None:
        """The plugin runs, or does not; what it wrote may be seen a little later."""
        self._ended_at = now

    def sift(self, paths: Iterable[Path], now: float) -> set[Path]:
        """Return those of the changed paths, relative to the bundle, that are to restart the plugin."""
        if self._ended_at is not None and now > self._ended_at + limits.devserver_own_files_s:
            return set(paths)
        return {path for path in paths if not self._is_own(path)}

    def _is_own(self, path: Path) -> bool:
        if _is_code(path):
            return False
        place = _place(path)
        self._written.add(place)
        if self._starts_in_a_row.get(place, 0) + 1 < _STARTS:
            return False
        if place not in self._known:
            self._known.add(place)
            self._told(place)
        return True


def _is_code(path: Path) -> bool:
    return path.suffix in _ALWAYS or path.name == _MANIFEST


def _place(path: Path) -> str:
    """Return what stands for a file whose name may be another one each time."""
    if path.parent.name:
        return f"{path.parent.as_posix()}/"
    return f"*{path.suffix}" if path.suffix else path.name
