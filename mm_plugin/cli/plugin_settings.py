"""A plugin's settings as the command line gives them: ``--config KEY=VALUE`` and ``--config-file FILE``.

Job:    read values as the settings schema of plugin.json declares them, and tell of what is probably a mistake.
Layer:  cli.
Errors: ConfigurationError, one sentence that names the option.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, cast

from mm_plugin.exceptions import ConfigurationError, PluginStartError, SettingsError

if TYPE_CHECKING:
    from mm_plugin.messages.manifest import Manifest
    from mm_plugin.types import JSONObject, JSONValue

__all__ = ("hinting", "quoting_hint", "read_settings", "unknown_settings")

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
    kinds = {key.lower(): kind for key, kind in _declared(manifest).items()}
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


def unknown_settings(settings: Iterable[str], manifests: Iterable[Manifest]) -> list[str]:
    """Return a sentence for each setting that no manifest declares; none where one of them declares nothing at all."""
    declared = [_declared(manifest) for manifest in manifests]
    if not all(declared):
        return []
    known = {key.lower(): key for keys in declared for key in keys}
    told: list[str] = []
    for name in settings:
        if name.lower() not in known:
            near = get_close_matches(name.lower(), known, n=1)
            hint = f"did you mean {known[near[0]]}?" if near else f"it has {', '.join(known.values())}"
            told.append(f"the settings_schema of plugin.json has no setting {name!r}; {hint}")
    return told


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
    kinds = {key.lower(): kind for key, kind in _declared(manifest).items()}
    undeclared = [pair.partition("=")[::2] for pair in pairs if pair.partition("=")[0].strip().lower() not in kinds]
    names = [name.strip() for name, text in undeclared if not isinstance(_value("", text, ""), str)]
    if not names:
        return ""
    return (
        f"mm-plugin: {', '.join(names)} was read as JSON, for no settings_schema in plugin.json says what it is; to "
        f"give text, quote it: --config '{names[0]}=\"…\"'\n"
    )


def _declared(manifest: Manifest | None) -> dict[str, str]:
    """Return the type of each setting in the manifest's schema."""
    listed = manifest.settings_schema.get("settings") if manifest else None
    settings = cast("list[Mapping[str, JSONValue]]", listed or [])
    return {str(setting["key"]): str(setting.get("type", "")) for setting in settings if "key" in setting}


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
