"""Code that blocks the event loop is reported wherever it runs: in tasks of hooks, in background work, at intervals."""

from __future__ import annotations

import logging
import sys
import time
import types
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest

import mm_plugin
from mm_plugin.plugin.background import every
from mm_plugin.plugin.plugin import Plugin
from tests.plugin.running import running


def warnings_in(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    return [record for record in caplog.records if record.levelno == logging.WARNING]


def block_until_told(caplog: pytest.LogCaptureFixture, count: int = 1) -> None:
    """Block this thread until the watch has spoken, or far too long."""
    give_up_at = time.monotonic() + 20
    while len(warnings_in(caplog)) < count and time.monotonic() < give_up_at:
        time.sleep(0.005)


class Blocking(Plugin):
    """Blocks in one of the places where an author's code may run."""

    def __init__(self, where: str, caplog: pytest.LogCaptureFixture) -> None:
        self.where = where
        self.caplog = caplog
        self.done = anyio.Event()

    async def block(self) -> None:
        await anyio.lowlevel.checkpoint()
        block_until_told(self.caplog)
        self.done.set()

    async def on_activate(self) -> None:
        if self.where == "task_group":
            self.task_group.start_soon(self.block)
        if self.where == "start_soon":
            self.start_soon(self.block, name="words")
        if self.where == "late":
            self.start_soon(self.block_late)

    async def block_late(self) -> None:
        await anyio.sleep(0.1)  # the watch has nothing but this task to stay awake for
        await self.block()

    async def message_has_been_posted(self, context: Any, post: Any) -> None:
        if self.where == "child":
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self.block)

    @every(3600)
    async def tidy(self) -> None:
        if self.where == "every":
            await self.block()


@pytest.mark.parametrize(
    ("where", "text", "field"),
    [
        ("child", "a task of hook MessageHasBeenPosted blocks", ("hook", "MessageHasBeenPosted")),
        ("task_group", "a task of hook OnActivate blocks", ("hook", "OnActivate")),
        ("start_soon", "background work words blocks", ("task", "background work words")),
        ("late", "background work Blocking.block_late blocks", ("task", "background work Blocking.block_late")),
        ("every", "background work tidy blocks", ("task", "background work tidy")),
    ],
)
async def test_a_task_that_blocks_is_reported(
    where: str, text: str, field: tuple[str, str], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The report names the hook or the background work behind the task, and the line."""
    monkeypatch.setattr("mm_plugin.limits.loop_watch_idle_s", 0.02)
    plugin = Blocking(where, caplog)
    with anyio.fail_after(60):
        async with running(plugin) as run:
            await run.call("OnActivate")
            if where == "child":
                await run.call("MessageHasBeenPosted")
            await plugin.done.wait()
    (record,) = warnings_in(caplog)
    assert record.getMessage().startswith(text)
    assert "test_loop_watch_tasks.py:" in record.getMessage()
    assert "in block_until_told" in record.getMessage()
    assert record.__dict__[field[0]] == field[1]


async def test_each_place_of_a_hook_is_reported_once(caplog: pytest.LogCaptureFixture) -> None:
    """Two functions of one hook that block are two reports; the first one again is none."""

    class Twice(Plugin):
        async def message_has_been_posted(self, context: Any, post: Any) -> None:
            one = types.FunctionType(block_until_told.__code__.replace(co_name="one"), globals())
            other = types.FunctionType(block_until_told.__code__.replace(co_name="other"), globals())
            one(caplog, 1)
            await anyio.sleep(0.05)
            other(caplog, 2)
            await anyio.sleep(0.05)
            until = time.monotonic() + 0.3
            while time.monotonic() < until:
                one(caplog, 2)

    async with running(Twice()) as run:
        await run.call("MessageHasBeenPosted")
    places = [record.getMessage().rpartition(" in ")[2].partition(";")[0] for record in warnings_in(caplog)]
    assert places[:2] == ["one", "other"]
    assert "one" not in places[2:]


async def test_background_work_under_ever_new_names_is_reported_once(caplog: pytest.LogCaptureFixture) -> None:
    """A name may be made up for each piece of work; neither the log nor what the watch remembers grows with them."""

    class Naming(Plugin):
        async def on_activate(self) -> None:
            self.start_soon(self.work, name="piece 1")

        async def work(self, number: int = 1) -> None:
            await anyio.sleep(0.1)  # the heart beats between two of them
            block_until_told(caplog)
            until = time.monotonic() + 0.3
            while time.monotonic() < until:
                pass
            if number < 3:
                self.start_soon(partial(self.work, number + 1), name=f"piece {number + 1}")
            else:
                over.set()

    over = anyio.Event()
    with anyio.fail_after(60):
        async with running(Naming()) as run:
            await run.call("OnActivate")
            await over.wait()
    places = [record.getMessage().rpartition(" in ")[2].partition(";")[0] for record in warnings_in(caplog)]
    assert places
    assert len(places) == len(set(places))


@pytest.mark.parametrize("ours", [True, False])
async def test_imports_of_our_own_are_not_reported(
    ours: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A module that the runtime loads at its first use is nobody's mistake; one that the author imports may be."""
    (tmp_path / "slow_to_import.py").write_text("import time\ntime.sleep(0.5)\n")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.delitem(sys.modules, "slow_to_import", raising=False)
    folder = Path(mm_plugin.__file__).parent if ours else tmp_path
    load = compile("def load():\n    import slow_to_import\n", str(folder / "lazy.py"), "exec")
    names: dict[str, Any] = {"__builtins__": __builtins__}
    exec(load, names)

    class Importing(Plugin):
        async def on_activate(self) -> None:
            names["load"]()

    async with running(Importing()) as run:
        await run.call("OnActivate")
    assert len(warnings_in(caplog)) == (0 if ours else 1)
