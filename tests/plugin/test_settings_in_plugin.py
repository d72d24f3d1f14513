"""A plugin's settings at work: loaded before its first hook, renewed with the configuration."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from google.protobuf.message import Message

from mm_plugin._proto.services import api_methods
from mm_plugin.exceptions import DeclarationError, StatusCode
from mm_plugin.plugin.plugin import Plugin
from mm_plugin.transport.link import CallFailure
from tests.plugin.running import Running, running
from tests.plugin.test_settings import Settings


class Mine(Plugin[Settings]):
    """Notes when it has which settings."""

    def __init__(self) -> None:
        self.events: list[str] = []

    def on_configuration_change(self) -> None:
        self.events.append(f"configuration {self.settings.word}")

    async def on_activate(self) -> None:
        self.events.append(f"activate {self.settings.word}")

    def on_settings_change(self, old: Settings, new: Settings) -> None:
        assert self.settings is new
        self.events.append(f"{old.word} becomes {new.word}")


class Server:
    """Answers LoadPluginConfiguration."""

    def __init__(self) -> None:
        self.values: Any = {"word": "a"}
        self.octets: bytes | None = None
        self.down = False

    async def call_api(self, method: str, request: Message, *, deadline: float | None = None) -> Message:
        if self.down:
            raise CallFailure("nobody there", code=StatusCode.UNAVAILABLE)
        assert method == "LoadPluginConfiguration"
        octets = json.dumps(self.values).encode() if self.octets is None else self.octets
        return api_methods()[method].response(config_json=octets)


@asynccontextmanager
async def session(plugin: Plugin) -> AsyncGenerator[tuple[Running, Server]]:
    """Run a plugin against a server that has settings for it."""
    server = Server()
    async with running(plugin, server) as run:
        yield run, server


async def test_settings_are_there_before_the_first_hook() -> None:
    """Before the first OnConfigurationChange, and typed; before the activation a RuntimeError says when."""
    plugin = Mine()
    async with session(plugin) as (run, _server):
        with pytest.raises(RuntimeError, match="when the plugin is activated"):
            plugin.settings  # noqa: B018 - reading it is the test
        assert not (await run.call("OnActivate")).HasField("error")
        assert plugin.events == ["configuration a", "activate a"]
        assert plugin.settings == Settings("a")


async def test_a_change_is_told_and_an_unchanged_configuration_is_not() -> None:
    """on_settings_change comes before the handler of the hook, for other values only."""
    plugin = Mine()
    async with session(plugin) as (run, server):
        await run.call("OnActivate")
        plugin.events.clear()
        await run.call("OnConfigurationChange")
        server.values = {"word": "b"}
        await run.call("OnConfigurationChange")
    assert plugin.events == ["configuration a", "a becomes b", "configuration b"]


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        ({"values": {"word": "a", "threshold": "x"}}, "threshold: expected a whole number, found text"),
        ({"values": {}}, "Word: is missing"),
        ({"values": None}, "Word: is missing"),
        ({"values": []}, "must be a JSON object, not list"),
        ({"octets": b"{"}, "cannot be read"),
        ({"octets": b""}, "Word: is missing"),
        ({"down": True}, "cannot be loaded from the server: nobody there"),
    ],
)
async def test_bad_first_settings_fail_the_activation_and_later_ones_keep_the_old(
    state: dict[str, Any], reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The error of OnActivate, and later the log, names field and reason; no hook of the author runs on bad ones."""
    plugin = Mine()
    async with session(plugin) as (run, server):
        vars(server).update(state)
        assert reason in (await run.call("OnActivate")).error.detailed_error
        assert plugin.events == []
        vars(server).update(vars(Server()))
        assert not (await run.call("OnActivate")).HasField("error")
        caplog.clear()
        vars(server).update(state)
        assert not (await run.call("OnConfigurationChange")).HasField("error")
        assert plugin.settings == Settings("a")
    assert plugin.events == ["configuration a", "activate a", "configuration a"]
    (record,) = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert reason in record.getMessage()
    assert "the old settings stay" in record.getMessage()


async def test_a_failing_on_settings_change_fails_the_hook() -> None:
    """The new settings stay, and the host is told."""

    class Failing(Plugin[Settings]):
        async def on_settings_change(self, old: Settings, new: Settings) -> None:
            raise LookupError("no such channel")

    plugin = Failing()
    async with session(plugin) as (run, server):
        await run.call("OnActivate")
        server.values = {"word": "b"}
        assert "no such channel" in (await run.call("OnConfigurationChange")).error.detailed_error
        assert plugin.settings.word == "b"


async def test_a_plugin_without_a_settings_class_asks_for_none() -> None:
    """Plain Plugin stays as it was."""
    plugin = Plugin()
    async with running(plugin) as run:
        await run.call("OnActivate")
        assert run.api.asked == []
        with pytest.raises(DeclarationError, match=r"name one, class Plugin\(Plugin\[MySettings\]\)"):
            plugin.settings  # noqa: B018 - reading it is the test


def test_on_settings_change_needs_a_settings_class() -> None:
    """It would never be called, so the class statement refuses it."""
    with pytest.raises(DeclarationError, match=r"class Wrong\(Plugin\[MySettings\]\)"):

        class Wrong(Plugin):
            def on_settings_change(self, old: object, new: object) -> None: ...


async def test_the_settings_class_is_inherited() -> None:
    """A plugin below one that names its settings has them too."""

    class Child(Mine): ...

    plugin = Child()
    async with session(plugin) as (run, _server):
        await run.call("OnActivate")
        assert plugin.settings == Settings("a")
