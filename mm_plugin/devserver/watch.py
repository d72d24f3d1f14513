"""Tell when the files of a plugin change.

Job:    watch a bundle's folder, leave out what no author writes, and hand on what has changed since the last look.
Layer:  devserver, over watchfiles (extra ``dev``), imported when the watching starts.
Output: sets of paths, relative to the bundle.
Errors: ConfigurationError where the system cannot watch.
"""

from __future__ import annotations

import logging
import re
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import aclosing, asynccontextmanager
from fnmatch import fnmatchcase
from pathlib import Path

import anyio
from anyio.abc import TaskStatus

from mm_plugin import limits
from mm_plugin.exceptions import ConfigurationError
from mm_plugin.host.ungrouped import ungrouped

__all__ = ("Changes", "is_source", "watch_bundle")

#: What SQLite puts beside a database.
_SQLITE_ENDS = ("-wal", "-shm", "-journal")
_FOLDERS = {
    "__pycache__", ".git", ".hg", ".svn", ".tox", ".nox", ".idea", ".vscode", "node_modules",
    ".mypy_cache", ".pytest_cache", ".ruff_cache", ".hypothesis",
    "venv", ".venv",
}  # fmt: skip
# Where programs keep what they write; code counts there all the same.
_WRITTEN = {"data", "logs", "tmp", "cache"}
# Compiled code, the traces of editors, and files that programs write while they run.
_FILES = re.compile(
    r"\.py[cod]$|\.sw.$|~$|^\.?#|^4913$|^\.DS_Store$|\.tmp$|\.log$|\.(db|sqlite3?)(-(wal|shm|journal))?$"
)


def is_source(path: Path, bundle: Path, patterns: Iterable[str] = ()) -> bool:
    """Tell whether a changed file is one that an author writes.

    Args:
        path: The file, absolute.
        bundle: The bundle's folder, absolute.
        patterns: What does not count either, as ``fnmatch`` has it: names, or paths relative to the bundle, of the file
            or of a folder that it is in.
    """
    inside = path.relative_to(bundle)
    if _FOLDERS.intersection(inside.parts) or _FILES.search(inside.name):
        return False
    if inside.suffix != ".py" and _WRITTEN.intersection(inside.parts):
        return False
    wholes = [whole for whole in (inside, *inside.parents) if whole.name]
    for pattern in (pattern.rstrip("/") for pattern in patterns):
        if any(fnmatchcase(whole.name, pattern) or fnmatchcase(whole.as_posix(), pattern) for whole in wholes):
            return False
    return not any((bundle / folder / "pyvenv.cfg").exists() for folder in inside.parents if folder.name)


class Changes:
    """What has changed and was not yet looked at; made by ``watch_bundle``."""

    def __init__(self) -> None:
        self._paths: set[Path] = set()
        self._news = anyio.Event()

    async def wait(self) -> None:
        """Wait until something has changed that ``take`` has not given."""
        await self._news.wait()

    def take(self) -> set[Path]:
        """Return what has changed since the last time, relative to the bundle."""
        paths, self._paths = self._paths, set()
        self._news = anyio.Event()
        return paths

    def add(self, paths: Iterable[Path]) -> None:
        """Note changes."""
        self._paths.update(paths)
        if self._paths:
            self._news.set()


@asynccontextmanager
async def watch_bundle(
    bundle: Path, *, ignored: Iterable[Path] = (), patterns: Sequence[str] = ()
) -> AsyncGenerator[Changes]:
    """Watch a bundle while the context is open; nothing that changes after it has been entered is missed.

    Args:
        bundle: The bundle's folder.
        ignored: Further files that do not count, with what SQLite puts beside them.
        patterns: Further names that do not count; see ``is_source``.

    Raises:
        ConfigurationError: The system cannot watch the folder; raised in the body's place, which is cancelled.
    """
    root = bundle.resolve()  # noqa: ASYNC240 - once, before anything runs
    beside = frozenset(f"{path.resolve()}{end}" for path in ignored for end in ("", *_SQLITE_ENDS))
    changes = Changes()
    with ungrouped():
        async with anyio.create_task_group() as tasks:
            await tasks.start(_watch, root, beside, tuple(patterns), changes)
            yield changes
            tasks.cancel_scope.cancel()


async def _watch(
    root: Path,
    ignored: frozenset[str],
    patterns: tuple[str, ...],
    changes: Changes,
    *,
    task_status: TaskStatus[None],
) -> None:
    from watchfiles import awatch

    logging.getLogger("watchfiles").setLevel(logging.WARNING)  # it would tell of every change
    stop = anyio.Event()
    trouble: OSError | None = None
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_set_when_cancelled, stop)
        watching = awatch(
            root,
            watch_filter=None,
            stop_event=stop,
            step=limits.devserver_quiet_files_ms,
            debounce=limits.devserver_busy_files_ms,
            ignore_permission_denied=True,
        )
        try:
            async with aclosing(watching):
                # The watch begins with the first step of the loop, before anybody else has a turn.
                task_status.started()
                async for found in watching:
                    paths = [Path(name) for _, name in found if name not in ignored]
                    changes.add(path.relative_to(root) for path in paths if is_source(path, root, patterns))
        except OSError as error:
            trouble = error  # raised below, where no group wraps it
        tasks.cancel_scope.cancel()
    if trouble is not None:
        raise ConfigurationError(
            f"{root}: cannot be watched: {trouble.strerror or trouble}; raise the system's limit (Linux: "
            "fs.inotify.max_user_watches), or leave watching with --no-reload"
        ) from trouble


async def _set_when_cancelled(stop: anyio.Event) -> None:
    """Let the watching thread go: cancellation alone would wait for its timeout."""
    try:
        await anyio.sleep_forever()
    finally:
        stop.set()
