"""``mm-plugin dev`` while its author works: real files, a real process, real requests."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from pathlib import Path
from subprocess import Popen
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.cli.command import TIMEOUT_S, running, write_plugin

BACKENDS = ("asyncio", "trio")

PLUGIN = """
from mm_plugin import Command, CommandResponse, Plugin, run_plugin

class Reloaded(Plugin):
    async def on_activate(self):
        await self.api.register_command(Command(trigger="TRIGGER"))
        await self.api.kv_set("count", str(int(await self.api.kv_get("count") or b"0") + 1).encode())

    async def serve_http(self, request, response):
        await response.write("TRIGGER " + (await self.api.kv_get("count")).decode())

run_plugin(Reloaded)
"""


class Session:
    """One run of the command, read event by event, with one connection that is kept open."""

    def __init__(self, process: Popen[str]) -> None:
        self._process = process
        server = self.read("server")
        self.token = server["users"]["ada"]["token"]
        self.connection = HTTPConnection(urlsplit(server["url"]).netloc, timeout=TIMEOUT_S)

    def read(self, event: str, **wanted: object) -> dict[str, Any]:
        """Read events up to the first of a name that has all these values."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            found: dict[str, Any] = json.loads(line)
            if found["event"] == event and all(found[key] == value for key, value in wanted.items()):
                return found
        raise AssertionError(f"no event {event} {wanted} came")

    def get(self, path: str) -> tuple[int, str]:
        self.connection.request("GET", path, headers={"Authorization": f"Bearer {self.token}"})
        answer = self.connection.getresponse()
        return answer.status, answer.read().decode()

    def commands(self) -> list[str]:
        return [command["trigger"] for command in json.loads(self.get("/api/v4/commands")[1])]


@contextmanager
def session(bundle: Path, *arguments: str) -> Iterator[Session]:
    with running("dev", bundle, "--port", "0", "--json", *arguments) as process:
        opened = Session(process)
        with closing(opened.connection):
            yield opened
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=TIMEOUT_S)
        assert process.returncode == 0, errors
        assert "Traceback" not in errors


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_save_restarts_the_plugin_and_keeps_the_server(backend: str, tmp_path: Path) -> None:
    """State, session and open connection outlive the restart; the old plugin's command does not."""
    write_plugin(tmp_path, PLUGIN.replace("TRIGGER", "one"))
    with session(tmp_path, "--backend", backend) as dev:
        dev.read("plugin", state="running")
        assert dev.get("/plugins/com.example.cli/") == (200, "one 1")
        socket = dev.connection.sock
        assert dev.commands() == ["one"]
        (tmp_path / "plugin.py").write_text(PLUGIN.replace("TRIGGER", "two"))
        reload = dev.read("reload", error="")
        assert reload["files"] == ["plugin.py"]
        assert dev.get("/plugins/com.example.cli/") == (200, "two 2")
        assert dev.commands() == ["two"]
        assert dev.connection.sock is socket


def test_a_request_during_the_restart_waits_for_it(tmp_path: Path) -> None:
    """A browser that is reloaded right after the save sees the new plugin, never an error page."""
    write_plugin(tmp_path, PLUGIN.replace("TRIGGER", "one"))
    with session(tmp_path) as dev:
        dev.read("plugin", state="running")
        (tmp_path / "plugin.py").write_text(PLUGIN.replace("TRIGGER", "two"))
        dev.read("plugin", state="stopping")
        assert dev.get("/plugins/com.example.cli/") == (200, "two 2")


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_failing_start_waits_for_the_next_save(backend: str, tmp_path: Path) -> None:
    """Fail at the first start, mend, break, mend: each start is told, and each save is tried."""
    write_plugin(tmp_path, "raise SystemExit('no such luck')")
    good = PLUGIN.replace("TRIGGER", "one")
    with session(tmp_path, "--backend", backend) as dev:
        assert dev.read("plugin", state="failed_to_start")["stderr"] == ["no such luck"]
        (tmp_path / "plugin.py").write_text(good)
        dev.read("reload", error="")
        (tmp_path / "plugin.py").write_text("x = (")
        assert "exited with code 1" in dev.read("reload")["error"]
        assert dev.get("/plugins/com.example.cli/")[0] == 404
        (tmp_path / "plugin.py").write_text(good)
        dev.read("reload", error="")
        assert dev.get("/plugins/com.example.cli/") == (200, "one 2")


