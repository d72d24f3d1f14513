"""Ctrl-C on a real terminal: the commands stop their plugins in good order and leave nothing behind."""

from __future__ import annotations

import os
import pty
import select
import signal
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.cli.command import mm_plugin, run, write_plugin

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")

#: Has a child that minds neither Ctrl-C nor SIGTERM, and notes its process group.
PLUGIN = """
import os, signal
from pathlib import Path
from mm_plugin import Plugin, run_plugin

class Parent(Plugin):
    async def on_activate(self):
        if not os.fork():
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            while True:
                signal.pause()
        Path("group.tmp").write_text(str(os.getpid()))

    async def on_deactivate(self):
        HANG
        Path("deactivated.tmp").touch()

run_plugin(Parent)
"""


class Terminal:
    """A command on a terminal of its own."""

    def __init__(self, pid: int, end: int) -> None:
        self.pid = pid
        self.shown = b""
        self._end = end

    def press_ctrl_c(self) -> None:
        os.write(self._end, b"\x03")

    def wait_for(self, text: bytes, *, times: int = 1) -> None:
        """Read until a text has been shown so many times."""
        ends_at = time.monotonic() + 40
        while self.shown.count(text) < times:
            assert time.monotonic() < ends_at, self.shown.decode()
            self.read()

    def wait_exit(self) -> int:
        """Read to the end, and return the exit code."""
        ends_at = time.monotonic() + 40
        while self.read():
            assert time.monotonic() < ends_at, self.shown.decode()
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def read(self) -> bool:
        if not select.select([self._end], [], [], 0.1)[0]:
            return True
        try:
            data = os.read(self._end, 65_536)
        except OSError:  # Linux: nobody has the other end any more
            return False
        self.shown += data
        return bool(data)


@contextmanager
def on_a_terminal(*arguments: str | Path) -> Generator[Terminal]:
    pid, end = pty.fork()
    if not pid:
        command = mm_plugin(*arguments)
        os.execv(command[0], command)
    try:
        yield Terminal(pid, end)
    finally:
        os.close(end)
        try:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        except (ProcessLookupError, ChildProcessError):
            pass  # it has ended, as it should


def living(group: int) -> list[int]:
    """Return the processes of a group that are no zombies."""
    found: list[int] = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[2]) == group and fields[0] != "Z":
            found.append(int(folder.name))
    return found


def children_of(pid: int) -> set[int]:
    return {
        int(child) for task in Path(f"/proc/{pid}/task").iterdir() for child in (task / "children").read_text().split()
    }


RUNS = {"dev": b"Ctrl-C stops it.", "host": b"Ctrl-C stops them."}


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@pytest.mark.parametrize("command", ["dev", "host"])
def test_ctrl_c(command: str, backend: str, tmp_path: Path) -> None:
    """OnDeactivate runs, the command ends with 0 and no traceback, and nothing of it or its plugin lives on."""
    bundle = write_plugin(tmp_path, PLUGIN.replace("HANG", ""))
    with on_a_terminal(command, bundle, "--port", "0", "--backend", backend) as terminal:
        terminal.wait_for(RUNS[command])
        group = int((bundle / "group.tmp").read_text())
        assert len(living(group)) == 2
        processes = children_of(terminal.pid)
        terminal.press_ctrl_c()
        assert terminal.wait_exit() == 0, terminal.shown.decode()
        assert b"Traceback" not in terminal.shown
        assert b"stopping; once more to stop at once" in terminal.shown
    assert (bundle / "deactivated.tmp").exists()
    assert living(group) == []
    assert [pid for pid in processes if Path(f"/proc/{pid}").exists()] == []


@pytest.mark.parametrize("command", ["dev", "host"])
def test_ctrl_c_twice(command: str, tmp_path: Path) -> None:
    """While OnDeactivate hangs, a second Ctrl-C ends the command with 130; the plugin's processes end all the same."""
    hang = "self.logger.error('hangs'); import anyio; await anyio.sleep_forever()"
    bundle = write_plugin(tmp_path, PLUGIN.replace("HANG", hang))
    with on_a_terminal(command, bundle, "--port", "0") as terminal:
        terminal.wait_for(RUNS[command])
        group = int((bundle / "group.tmp").read_text())
        terminal.press_ctrl_c()
        terminal.wait_for(b"hangs")
        terminal.press_ctrl_c()
        assert terminal.wait_exit() == 130, terminal.shown.decode()
        assert b"Traceback" not in terminal.shown
    ends_at = time.monotonic() + 20
    while living(group):
        assert time.monotonic() < ends_at
        time.sleep(0.01)


def test_ctrl_c_while_it_starts(tmp_path: Path) -> None:
    """A plugin that is still starting is ended, and the command with it, with 0."""
    code = "import os, signal\nopen('group.tmp', 'w').write(str(os.getpid()))\n"
    bundle = write_plugin(tmp_path, code + "while True: signal.pause()\n")
    with on_a_terminal("host", bundle, "--port", "0") as terminal:
        terminal.wait_for(b"starting")
        while not (bundle / "group.tmp").exists() or not (bundle / "group.tmp").read_text():
            terminal.read()
        group = int((bundle / "group.tmp").read_text())
        terminal.press_ctrl_c()
        assert terminal.wait_exit() == 0, terminal.shown.decode()
        assert b"Traceback" not in terminal.shown
    assert living(group) == []


@pytest.mark.parametrize(
    "module", ["click", "mm_plugin.cli.commands", "mm_plugin.devserver.server", "anyio._backends._asyncio"]
)
def test_ctrl_c_while_it_is_loaded(module: str, tmp_path: Path) -> None:
    """Ctrl-C before anything runs ends the command with 130, without a word."""
    code = f"""
import signal, sys

class Presses:
    def find_spec(self, name, *_):
        if name == {module!r}:
            signal.raise_signal(signal.SIGINT)

from mm_plugin.cli.main import main
sys.meta_path.insert(0, Presses())
main()
"""
    ended = run("host", write_plugin(tmp_path, ""), "--port", "0", code=code)
    assert (ended.returncode, ended.stdout, ended.stderr) == (130, "", "")
