"""Settings from a class: what values fit it, its page in the console, and when a plugin has and changes them."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import Enum
from typing import Annotated, Any, Literal

import pytest
from google.protobuf.message import Message
from hypothesis import given, strategies as st

from mm_plugin._proto.services import api_methods
from mm_plugin.exceptions import DeclarationError, SettingsError, StatusCode
from mm_plugin.plugin.plugin import Plugin
from mm_plugin.plugin.settings_model import Setting, check_settings, read_settings, settings_schema_of
from mm_plugin.transport.link import CallFailure
from tests.plugin.running import Running, running


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


@dataclass(frozen=True)
class Limits:
    posts: int = 5
    hours: float = 1.5


@dataclass(frozen=True)
class Settings:
    word: Annotated[str, Setting(display_name="The word", help_text="Refused.", placeholder="secret", key="Word")]
    token: Annotated[str, Setting(secret=True, type="generated")] = ""
    threshold: int = 10
    ratio: float = 0.5
    strict: bool = False
    colour: Colour = Colour.RED
    mode: Annotated[Literal["fast", "slow"], Setting(type="radio", options={"fast": "Quick"})] = "fast"
    maximum: int | None = None
    names: list[str] = field(default_factory=list)
    pairs: tuple[int, ...] = ()
    labels: dict[str, bool] = field(default_factory=dict)
    limits: Limits = Limits()


# -- values ---------------------------------------------------------------------------------------------------


def test_values_are_matched_without_case_and_converted() -> None:
    """Numbers, booleans, lists and objects may come as text; unknown keys are left out."""
    assert read_settings(Settings, {"WORD": "x"}) == Settings("x")
    assert read_settings(
        Settings,
        {
            "word": "x",
            "Threshold": "7",
            "ratio": 2,
            "strict": "true",
            "colour": "blue",
            "mode": "slow",
            "maximum": 3.0,
            "names": "a, b\nc",
            "pairs": ["1", 2],
            "labels": '{"x": true}',
            "limits": {"POSTS": 1},
            "unknown": [],
        },
    ) == Settings("x", "", 7, 2.0, True, Colour.BLUE, "slow", 3, ["a", "b", "c"], (1, 2), {"x": True}, Limits(posts=1))


def test_emptied_fields_of_the_console_mean_the_default() -> None:
    """An empty text is a value for text alone; null never is."""
    values = {"word": "", "threshold": "", "ratio": None, "colour": "", "maximum": "", "names": "", "limits": ""}
    assert read_settings(Settings, values) == Settings("")


def test_every_problem_is_told_with_its_field_and_without_texts() -> None:
    """One error names all fields; what a text holds is not repeated, since it may be a secret."""
    with pytest.raises(SettingsError) as caught:
        read_settings(
            Settings,
            {
                "threshold": "hunter2",
                "ratio": True,
                "strict": 3,
                "colour": "green",
                "maximum": 1.5,
                "pairs": [1, "x", None],
                "labels": {"a": "maybe"},
                "names": {},
                "limits": {"posts": []},
            },
        )
    assert dict(caught.value.problems) == {
        "Word": "is missing; expected text",
        "threshold": "expected a whole number, found text",
        "ratio": "expected a number, found a boolean",
        "strict": "expected true or false, found a number",
        "colour": "expected one of red, blue, found text",
        "maximum": "expected a whole number, found a number",
        "pairs[1]": "expected a whole number, found text",
        "pairs[2]": "expected a whole number, found nothing",
        "labels.a": "expected true or false, found text",
        "names": "expected a list, found an object",
        "limits.posts": "expected a whole number, found a list",
    }
    assert "hunter2" not in str(caught.value)
    assert "threshold: expected a whole number" in str(caught.value)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(values=st.fixed_dictionaries({}, optional=dict.fromkeys(Settings.__dataclass_fields__, JSON)))
def test_whatever_the_server_holds_gives_settings_or_the_error(values: Mapping[str, Any]) -> None:
    """No value of JSON raises anything else, and what comes out has the declared types."""
    try:
        settings = read_settings(Settings, values)
    except SettingsError:
        return
    assert type(settings.threshold) is int
    assert type(settings.ratio) is float
    assert isinstance(settings.colour, Colour)
    assert all(isinstance(name, str) for name in settings.names)


@dataclass
class Checked:
    port: int = 80

    def __post_init__(self) -> None:
        if self.port > 65535:
            raise ValueError("port: must be below 65536")


class Own:
    """A class of another library, by the small protocol."""

    def __init__(self, port: int) -> None:
        self.port = port

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any], /) -> Own:
        if "port" not in values:
            raise ValueError("port: field required")
        return cls(values["port"])

    @classmethod
    def settings_schema(cls) -> dict[str, Any]:
        return {"settings": [{"key": "port", "type": "number"}]}


def test_classes_with_their_own_checks_and_readers_fit() -> None:
    """__post_init__ may refuse, and from_mapping makes any class a settings class."""
    with pytest.raises(SettingsError, match="port: must be below 65536"):
        read_settings(Checked, {"port": 70000})
    assert read_settings(Own, {"PORT": 8065}).port == 8065
    with pytest.raises(SettingsError, match="port: field required"):
        read_settings(Own, {})
    assert settings_schema_of(Own) == {"settings": [{"key": "port", "type": "number"}]}


@dataclass
class Loop:
    inner: Loop | None = None


@dataclass
class Union:
    value: int | str = 0


@dataclass
class Bytes:
    value: bytes = b""


@dataclass
class Twice:
    name: str = ""
    Name: str = ""


@pytest.mark.parametrize(
    ("cls", "reason"),
    [
        (Union, "Union.value: of unions only"),
        (Bytes, "Bytes.value: .*bytes.* cannot be used here; use str"),
        (Twice, "two fields have the key 'name'"),
        (Loop, "Loop contains itself"),
        (int, "int cannot hold settings: make it a dataclass"),
    ],
)
def test_a_class_that_cannot_hold_settings_is_refused_at_the_class_statement(cls: type, reason: str) -> None:
    """The error names the field and what can be used."""
    with pytest.raises(DeclarationError, match=reason):
        check_settings(cls)
    with pytest.raises(DeclarationError, match=reason):
        type("Wrong", (Plugin,), {"__orig_bases__": (Plugin[cls],)})  # type: ignore[valid-type]


# -- the console's page ---------------------------------------------------------------------------------------


def test_the_schema_is_what_plugin_json_wants() -> None:
    """Key, label, type, help, default and options of each field, ready for JSON."""
    schema: Any = json.loads(json.dumps(settings_schema_of(Settings, header="Hello")))
    assert (schema["header"], schema["footer"]) == ("Hello", "")
    entries = {entry.pop("key"): entry for entry in schema["settings"]}
    assert entries["Word"] == {
        "display_name": "The word",
        "type": "text",
        "help_text": "Refused.",
        "placeholder": "secret",
    }
    assert entries["token"] == {
        "display_name": "Token",
        "type": "generated",
        "help_text": "",
        "default": "",
        "secret": True,
    }
    assert (entries["threshold"]["type"], entries["threshold"]["default"]) == ("number", 10)
    assert (entries["strict"]["type"], entries["strict"]["default"]) == ("bool", False)
    assert entries["colour"]["default"] == "red"
    assert entries["colour"]["options"] == [
        {"display_name": "red", "value": "red"},
        {"display_name": "blue", "value": "blue"},
    ]
    assert entries["mode"]["type"] == "radio"
    assert entries["mode"]["options"][0] == {"display_name": "Quick", "value": "fast"}
    assert (entries["maximum"]["type"], "default" in entries["maximum"]) == ("number", False)
    assert entries["limits"]["type"] == "longtext"


def test_the_schemas_defaults_read_back_as_the_defaults() -> None:
    """A server that fills in the manifest's defaults changes nothing."""
    schema: Any = settings_schema_of(Settings)
    values = {entry["key"].lower(): entry["default"] for entry in schema["settings"] if "default" in entry}
    assert read_settings(Settings, {**values, "word": "x"}) == Settings("x")


# -- in a plugin ----------------------------------------------------------------------------------------------


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


@dataclass
class Numbers:
    """Fields whose values may be more than Python takes."""

    ratio: float = 1.0
    count: int = 1
    names: list[str] = field(default_factory=list[str])


@pytest.mark.parametrize(
    "values",
    [{"ratio": 10**400}, {"count": float("inf")}, {"count": "9" * 5000}, {"names": "[" * 100_000}],
    ids=["huge", "infinite", "long", "deep"],
)
def test_values_beyond_what_can_be_held_are_settings_errors(values: Mapping[str, Any]) -> None:
    """A number too large and JSON too deep are told like any other value that does not fit."""
    with pytest.raises(SettingsError, match=next(iter(values))):
        read_settings(Numbers, values)
