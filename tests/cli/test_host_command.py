"""``mm-plugin host``: several plugins, their states as text and as JSON lines; and the help of every command."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest

from mm_plugin.cli.loop import host_options
from tests.cli.command import TIMEOUT_S, run, running, write_plugin

BACKENDS = ("asyncio", "trio")

PLUGIN = """
from mm_plugin import Plugin, run_plugin

class Site(Plugin):
    async def serve_http(self, request, response):
        await response.write(self.plugin_id)

run_plugin(Site)
"""
ASKING = PLUGIN.replace(
    "    async def serve",
    "    async def on_activate(self):\n        await self.api.get_server_version()\n\n    async def serve",
)


def write_three(folder: Path) -> list[Path]:
    """Write two plugins that work and, between them, one that does not start."""
    codes = {"a.first": ASKING, "b.broken": "raise SystemExit(3)", "c.third": PLUGIN}
    return [write_plugin(folder / plugin_id, code, id=plugin_id) for plugin_id, code in codes.items()]


def events(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


@pytest.mark.parametrize("backend", BACKENDS)
def test_several_plugins_side_by_side(backend: str, tmp_path: Path) -> None:
    """Each runs and answers HTTP; one that does not start says why and bothers nobody; Ctrl-C ends with 0."""
    with running("host", *write_three(tmp_path), "--port", "0", "--json", "--backend", backend) as process:
        assert process.stdout is not None
        lines: list[str] = []
        for line in process.stdout:
            lines.append(line)
            if '"started"' in line:
                break
        seen = events("".join(lines))
        assert seen[0]["event"] == "server"
        assert seen[-1] == {"event": "started", "running": 2, "failed": 1}
        broken = [event for event in seen if event.get("state") == "failed_to_start"]
        assert [event["id"] for event in broken] == ["b.broken"]
        assert "exited with code 3" in broken[0]["reason"]
        for plugin_id in ("a.first", "c.third"):
            with urlopen(f"{seen[0]['url']}/plugins/{plugin_id}/", timeout=TIMEOUT_S) as answer:
                assert answer.read().decode() == plugin_id
        process.send_signal(signal.SIGINT)
        rest, errors = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 0, errors
    ended = {event["id"] for event in events(rest) if event.get("state") == "not_running"}
    assert ended == {"a.first", "c.third"}


def test_states_are_readable(tmp_path: Path) -> None:
    """As text: one line for each change, and how many run; --once ends with 1 where one does not."""
    done = run("host", *write_three(tmp_path), "--once")
    assert done.returncode == 1
    assert "b.broken  failed to start  The plugin exited with code 3" in done.stdout
    assert "c.third  running  pid " in done.stdout
    assert "2 of 3 plugins run." in done.stdout
    assert run("host", tmp_path / "c.third", "--once").returncode == 0


@pytest.mark.parametrize("level", ["error", "warning", "debug"])
def test_what_a_failed_start_wrote_is_shown_once(level: str, tmp_path: Path) -> None:
    """Whatever the log level: the traceback, whole and once, and the code under which the docs explain it."""
    done = run("host", write_plugin(tmp_path, "raise ValueError('no luck')"), "--once", "--log-level", level)
    assert done.stderr.count("    ValueError: no luck") == 1
    assert done.stderr.count("Traceback") == 1
    assert "before it printed its handshake line [MMP122]" in done.stdout
    called = run("call", tmp_path, "OnInstall")
    assert called.stderr.count("Traceback") == 1
    assert called.stderr.splitlines()[-1].endswith("[MMP122]")


def test_lines_to_try_work(tmp_path: Path) -> None:
    """Each plugin that serves HTTP has a line that can be copied as it is."""
    with running("host", write_plugin(tmp_path, PLUGIN), "--port", "0") as process:
        assert process.stdout is not None
        lines: list[str] = []
        for line in process.stdout:
            lines.append(line.strip())
            if "plugins run" in line:
                break
        (me,) = (line for line in lines if line.endswith("/users/me"))
        (site,) = (line for line in lines if line.endswith("/plugins/com.example.cli/"))
        for line, wanted in ((me, '"username":"ada"'), (site, "com.example.cli")):
            name, _, value = line.split("'")[1].partition(": ")
            with urlopen(Request(line.split()[-1], headers={name: value}), timeout=TIMEOUT_S) as answer:
                assert wanted in answer.read().decode()
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=TIMEOUT_S)


def test_without_the_api_each_call_is_unimplemented(tmp_path: Path) -> None:
    """--no-api leaves the plugins alone with the gateway; whoever needs an answer hears that there is none."""
    done = run("host", *write_three(tmp_path), "--once", "--no-api", "--log-level", "error")
    assert done.returncode == 1
    assert "a.first  failed to start  " in done.stdout
    assert "GetServerVersion is not implemented by this host, which was started with --no-api" in done.stdout
    assert "c.third  running" in done.stdout


def test_a_plugin_that_is_killed_on_purpose_comes_back(tmp_path: Path) -> None:
    """--fault kill=1 kills the plugin at its first hook; the state lines show the restart."""
    code = PLUGIN.replace(
        "    async def serve",
        "    async def message_will_be_posted(self, context, post):\n        pass\n\n    async def serve",
    )
    bundle = write_plugin(tmp_path / "one", code, id="a.first")
    with running("host", bundle, "--port", "0", "--json", "--fault", "kill=1") as process:
        assert process.stdout is not None
        server: dict[str, Any] = {}
        for line in process.stdout:
            event = json.loads(line)
            server = event if event["event"] == "server" else server
            if event["event"] == "started":
                post = json.dumps({"channel_id": server["channel_id"], "message": "hello"}).encode()
                headers = {"Authorization": f"Bearer {server['users']['ada']['token']}"}

                with urlopen(Request(f"{server['url']}/api/v4/posts", post, headers), timeout=TIMEOUT_S) as answer:
                    assert answer.status == 201  # a plugin that fails lets posts pass
            if event.get("state") == "running" and event["restarts"] == 1:
                break
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 0


@pytest.mark.parametrize("arguments", [("host",), ("host", "nowhere", "--once"), ("host", ".", "--fault", "x=1")])
def test_wrong_arguments_are_told(arguments: tuple[str, ...]) -> None:
    """No path, a path without a plugin and an unknown fault end with 2 and no traceback."""
    done = run(*arguments)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", ["dev", "host", "call"])
def test_help_has_examples(command: str) -> None:
    """Each command explains itself, with examples whose options exist."""
    text = run(command, "--help").stdout
    options, _, examples = text.partition("\nExamples:\n")
    lines = [line.strip() for line in examples.strip().splitlines()]
    assert len(lines) >= 3
    for line in lines:
        assert line.startswith(f"mm-plugin {command} ")
        for word in line.split():
            if word.startswith("--"):
                assert word in options


def test_the_commands_are_listed() -> None:
    """--help names every command with a summary."""
    text = run("--help").stdout
    for command in ("dev", "host", "call"):
        assert f"  {command}" in text
    assert "..." not in text.partition("Commands:")[2]


def test_nobody_reads_the_output(tmp_path: Path) -> None:
    """Where the reader of standard output is gone, the plugins are stopped in good order, without a traceback."""
    bundle = write_plugin(tmp_path / "x", PLUGIN)
    with running("host", bundle, "--port", "0") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        told = process.stderr.read()
        assert process.wait(TIMEOUT_S) == 0
    assert "Traceback" not in told


def test_a_folder_whose_name_is_no_text(tmp_path: Path) -> None:
    """A path that is not UTF-8 is shown, escaped, and its plugin runs."""
    bundle = write_plugin(tmp_path / os.fsdecode(b"\xff"), PLUGIN.replace("run_plugin(Site)", "raise SystemExit(3)"))
    (bundle / "plugin.py").unlink()
    done = run("host", bundle, "--once")
    assert done.returncode == 1
    assert "\\udcff: server.executable: there is no file 'plugin.py' in the bundle" in done.stdout
    assert "Traceback" not in done.stderr


def test_a_user_without_a_home(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is no home, as in some containers, plugins run, and no environments are made."""

    def no_home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", no_home)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert host_options("asyncio", "info").environments is None
    monkeypatch.setenv("XDG_CACHE_HOME", "/cache")
    assert host_options("asyncio", "info").environments == Path("/cache/mm-plugin/environments")
