"""A plugin's settings as the command line gives them: ``--config KEY=VALUE`` and ``--config-file FILE``.

Layer:  cli.
Errors: ConfigurationError, one sentence that names the option.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, cast

from mm_plugin.exceptions import ConfigurationError

if TYPE_CHECKING:
    from mm_plugin.types import JSONObject, JSONValue

__all__ = ("read_settings",)


def read_settings(pairs: Iterable[str], file: Path | None) -> JSONObject:
    """Return the settings; a pair wins over the file.

    Args:
        pairs: Such as ``Words=secret`` or ``Limit=3``: JSON where it is some, else text.
        file: A JSON object of settings; None for none.

    Raises:
        ConfigurationError: A pair is none, or the file is not there or no JSON object.
    """
    settings: dict[str, JSONValue] = {} if file is None else _of_file(file)
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals or not name.strip():
            raise ConfigurationError(f"--config {pair!r}: expected KEY=VALUE, such as Limit=3")
        try:
            settings[name.strip()] = cast("JSONValue", json.loads(text))
        except ValueError:
            settings[name.strip()] = text
    return settings


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
