"""Which files of a bundle count, and that no change is missed."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest

from mm_plugin.devserver.watch import Changes, is_source, watch_bundle
from mm_plugin.exceptions import ConfigurationError


@pytest.mark.parametrize(
    ("name", "counts"),
    [
        ("plugin.py", True),
        ("plugin.json", True),
        ("assets/logo.svg", True),
        ("templates/venv.html", True),
        ("gitignore.py", True),
        (".git/index", False),
        ("lib/__pycache__/x.cpython-311.pyc", False),
        ("old.pyc", False),
        ("venv/lib/python3/site.py", False),
        (".venv/bin/python", False),
        ("mine/lib/site.py", False),
        ("node_modules/x/index.js", False),
        ("state.sqlite", False),
        ("state.sqlite-wal", False),
        ("kept.db", False),
        ("plugin.py~", False),
        (".plugin.py.swp", False),
        (".#plugin.py", False),
        ("4913", False),
        ("run.log", False),
        ("data/kept.json", False),
        ("lib/cache/page.html", False),
        ("data/model.py", True),
    ],
)
def test_what_an_author_writes_counts(tmp_path: Path, name: str, counts: bool) -> None:
    """Sources count wherever they are; compiled code, environments, databases and editors' traces do not."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "pyvenv.cfg").touch()
    assert is_source(tmp_path / name, tmp_path) is counts


@pytest.mark.parametrize(
    ("pattern", "left_out"),
    [
        ("state", {"state", "state/x.json", "lib/state/y"}),
        ("state/", {"state", "state/x.json", "lib/state/y"}),
        ("lib/state", {"lib/state/y"}),
        ("*.json", {"state/x.json"}),
        ("plugin.*", {"plugin.py"}),
        ("", set[str]()),
    ],
)
def test_what_the_author_leaves_out(pattern: str, left_out: set[str]) -> None:
    """A pattern is a name, or a path from the bundle's root, of a file or of a folder around it."""
    bundle = Path("/somewhere/state")
    names = ("plugin.py", "state", "state/x.json", "lib/state/y")
    assert {name for name in names if not is_source(bundle / name, bundle, [pattern])} == left_out


def test_a_bundle_inside_an_ignored_folder_counts() -> None:
    """Only the part of the path inside the bundle is looked at."""
    bundle = Path("/somewhere/venv/.git/bundle")
    assert is_source(bundle / "plugin.py", bundle)


async def wait_for(changes: Changes, *wanted: str) -> set[str]:
    """Collect changes until all that is wanted is among them."""
    found: set[str] = set()
    with anyio.fail_after(20):
        while not found.issuperset(wanted):
            await changes.wait()
            found.update(map(str, changes.take()))
    return found


async def test_changes_are_told_from_the_first_moment(tmp_path: Path) -> None:
    """Written, renamed and deleted files are told, right after the watch begins; what does not count is not."""
    (tmp_path / "old.py").touch()
    async with watch_bundle(tmp_path, ignored=[tmp_path / "mine.bin"]) as changes:
        (tmp_path / "plugin.py").write_text("x = 1")
        (tmp_path / "state.sqlite").write_text("x")
        (tmp_path / "mine.bin").write_text("x")
        (tmp_path / "mine.bin-wal").write_text("x")
        assert await wait_for(changes, "plugin.py") == {"plugin.py"}
        (tmp_path / "new").write_text("x = 2")
        (tmp_path / "new").rename(tmp_path / "plugin.py")  # as editors save
        (tmp_path / "old.py").unlink()
        assert {"plugin.py", "old.py"} <= await wait_for(changes, "plugin.py", "old.py")
        (tmp_path / "sub").mkdir()
        await wait_for(changes, "sub")
        (tmp_path / "sub" / "deep.py").write_text("x = 3")
        await wait_for(changes, "sub/deep.py")


async def test_only_the_ignored_file_itself_is_left_out(tmp_path: Path) -> None:
    """A file whose name only begins like that of an ignored one counts; what SQLite puts beside the latter does not."""
    async with watch_bundle(tmp_path, ignored=[tmp_path / "state"]) as changes:
        for name in ("state", "state-wal", "state-shm", "state-journal", "state.py", "state_of_things.py"):
            (tmp_path / name).write_text("x = 1")
        assert await wait_for(changes, "state.py", "state_of_things.py") == {"state.py", "state_of_things.py"}


async def test_a_folder_that_cannot_be_watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the system watches no more folders, the sentence says what to do, and arrives as it is."""

    def refuse(*_paths: object, **_options: object) -> None:
        raise OSError(28, "OS file watch limit reached")

    monkeypatch.setattr("watchfiles.main.RustNotify", refuse)
    with pytest.raises(ConfigurationError, match=r"cannot be watched: OS file watch limit reached; .*--no-reload"):
        async with watch_bundle(tmp_path):
            await anyio.sleep_forever()


async def test_the_watch_ends_at_once(tmp_path: Path) -> None:
    """Leaving the context does not wait for the watching thread's own timeout of five seconds."""
    with anyio.fail_after(4):
        async with watch_bundle(tmp_path):
            pass
