"""Settings from a class: what values fit it, its page in the console, and when a plugin has and changes them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given, strategies as st

from mm_plugin.exceptions import DeclarationError, SettingsError
from mm_plugin.plugin.plugin import Plugin
from mm_plugin.plugin.settings_model import Setting, check_settings, read_settings, settings_schema_of


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
