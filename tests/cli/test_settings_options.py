"""Settings from the command line, and changed from outside while the plugin runs."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from subprocess import Popen, check_output
from typing import Any
from urllib.request import Request, urlopen

import pytest

from mm_plugin.cli.declared_code import DeclaredCode, declared_code
from mm_plugin.cli.hints import http_lines
from mm_plugin.cli.plugin_settings import read_settings
from mm_plugin.exceptions import ConfigurationError
from mm_plugin.messages.declared_settings import unknown_settings
from mm_plugin.messages.manifest import Manifest
from mm_plugin.types import JSONObject
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
SCHEMA: JSONObject = {
    "settings": [{"key": "Words", "type": "text", "default": "none"}, {"key": "Limit", "type": "number"}]
}


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


def test_values_are_read_as_they_are_declared() -> None:
    """Text stays text whatever it looks like, numbers and booleans must be some; undeclared ones are read as before."""
    kinds = ("text", "longtext", "dropdown", "number", "bool", "custom")
    schema: JSONObject = {"settings": [{"key": kind.capitalize(), "type": kind} for kind in kinds]}
    manifest = Manifest(id="com.example.cli", name="x", settings_schema=schema)
    pairs = ["text=12345", "Longtext=[1]", "dropdown=true", "number=2.5", "bool=True", 'custom={"a": 1}', "other=1"]
    assert read_settings(pairs, None, manifest) == {
        "text": "12345", "Longtext": "[1]", "dropdown": "true", "number": 2.5, "bool": True, "custom": {"a": 1},
        "other": 1,
    }  # fmt: skip
    assert read_settings(['text="1"', "longtext="], None, manifest) == {"text": "1", "longtext": ""}
    for pair, expected in (("number=many", "a number"), ("number=true", "a number"), ("bool=1", "true or false")):
        with pytest.raises(ConfigurationError, match=f"--config {pair.partition('=')[0]}=…: expected {expected}"):
            read_settings([pair], None, manifest)


def test_settings_that_nobody_declares() -> None:
    """The nearest key is named; a manifest that declares none may have a plugin that takes any."""
    manifest = Manifest(id="com.example.cli", name="x", settings_schema=SCHEMA)
    (near, far) = unknown_settings(["Wrods", "words", "LIMIT", "colour"], [manifest])
    assert near.endswith("has no setting 'Wrods'; did you mean Words?")
    assert far.endswith("has no setting 'colour'; it has Words, Limit")
    assert unknown_settings(["Wrods"], [Manifest(id="a.b", name="x"), manifest]) == []


TOKEN = """
from dataclasses import dataclass
from mm_plugin import Plugin, run_plugin

@dataclass
class Settings:
    token: str

class Tokened(Plugin[Settings]):
    async def message_has_been_posted(self, context, post):
        pass

