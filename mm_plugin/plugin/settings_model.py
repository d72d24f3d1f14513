"""The author's settings: a class, the values the server has for it, and its page in the system console.

Job:    make an instance of a settings class from the server's values, and a ``settings_schema`` from the class.
Layer:  plugin; no I/O.
Input:  a dataclass, or any class with ``from_mapping`` (and ``settings_schema`` for the console's page).
Errors: DeclarationError for a class that cannot be used, SettingsError for values that do not fit.
See:    docs/how-to/settings.md

Keys are matched without regard to case: the server stores those of a plugin's settings in lower case.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass
from enum import Enum
from functools import cache
from typing import Annotated, Literal, Protocol, Self, TypeAlias, TypeVar, cast, get_args, get_origin, get_type_hints

from mm_plugin.exceptions import DeclarationError, SettingsError
from mm_plugin.plugin.value_types import Unfit, ValueType, value_type
from mm_plugin.types import JSONValue

__all__ = ("Setting", "SettingType", "SettingsModel", "check_settings", "read_settings", "settings_schema_of")

_T = TypeVar("_T")

#: The input fields of the system console (developers.mattermost.com: manifest reference, settings_schema).
SettingType: TypeAlias = Literal[
    "bool", "custom", "dropdown", "generated", "longtext", "number", "radio", "text", "username"
]
_CHOOSING = {"dropdown", "radio"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What the system console says about one setting: ``word: Annotated[str, Setting(help_text="...")] = "x"``.

    Attributes:
        display_name: Its label; made of the field's name where empty.
        help_text: What stands below it.
        placeholder: What an empty field shows.
        key: Its key in the configuration; the field's name where empty.
        type: The input field; chosen by the annotation where None.
        options: The labels of the choices, by their values.
        secret: Whether the console hides its value.
    """

    display_name: str = ""
    help_text: str = ""
    placeholder: str = ""
    key: str = ""
    type: SettingType | None = None
    options: Mapping[str, str] = dataclasses.field(default_factory=dict[str, str])
    secret: bool = False


class SettingsModel(Protocol):
    """What a settings class that is no dataclass has, such as a model of another library."""

    @classmethod
    def from_mapping(cls, values: Mapping[str, JSONValue], /) -> Self:
        """Return an instance for the server's values, whose keys are in lower case.

        Raises:
            ValueError: They do not fit; the text says which and why. A TypeError counts likewise.
        """
        ...


@dataclass(frozen=True, slots=True)
class _Field:
    name: str
    key: str
    type: ValueType
    setting: Setting
    default: Callable[[], object] | None


# -- from values to settings ----------------------------------------------------------------------------------


def check_settings(cls: type) -> None:
    """Check that a class can hold settings.

    Raises:
        DeclarationError: It is neither a dataclass nor has it ``from_mapping``, or a field has a type that no setting
            can have.
    """
    if not hasattr(cls, "from_mapping"):
        try:
            _fields_of(cls)
        except RecursionError:
            raise DeclarationError(f"{cls.__qualname__} contains itself; settings must end somewhere") from None


def read_settings(cls: type[_T], values: Mapping[str, JSONValue]) -> _T:
    """Return an instance of a settings class.

    Args:
        cls: The class.
        values: The server's values by their keys, in any case. Unknown ones are left out, absent ones have the
            field's default.

    Raises:
        SettingsError: They do not fit; the text names each field and why.
    """
    model: type = cls
    from_mapping = getattr(cls, "from_mapping", None)
    try:
        if from_mapping is not None:
            return cast("_T", from_mapping({key.lower(): value for key, value in values.items()}))
        return cast("_T", _record(model, cls.__qualname__).convert(values))
    except Unfit as error:
        problems = [(path.removeprefix("."), reason) for path, reason in error.problems]
        text = "; ".join(f"{path}: {reason}" for path, reason in problems)
        raise SettingsError(f"the plugin's settings do not fit: {text}", problems=problems) from None
    except (ValueError, TypeError, OverflowError, RecursionError) as error:
        raise SettingsError(f"the plugin's settings do not fit: {error}") from error


@cache
def _record(cls: type, where: str) -> ValueType:
    """Return the type of a dataclass: an object with a value for each field."""
    fields = _fields_of(cls)

    def convert(value: object) -> object:
        if isinstance(value, str):
            value = _decode(value)
        if not isinstance(value, Mapping):
            raise Unfit(("", f"expected an object, found {type(value).__name__}"))
        given = {str(key).lower(): part for key, part in cast("Mapping[object, object]", value).items()}
        made: dict[str, object] = {}
        problems: list[tuple[str, str]] = []
        for field in fields:
            try:
                made[field.name] = _field_value(field, given)
            except Unfit as error:
                problems += ((f".{field.key}{path}", reason) for path, reason in error.problems)
        if problems:
            raise Unfit(*problems)
        try:
            return cls(**made)
        except (ValueError, TypeError, OverflowError) as error:  # what the author's __post_init__ refuses
            raise Unfit(("", str(error))) from error

    return ValueType("record", f"an object as {where} describes it", convert)


