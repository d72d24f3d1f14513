"""The environment table: one test for each variable of docs/reference/environment.md that settings.py reads."""

from __future__ import annotations

import json
import logging
import re
from pathlib import Path

import pytest

from mm_plugin import settings
from mm_plugin.exceptions import ConfigurationError
from mm_plugin.settings import RuntimeConfig, load_runtime_config


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_an_empty_environment_gives_the_defaults() -> None:
    """Nothing set, nothing wrong: absent and empty variables are the same."""
    names = [value for name, value in vars(settings).items() if name.isupper() and isinstance(value, str)]
    assert load_runtime_config({}) == load_runtime_config(dict.fromkeys(names, "")) == RuntimeConfig()


def test_api_target() -> None:
    """MATTERMOST_PLUGIN_API_TARGET is kept as it is; who connects judges it."""
    assert load_runtime_config({"MATTERMOST_PLUGIN_API_TARGET": "unix:/run/x"}).api_target == "unix:/run/x"


def test_api_secret() -> None:
    """MM_PLUGIN_API_SECRET is kept, and does not show where the configuration is printed."""
    config = load_runtime_config({"MM_PLUGIN_API_SECRET": "s3cret"})
    assert config.api_secret == "s3cret"
    assert "s3cret" not in repr(config)


def test_plugin_id() -> None:
    """MATTERMOST_PLUGIN_ID wins over plugin.json of the working directory, which wins over nothing."""
    assert load_runtime_config({}).plugin_id == ""
    Path("plugin.json").write_text(json.dumps({"id": "com.Example.File"}))
    assert load_runtime_config({}).plugin_id == "com.example.file"
    assert load_runtime_config({"MATTERMOST_PLUGIN_ID": "com.example.env"}).plugin_id == "com.example.env"


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b'{"id": 3}', b"\xff\xfe"])
def test_a_broken_manifest_gives_no_id(content: bytes) -> None:
    """The host judges manifests; the plugin process only looks for an id."""
    Path("plugin.json").write_bytes(content)
    assert load_runtime_config({}).plugin_id == ""


def test_plugin_path() -> None:
    """MATTERMOST_PLUGIN_PATH names the bundle."""
    assert load_runtime_config({"MATTERMOST_PLUGIN_PATH": "/bundles/x"}).plugin_path == "/bundles/x"


def test_log_level() -> None:
    """MATTERMOST_PLUGIN_LOG_LEVEL wins over MATTERMOST_LOG_LEVEL; case does not matter."""
    assert load_runtime_config({"MATTERMOST_LOG_LEVEL": "error"}).log_level == logging.ERROR
    both = {"MATTERMOST_LOG_LEVEL": "error", "MATTERMOST_PLUGIN_LOG_LEVEL": "Debug"}
    assert load_runtime_config(both).log_level == logging.DEBUG


@pytest.mark.parametrize(("text", "seconds"), [("7", 7.0), ("0.25", 0.25), ("1e2", 100.0)])
def test_hook_timeout(text: str, seconds: float) -> None:
    """MATTERMOST_PLUGIN_HOOK_TIMEOUT is a number of seconds."""
    assert load_runtime_config({"MATTERMOST_PLUGIN_HOOK_TIMEOUT": text}).hook_timeout_s == seconds


@pytest.mark.parametrize("backend", ["asyncio", "trio", "uvloop", " Trio "])
def test_backend(backend: str) -> None:
    """MM_PLUGIN_BACKEND is one of the two."""
    assert load_runtime_config({"MM_PLUGIN_BACKEND": backend}).backend == backend.strip().lower()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MATTERMOST_PLUGIN_LOG_LEVEL", "loud"),
        ("MATTERMOST_LOG_LEVEL", "3"),
        ("MATTERMOST_PLUGIN_HOOK_TIMEOUT", "soon"),
        ("MATTERMOST_PLUGIN_HOOK_TIMEOUT", "0"),
        ("MATTERMOST_PLUGIN_HOOK_TIMEOUT", "-1"),
        ("MATTERMOST_PLUGIN_HOOK_TIMEOUT", "inf"),
        ("MATTERMOST_PLUGIN_HOOK_TIMEOUT", "nan"),
        ("MM_PLUGIN_BACKEND", "curio"),
    ],
)
def test_a_wrong_value_is_named_with_what_was_expected(name: str, value: str) -> None:
    """The sentence says which variable, what it holds, and what it may hold."""
    with pytest.raises(ConfigurationError, match=re.escape(f"{name}={value!r}: expected ")):
        load_runtime_config({name: value})


def test_the_page_names_every_variable() -> None:
    """docs/reference/environment.md has a row for each variable that the code reads."""
    from mm_plugin.transport.goplugin import listen, versions

    page = (Path(__file__).parent.parent / "docs" / "reference" / "environment.md").read_text()
    names = {
        value
        for module in (settings, listen, versions)
        for value in vars(module).values()
        if isinstance(value, str) and re.fullmatch(r"(MATTERMOST|PLUGIN|MM_PLUGIN)_[A-Z_]+", value)
    }
    assert len(names) >= 12
    assert {name for name in names if f"`{name}`" not in page} == set()
