"""Settings from the command line, and changed from outside while the plugin runs."""

from __future__ import annotations

import json
import signal
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from subprocess import Popen
from typing import Any
from urllib.request import Request, urlopen

import pytest

from mm_plugin.cli.plugin_routes import declared_routes
from mm_plugin.cli.plugin_settings import read_settings
from mm_plugin.exceptions import ConfigurationError
from tests.cli.command import TIMEOUT_S, run, running, write_plugin

PLUGIN = """
from dataclasses import dataclass
from mm_plugin import Plugin, Request, Response, run_plugin, route

@dataclass
class Settings:
    words: str = "none"
    limit: int = 0

class Settled(Plugin[Settings]):
    @route("GET", "/settings")
    async def show(self, request, response):
        await response.text(f"{self.settings.words} {self.settings.limit}")

    @route("POST", "/settings/{name}")
    async def change(self, request, response, name):
        pass

    async def run_data_retention(self, now_time, batch_size):
        return self.settings.limit

run_plugin(Settled)
"""
SCHEMA = {"settings": [{"key": "Words", "type": "text", "default": "none"}, {"key": "Limit", "type": "number"}]}


def bundle_in(folder: Path) -> Path:
    return write_plugin(folder, PLUGIN, settings_schema=SCHEMA)


@contextmanager
def dev(bundle: Path, *arguments: str | Path) -> Generator[tuple[Popen[str], list[str]]]:
    """Run the command, and give the lines it prints once the plugin runs."""
    with running("dev", bundle, "--port", "0", *arguments) as process:
        assert process.stdout is not None
        lines: list[str] = []
        for line in process.stdout:
            lines.append(line.rstrip())
            if "/config/patch" in line:
                break
        yield process, lines
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == 0


def follow(line: str, body: str = "") -> str:
    """Do what a line for curl says."""
    words = line.replace("'", "").split()
    url = next(word for word in words if word.startswith("http"))
    method = words[words.index("-X") + 1] if "-X" in words else "GET"
    headers = {"Authorization": line.split("'")[1].removeprefix("Authorization: ")}
    with urlopen(Request(url, body.encode() or None, headers, method=method), timeout=TIMEOUT_S) as answer:
        return str(answer.read().decode())


def test_settings_are_given_and_changed(tmp_path: Path) -> None:
    """--config and --config-file reach the plugin before its start; the line printed changes them while it runs."""
    (tmp_path / "settings.json").write_text('{"Words": "from the file", "limit": 2}')
    bundle = bundle_in(tmp_path / "bundle")
    with dev(bundle, "--config", "limit=3", "--config-file", tmp_path / "settings.json") as (_, lines):
        (show,) = (line for line in lines if line.endswith("/settings"))
        assert any("-X POST" in line and "/settings/{name}" in line for line in lines)
        assert follow(show) == "from the file 3"
        (patch,) = (line for line in lines if "/config/patch" in line)
        body = json.loads(patch.split("-d ")[1].strip("'"))
        assert body == {"PluginSettings": {"Plugins": {"com.example.cli": {"Words": "none"}}}}
        body["PluginSettings"]["Plugins"]["com.example.cli"] = {"Words": "changed"}
        answer: dict[str, Any] = json.loads(follow(patch.split(" -d ")[0], json.dumps(body)))
        assert answer["PluginSettings"]["Plugins"]["com.example.cli"] == {"Words": "changed", "Limit": 3}
        assert follow(show) == "changed 3"


def test_a_call_has_settings_too(tmp_path: Path) -> None:
    """mm-plugin call takes the same options."""
    done = run("call", bundle_in(tmp_path), "RunDataRetention", "--config", "Limit=7")
    assert json.loads(done.stdout) == {"deleted_count": "7"}


def test_reading_settings(tmp_path: Path) -> None:
    """JSON stays what it is, all else is text, and a pair wins over the file."""
    file = tmp_path / "s.json"
    file.write_text('{"a": 1, "b": [true]}')
    pairs = ["a=2", "c=x=y", "d=", 'e={"f": null}', "g=\\"]
    assert read_settings(pairs, file) == {"a": 2, "b": [True], "c": "x=y", "d": "", "e": {"f": None}, "g": "\\"}


@pytest.mark.parametrize(
    ("pairs", "text", "sentence"),
    [
        (["a"], None, "--config 'a': expected KEY=VALUE"),
        (["=1"], None, "--config '=1': expected KEY=VALUE"),
        ([], "", "cannot be read: No such file or directory"),
        ([], "{", "bad JSON: "),
        ([], "[]", "expected an object of settings"),
    ],
)
def test_settings_that_are_none(tmp_path: Path, pairs: list[str], text: str | None, sentence: str) -> None:
    """One sentence that names the option."""
    file = tmp_path / "s.json"
    if text:
        file.write_text(text)
    with pytest.raises(ConfigurationError) as raised:
        read_settings(pairs, None if text is None else file)
    assert sentence in str(raised.value)
    assert str(raised.value).startswith("--config")


def test_declared_routes(tmp_path: Path) -> None:
    """Routes with literal arguments are found wherever they stand; what cannot be parsed has none."""
    (tmp_path / "a.py").write_text(
        "@mm.route('get', '/a')\n@route('POST', '/b/{c}', max_body_octets=3)\ndef f(): ...\n"
    )
    (tmp_path / "b.py").write_text("@route(M, '/x')\n@route('GET')\n@other\nasync def f(): ...\nroute('GET', '/y')\n")
    (tmp_path / "c.py").write_text("(")
    (tmp_path / "venv").mkdir()
    (tmp_path / "venv" / "d.py").write_text("@route('GET', '/no')\ndef f(): ...\n")
    assert declared_routes(tmp_path) == [("GET", "/a"), ("POST", "/b/{c}")]