run_plugin(Tokened)
"""


@pytest.mark.parametrize("command", [("dev", "--once"), ("host", "--once"), ("call", "MessageHasBeenPosted")])
def test_a_number_where_text_is_needed(command: tuple[str, str], tmp_path: Path) -> None:
    """Undeclared, it fails the start with one code and how to quote it; declared as text, it is text."""
    undeclared = write_plugin(tmp_path / "undeclared", TOKEN)
    name, more = command
    failed = run(name, undeclared, more, "--config", "token=12345")
    assert failed.returncode == 1
    said = failed.stdout + failed.stderr
    assert "expected text" in said
    assert "[MMP112]" in said
    assert "[MMP112] [MMP122]" not in said
    assert "quote it: --config 'token=\"…\"'" in failed.stderr
    assert run(name, undeclared, more, "--config", 'token="12345"').returncode == 0
    schema = {"settings": [{"key": "Token", "type": "text"}]}
    declared = write_plugin(tmp_path / "declared", TOKEN, settings_schema=schema)
    done = run(name, declared, more, "--config", "token=12345", "--config", "tokne=1")
    assert done.returncode == 0, done.stderr
    assert "no setting 'tokne'; did you mean Token?" in done.stderr


def test_settings_need_the_api(tmp_path: Path) -> None:
    """Where no API call is answered, settings cannot reach the plugin, and the command says so."""
    done = run("host", bundle_in(tmp_path), "--once", "--no-api", "--config", "Words=a")
    assert (done.returncode, "leave out --no-api" in done.stderr) == (2, True)


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


def test_declared_code(tmp_path: Path) -> None:
    """Literal routes and mounts are found wherever they stand, and the settings; what cannot be parsed has none."""
    (tmp_path / "a.py").write_text(
        "@mm.route('get', '/a')\n@route('POST', '/b/{c}', max_body_octets=3)\ndef f(): ...\n"
        "class P(mm.Plugin[Mine]):\n    site = mount_asgi(app, at='/site')\n    whole = mm_plugin.mount_wsgi(app)\n"
    )
    (tmp_path / "b.py").write_text("@route(M, '/x')\n@route('GET')\n@other\nasync def f(): ...\nroute('GET', '/y')\n")
    (tmp_path / "c.py").write_text("(")
    (tmp_path / "venv").mkdir()
    (tmp_path / "venv" / "d.py").write_text("@route('GET', '/no')\ndef f(): ...\n")
    code = declared_code(tmp_path)
    assert (code.routes, code.mounts) == ([("GET", "/a"), ("POST", "/b/{c}")], ["/site", "/"])
    assert (code.serves_http, code.settings) == (False, ("a", "Mine"))
    (tmp_path / "b.py").write_text(
        "from mm_plugin import *\nclass P(Plugin):\n    @hook(HookName.ServeHTTP)\n    def f(self, a, b): ...\n"
    )
    assert declared_code(tmp_path).serves_http


def test_bundled_packages_declare_nothing(tmp_path: Path) -> None:
    """What pip has put beside the script is not the author's: other packages, and this one."""
    (tmp_path / "plugin.py").write_text("from mm_plugin import route\n@route('GET', '/a')\ndef f(): ...\n")
    (tmp_path / "flask").mkdir()
    (tmp_path / "flask" / "app.py").write_text("@app.route('GET', '/no')\ndef serve_http(): ...\n")
    (tmp_path / "mm_plugin" / "plugin").mkdir(parents=True)
    (tmp_path / "mm_plugin" / "plugin" / "http.py").write_text("import mm_plugin\ndef serve_http(): ...\n")
    assert declared_code(tmp_path) == DeclaredCode(routes=[("GET", "/a")])


def test_lines_for_curl() -> None:
    """Routes and mounts are listed; the plugin's own address stands there only where something answers."""
    assert http_lines("u", DeclaredCode(routes=[("GET", "/a")])) == ["-N u/a"]
    assert http_lines("u", DeclaredCode(routes=[("POST", "/a")], mounts=["/b"])) == ["-X POST u/a", "-N u/b/"]
    assert http_lines("u", DeclaredCode(mounts=["/"], serves_http=True)) == ["-N u/"]
    assert http_lines("u", DeclaredCode(routes=[("GET", "/a")], serves_http=True)) == ["-N u/a", "-N u/"]
    assert http_lines("u", DeclaredCode()) == ["-N u/"]


def test_settings_without_a_schema_are_told(tmp_path: Path) -> None:
    """The System Console would show nothing; the line that is printed makes what belongs into plugin.json."""
    code = PLUGIN.replace("\nrun_plugin(Settled)", "\nif __name__ == '__main__':\n    run_plugin(Settled)")
    bundle = write_plugin(tmp_path, code)
    with running("dev", bundle, "--port", "0") as process:
        assert process.stdout is not None
        line = next(line for line in process.stdout if "settings_schema_of" in line)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=TIMEOUT_S)
    made = check_output(line.replace("python3", sys.executable), shell=True, timeout=TIMEOUT_S)
    assert [setting["key"] for setting in json.loads(made)["settings"]] == ["words", "limit"]
