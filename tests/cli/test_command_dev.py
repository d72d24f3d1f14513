"""``mm-plugin dev`` as people run it: a process, its output, its exit code."""

from __future__ import annotations

import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
from pathlib import Path
from subprocess import Popen
from urllib.request import Request, urlopen

import pytest

from tests.cli.command import GUARD, TIMEOUT_S, run, running, write_plugin

BACKENDS = ("asyncio", "trio")
QUIET = """
from mm_plugin import Plugin, run_plugin

class Quiet(Plugin):
    async def on_deactivate(self):
        self.logger.info("deactivated")

run_plugin(Quiet)
"""

HANGING = """
import anyio
from mm_plugin import Plugin, run_plugin

class Hanging(Plugin):
    async def on_deactivate(self):
        self.logger.info("hanging")
        await anyio.sleep_forever()

run_plugin(Hanging)
"""
SLOW = """
import anyio
from mm_plugin import Plugin, run_plugin

class Slow(Plugin):
    async def on_activate(self):
        self.logger.info("waiting for the database")
        await anyio.sleep_forever()

run_plugin(Slow)
"""
CRASHING = """
from mm_plugin import Plugin, every, run_plugin

class Crashing(Plugin):
    @every(seconds=60)
    async def work(self):
        raise RuntimeError("no luck")

run_plugin(Crashing)
"""
REFUSING = """
from mm_plugin import Plugin, run_plugin

class Refusing(Plugin):
    async def on_activate(self):
        raise ValueError("no luck")

run_plugin(Refusing)
"""


def read_until(process: Popen[str], text: str) -> list[str]:
    """Read the command's output up to the line with a text."""
    assert process.stdout is not None
    lines: list[str] = []
    for line in process.stdout:
        lines.append(line.rstrip("\n"))
        if text in line:
            return lines
    raise AssertionError(f"{text!r} did not come; the output was {lines}")


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_tour_is_green(backend: str) -> None:
    """The tour of the example shows every step, and the command ends with 0."""
    done = run("dev", GUARD, "--tour", "--once", "--port", "0", "--backend", backend)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("✓") == 11
    assert "✗" not in done.stdout
    steps = (
        "Please leave out secret, bob",
        "the live stream shows: rejected, bob",
        "Posts allowed: 1",
        "password, secret, turnip",
    )
    for text in steps:
        assert text in done.stdout


def test_a_tour_that_goes_wrong_says_so(tmp_path: Path) -> None:
    """A step that does not show what it should gets a cross with the reason, and the command ends with 1."""
    for file in ("plugin.json", "plugin.py"):
        (tmp_path / file).write_text((GUARD / file).read_text().replace("Please leave out", "You may not say"))
    done = run("dev", tmp_path, "--tour", "--once", "--port", "0")
    assert done.returncode == 1
    assert "✗ a post is rejected: instead came" in done.stdout
    assert "You may not say secret, bob" in done.stdout
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("backend", BACKENDS)
def test_ctrl_c_stops_in_good_order(backend: str, tmp_path: Path) -> None:
    """SIGINT ends the command with 0 after OnDeactivate has run."""
    write_plugin(tmp_path, QUIET)
    with running("dev", tmp_path, "--port", "0", "--backend", backend) as process:
        read_until(process, "Ctrl-C stops it")
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 0, errors
    assert "deactivated" in errors
    assert "Traceback" not in errors


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_start_that_takes_long_says_so(backend: str, tmp_path: Path) -> None:
    """Long before its deadline the command tells that the plugin still starts, and shows what it has logged."""
    write_plugin(tmp_path, SLOW)
    with running("dev", tmp_path, "--port", "0", "--backend", backend) as process:
        read_until(process, "has been starting for")
        assert process.stderr is not None
        assert any("waiting for the database" in line for line in process.stderr)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 0


def test_a_plugin_that_does_not_stay_is_started_by_the_next_save(tmp_path: Path) -> None:
    """After the crash that turns a plugin off the command says what starts it again, and a save does."""
    write_plugin(tmp_path, CRASHING)
    with running("dev", tmp_path, "--port", "0") as process:
        assert "the next save starts it again" in read_until(process, "is off")[-1]
        write_plugin(tmp_path, QUIET)
        read_until(process, "runs again")
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=TIMEOUT_S)


def test_ctrl_c_stops_in_good_order_with_a_stream_open() -> None:
    """A client that hangs on a live stream does not keep the command from ending with 0."""
    with running("dev", GUARD, "--port", "0") as process:
        hints = read_until(process, "/plugins/com.example.guard/")
        words = hints[-1].split("'")
        url = hints[-1].split()[-1]
        name, _, value = words[1].partition(": ")
        with urlopen(Request(f"{url}events", headers={name: value}), timeout=TIMEOUT_S) as stream:
            assert stream.readline() == b": watching\n"
            process.send_signal(signal.SIGINT)
            _, errors = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 0, errors
    assert "Traceback" not in errors


def test_a_second_ctrl_c_stops_at_once(tmp_path: Path) -> None:
    """While a plugin's OnDeactivate hangs, the second SIGINT ends the command with 130."""
    write_plugin(tmp_path, HANGING)
    with running("dev", tmp_path, "--port", "0") as process:
        read_until(process, "Ctrl-C stops it")
        process.send_signal(signal.SIGINT)
        assert process.stderr is not None
        for line in process.stderr:
            if "hanging" in line:
                break
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 130


