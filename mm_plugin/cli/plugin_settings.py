"""A plugin's settings as the command line gives them: ``--config KEY=VALUE`` and ``--config-file FILE``.

Job:    read values as the settings schema of plugin.json declares them, and say what to do where one does not fit.
Layer:  cli.
Errors: ConfigurationError, one sentence that names the option.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, cast

from mm_plugin.exceptions import ConfigurationError, PluginStartError, SettingsError
from mm_plugin.messages.declared_settings import declared_settings

if TYPE_CHECKING:
    from mm_plugin.messages.manifest import Manifest
    from mm_plugin.types import JSONObject, JSONValue

__all__ = ("hinting", "quoting_hint", "read_settings")

_TEXTS = {"text", "longtext", "dropdown", "radio", "username", "generated"}
_BOOLEANS = {"true": True, "false": False}


def read_settings(pairs: Iterable[str], file: Path | None, manifest: Manifest | None = None) -> JSONObject:
    """Return the settings; a pair wins over the file.

    Args:
        pairs: Such as ``Words=secret`` or ``Limit=3``, read as the manifest declares the setting; where it does not,
            JSON where it is some, else text. Text in double quotes is what stands between them.
        file: A JSON object of settings; None for none.
        manifest: The plugin's; None for none.

    Raises:
        ConfigurationError: A pair is none, or does not fit what the manifest declares, or the file is not there or no
            JSON object.
    """
    settings: dict[str, JSONValue] = {} if file is None else _of_file(file)
    kinds = {key.lower(): kind for key, kind in declared_settings(manifest).items()}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        name = name.strip()
        if not equals or not name:
            raise ConfigurationError(f"--config {pair!r}: expected KEY=VALUE, such as Limit=3")
        settings[name] = _value(name, text, kinds.get(name.lower(), ""))
    return settings


def _value(name: str, text: str, kind: str) -> JSONValue:
    try:
        value = cast("JSONValue", json.loads(text))
    except (ValueError, RecursionError):
        value = text
    if kind in _TEXTS:
        return value if isinstance(value, str) else text
    if kind == "number" and (isinstance(value, bool) or not isinstance(value, int | float)):
        raise ConfigurationError(f"--config {name}=…: expected a number, as plugin.json declares {name}")
    if kind == "bool":
        if text.strip().lower() not in _BOOLEANS:
            raise ConfigurationError(f"--config {name}=…: expected true or false, as plugin.json declares {name}")
        return _BOOLEANS[text.strip().lower()]
    return value


@contextmanager
def hinting(pairs: Iterable[str], manifest: Manifest) -> Generator[None]:
    """Say on standard error what to do where a plugin does not start for the form of its settings."""
    try:
        yield
    except PluginStartError as error:
        sys.stderr.write(quoting_hint(pairs, manifest, error.reason))
        raise


def quoting_hint(pairs: Iterable[str], manifest: Manifest, reason: str) -> str:
    """Return how to give what looks like JSON as text, for people; "" where that cannot be why a start failed."""
    if SettingsError.docs_code not in reason:
        return ""
    kinds = {key.lower(): kind for key, kind in declared_settings(manifest).items()}
    undeclared = [pair.partition("=")[::2] for pair in pairs if pair.partition("=")[0].strip().lower() not in kinds]
    names = [name.strip() for name, text in undeclared if not isinstance(_value("", text, ""), str)]
    if not names:
        return ""
    return (
        f"mm-plugin: {', '.join(names)} was read as JSON, for no settings_schema in plugin.json says what it is; to "
        f"give text, quote it: --config '{names[0]}=\"…\"'\n"
    )


def _of_file(file: Path) -> dict[str, JSONValue]:
    try:
        value: object = json.loads(file.read_bytes())
    except OSError as error:
        raise ConfigurationError(f"--config-file {file}: cannot be read: {error.strerror or error}") from None
    except (ValueError, RecursionError) as error:
        raise ConfigurationError(f"--config-file {file}: bad JSON: {error}") from None
    if not isinstance(value, dict):
        raise ConfigurationError(f'--config-file {file}: expected an object of settings, such as {{"Limit": 3}}')
    return cast("dict[str, JSONValue]", value)