def _field_value(field: _Field, given: Mapping[str, object]) -> object:
    if field.key.lower() in given:
        value = given[field.key.lower()]
        emptied = value is None or (value == "" and field.type.kind not in {"text", "any"})
        if not emptied or field.type.optional or field.default is None:
            return field.type.convert(value)
    if field.default is None:
        raise Unfit(("", f"is missing; expected {field.type.expected}"))
    return field.default()


def _decode(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise Unfit(("", "expected an object, found text that is no JSON")) from None


@cache
def _fields_of(cls: type[object]) -> tuple[_Field, ...]:
    if not dataclasses.is_dataclass(cls):
        raise DeclarationError(
            f"{cls.__qualname__} cannot hold settings: make it a dataclass, or give it a classmethod from_mapping"
        )
    try:
        hints = get_type_hints(cls, include_extras=True)
    except NameError as error:
        raise DeclarationError(
            f"{cls.__qualname__}: {error}; the types of settings must be importable where the class stands"
        ) from None
    fields: dict[str, _Field] = {}
    for field in dataclasses.fields(cls):
        if field.init:
            where, hint = f"{cls.__qualname__}.{field.name}", hints[field.name]
            setting = _setting_of(hint)
            key = setting.key or field.name
            if key.lower() in fields:
                raise DeclarationError(f"{where}: two fields have the key {key.lower()!r}; the server tells no case")
            made = _Field(field.name, key, value_type(hint, where, _record), setting, _default_of(field))
            fields[key.lower()] = made
    return tuple(fields.values())


def _setting_of(hint: object) -> Setting:
    extras = get_args(hint)[1:] if get_origin(hint) is Annotated else ()
    return next((extra for extra in extras if isinstance(extra, Setting)), Setting())


def _default_of(field: dataclasses.Field[object]) -> Callable[[], object] | None:
    if field.default is not MISSING:
        default = field.default
        return lambda: default
    return None if field.default_factory is MISSING else field.default_factory


# -- the page in the system console ---------------------------------------------------------------------------


def settings_schema_of(cls: type, *, header: str = "", footer: str = "") -> dict[str, JSONValue]:
    """Return what ``settings_schema`` of plugin.json has to say for a settings class.

    Lists, mappings and nested dataclasses become text fields that hold JSON.

    Args:
        cls: The settings class; one that is no dataclass needs a classmethod ``settings_schema`` without arguments.
        header: Markdown above the settings.
        footer: Markdown below them.

    Raises:
        DeclarationError: The class cannot be used.
    """
    own = getattr(cls, "settings_schema", None)
    if own is not None:
        return dict(own())
    entries = [_entry(cls, field) for field in _fields_of(cls)]
    return {"header": header, "footer": footer, "settings": entries}


def _entry(cls: type, field: _Field) -> dict[str, JSONValue]:
    setting = field.setting
    kind = setting.type or _TYPES.get(field.type.kind, "longtext")
    entry: dict[str, JSONValue] = {
        "key": field.key,
        "display_name": setting.display_name or field.name.replace("_", " ").strip().capitalize(),
        "type": kind,
        "help_text": setting.help_text,
    }
    if setting.placeholder:
        entry["placeholder"] = setting.placeholder
    if kind in _CHOOSING:
        if not field.type.choices:
            raise DeclarationError(f"{cls.__qualname__}.{field.name}: a {kind} needs a Literal or an Enum")
        entry["options"] = [
            {"display_name": setting.options.get(text, text), "value": text} for text in field.type.choices
        ]
    default = None if field.default is None else _plain(field.default())
    if default is not None:
        entry["default"] = default if isinstance(default, str | int | float) else json.dumps(default)
        if kind in _CHOOSING:
            entry["default"] = str(default)
    if setting.secret:
        entry["secret"] = True
    return entry


_TYPES: Mapping[str, SettingType] = {"text": "text", "number": "number", "boolean": "bool", "choice": "dropdown"}


def _plain(value: object) -> JSONValue:
    """Return a default as JSON says it."""
    if isinstance(value, Enum):
        return _plain(value.value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.key: _plain(getattr(value, field.name)) for field in _fields_of(type(value))}
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in cast("Mapping[object, object]", value).items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in cast("tuple[object, ...]", value)]
    return cast("JSONValue", value)