def test_the_hints_work(tmp_path: Path) -> None:
    """What the command prints to try is answered, and the state is kept in the file."""
    state = tmp_path / "state.sqlite"
    with running("dev", GUARD, "--port", "0", "--state", state) as process:
        hints = read_until(process, "/plugins/com.example.guard/")
        answers: list[object] = []
        for line in hints:
            if "/api/v4/" not in line:
                continue
            quoted = line.split("'")
            name, _, value = quoted[1].partition(": ")
            body = quoted[3].encode() if len(quoted) > 3 else None
            url = quoted[2].split()[0]
            with urlopen(Request(url, body, {name: value}), timeout=TIMEOUT_S) as answer:
                answers.append(json.load(answer))
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=TIMEOUT_S)
    assert len(answers) == 3
    assert process.returncode == 0
    database = sqlite3.connect(state)
    assert database.execute("SELECT count(*) FROM posts").fetchone() == (1,)
    database.close()


@pytest.mark.parametrize(
    ("manifest", "sentence"),
    [
        (None, "no such file; the root of a plugin must hold plugin.json"),
        ("{", "bad JSON"),
        ('{"id": "x y", "name": "n"}', "id: expected 3 to 190"),
        ('{"id": "com.example.cli", "name": "n"}', "server: is missing"),
    ],
)
def test_a_wrong_bundle_is_one_sentence(tmp_path: Path, manifest: str | None, sentence: str) -> None:
    """A missing or wrong plugin.json ends the command with one line that names file and field."""
    if manifest is not None:
        (tmp_path / "plugin.json").write_text(manifest)
    done = run("dev", tmp_path, "--port", "0", "--no-reload")
    assert done.returncode in {1, 2}
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert done.stderr.startswith("mm-plugin: ")
    assert sentence in done.stderr
    assert str(tmp_path) in done.stderr


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        ("raise SystemExit(3)", "exited with code 3 before it printed its handshake line"),
        (REFUSING, "no luck"),
    ],
)
def test_a_plugin_that_does_not_start_is_one_sentence(tmp_path: Path, code: str, sentence: str) -> None:
    """The last line says which step failed and why; the command ends with 1."""
    done = run("dev", write_plugin(tmp_path, code), "--port", "0", "--no-reload", "--log-level", "error")
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last.startswith("mm-plugin: com.example.cli: ")
    assert sentence in last


def test_a_port_in_use_is_one_sentence(tmp_path: Path) -> None:
    """The line names address and port, the command ends with 2, and the plugin never starts."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = run("dev", write_plugin(tmp_path, QUIET), "--port", str(port))
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert f"127.0.0.1:{port}" in done.stderr
    assert done.stderr.endswith("; choose another one with --port, 0 takes a free one [MMP110]\n")


def test_the_tour_is_for_the_example_only(tmp_path: Path) -> None:
    """Another plugin is not shown as what it is not."""
    done = run("dev", write_plugin(tmp_path, QUIET), "--tour", "--port", "0")
    assert done.returncode == 2
    assert "com.example.cli" in done.stderr
    assert "examples/guard" in done.stderr


def test_version_and_usage() -> None:
    """--version is one line; an unknown backend is refused with the choices."""
    assert run("--version").stdout.startswith("mm-plugin 0.")
    refused = run("dev", GUARD, "--backend", "twisted")
    assert refused.returncode == 2
    assert "trio" in refused.stderr


@pytest.mark.parametrize("missing", ["click", "starlette", "hypercorn", "watchfiles"])
def test_without_the_extra_one_sentence_says_what_to_install(missing: str) -> None:
    """Where a package of the extra is missing, the command says so and ends with 1."""
    code = f"import sys; sys.modules[{missing!r}] = None; from mm_plugin.cli.main import main; main()"
    done = run("dev", GUARD, "--once", "--port", "0", code=code)
    assert done.returncode == 1
    assert "pip install 'mm-plugin[dev]'" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_plugin_run_by_hand_says_how_it_is_run(tmp_path: Path) -> None:
    """``python plugin.py`` names the command and the folder that holds plugin.json."""
    (tmp_path / "server").mkdir()
    write_plugin(tmp_path, "")
    script = tmp_path / "server" / "plugin.py"
    script.write_text(QUIET)
    command = [sys.executable, "server/plugin.py"]
    environment = {**os.environ, "PYTHONPATH": str(GUARD.parents[1])}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.endswith("Run it with: mm-plugin dev .\n")


def test_requirements_are_installed_on_request(tmp_path: Path) -> None:
    """The command says that it installs, and shows pip's words; with --no-install it says what to do."""
    python = {"dependency_mode": "venv", "requirements_path": "r.txt"}
    server = {"executable": "plugin.py", "python": python}
    bundle = write_plugin(tmp_path / "bundle", QUIET, server=server)
    (bundle / "r.txt").write_text("--no-index\nnonsense\n")
    cache = tmp_path / "cache"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(cache))
        refused = run("dev", bundle, "--port", "0", "--no-reload", "--no-install")
        assert "python3 -m venv venv && venv/bin/pip install -r r.txt" in refused.stderr
        assert not cache.exists()
        done = run("dev", bundle, "--port", "0", "--no-reload")
    assert "Installing r.txt into a virtual environment of its own, once; this may take a while" in done.stdout
    assert "No matching distribution found for nonsense" in done.stderr
    assert done.stderr.endswith("r.txt cannot be installed: pip ended with code 1 [MMP122]\n")
    assert (cache / "mm-plugin" / "environments").is_dir()