def test_a_save_overtakes_a_start_that_hangs(tmp_path: Path) -> None:
    """A plugin stuck in its start is ended by the next save, not by its timeout."""
    write_plugin(tmp_path, PLUGIN.replace("TRIGGER", "one"))
    hanging = PLUGIN.replace(
        "        await self.api.reg", "        await anyio.sleep_forever()\n        await self.api.reg"
    )
    with session(tmp_path) as dev:
        dev.read("plugin", state="running")
        (tmp_path / "plugin.py").write_text("import anyio\nprint('hangs', flush=True)\n" + hanging)
        dev.read("plugin", state="starting")
        (tmp_path / "plugin.py").write_text(PLUGIN.replace("TRIGGER", "two"))
        dev.read("reload", error="")
        assert dev.commands() == ["two"]


def test_the_manifest_is_read_again(tmp_path: Path) -> None:
    """A new name and a new id hold after the save; a broken manifest leaves the plugin as it runs."""
    write_plugin(tmp_path, PLUGIN.replace("TRIGGER", "one"))
    with session(tmp_path) as dev:
        dev.read("plugin", state="running")
        write_plugin(tmp_path, PLUGIN.replace("TRIGGER", "one"), id="com.example.other", name="Other")
        assert dev.read("plugin", state="running")["name"] == "Other"
        dev.read("reload", error="")
        assert dev.get("/plugins/com.example.other/") == (200, "one 1")
        active = json.loads(dev.get("/api/v4/plugins")[1])
        assert [plugin["id"] for plugin in active["active"] + active["inactive"]] == ["com.example.other"]
        (tmp_path / "plugin.json").write_text("{")
        assert "bad JSON" in dev.read("reload")["error"]
        assert dev.get("/plugins/com.example.other/") == (200, "one 1")


def test_a_failed_start_reads_well(tmp_path: Path) -> None:
    """As text: the file, the end of the traceback, the sentence, what happens next; each of them once."""
    write_plugin(tmp_path, PLUGIN.replace("TRIGGER", "one"))
    with running("dev", tmp_path, "--port", "0") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        for line in process.stdout:
            if "/plugins/com.example.cli/" in line:
                break
        (tmp_path / "plugin.py").write_text("def f():\n    raise ValueError('no luck')\nf()\n")
        errors: list[str] = []
        for line in process.stderr:
            errors.append(line.rstrip())
            if "next save" in line:
                break
        (tmp_path / "plugin.py").write_text(PLUGIN.replace("TRIGGER", "one"))
        for line in process.stdout:
            if "runs again after" in line:
                break
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 0
    text = "\n".join(errors)
    assert text.count("plugin.py changed, and the plugin does not start:") == 1
    assert text.count("    ValueError: no luck") == 1
    assert errors[-2].startswith("com.example.cli: The plugin exited with code 1")


def test_no_reload_leaves_the_plugin_alone(tmp_path: Path) -> None:
    """Without reload a save changes nothing, and a plugin that does not start ends the command."""
    write_plugin(tmp_path, PLUGIN.replace("TRIGGER", "one"))
    with session(tmp_path, "--no-reload") as dev:
        dev.read("plugin", state="running")
        (tmp_path / "plugin.py").write_text("raise SystemExit(1)")
        for _ in range(20):
            assert dev.get("/plugins/com.example.cli/") == (200, "one 1")


WRITING = """
import os, time
from pathlib import Path
from mm_plugin import Plugin, run_plugin

class Writing(Plugin):
    async def on_activate(self):
        Path("kept").mkdir(exist_ok=True)
        Path(f"kept/{os.getpid()}.json").write_text("{}")
        self.logger.info("REVISION")

run_plugin(Writing)
"""


def test_a_plugin_that_writes_into_its_bundle_runs(tmp_path: Path) -> None:
    """After one more start it is told what the plugin writes, and the plugin runs; saves of the author still count."""
    write_plugin(tmp_path, WRITING)
    with session(tmp_path) as dev:
        assert dev.read("ignored") == {"event": "ignored", "place": "kept/"}
        for number in range(2):
            (tmp_path / "plugin.py").write_text(WRITING.replace("REVISION", str(number)))
            while "plugin.py" not in dev.read("reload", error="")["files"]:
                pass


def test_what_is_left_out_by_the_author_restarts_nothing(tmp_path: Path) -> None:
    """With --ignore not even the first start's files count."""
    write_plugin(tmp_path, WRITING)
    with session(tmp_path, "--ignore", "kept") as dev:
        dev.read("plugin", state="running")
        (tmp_path / "kept" / "more").write_text("x")
        (tmp_path / "plugin.py").write_text(WRITING + "#")
        assert dev.read("reload")["files"] == ["plugin.py"]
