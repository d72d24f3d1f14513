"""The runtime's own configuration: what the environment and the caller may set, with defaults from limits.py."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from mm_plugin import limits
from mm_plugin.exceptions import ConfigurationError

__all__ = ("RuntimeConfig", "load_runtime_config")

API_TARGET = "MATTERMOST_PLUGIN_API_TARGET"
API_SECRET = "MM_PLUGIN_API_SECRET"  # noqa: S105 - the variable's name
PLUGIN_ID = "MATTERMOST_PLUGIN_ID"
PLUGIN_PATH = "MATTERMOST_PLUGIN_PATH"
HOOK_TIMEOUT = "MATTERMOST_PLUGIN_HOOK_TIMEOUT"
LOG_LEVEL = "MATTERMOST_PLUGIN_LOG_LEVEL"
SERVER_LOG_LEVEL = "MATTERMOST_LOG_LEVEL"
BACKEND = "MM_PLUGIN_BACKEND"

#: Mattermost's magic cookie, by which a plugin's process knows that a host has started it; no secret.
COOKIE_KEY = "MATTERMOST_PLUGIN"
COOKIE_VALUE = "Securely message teams, anywhere."

_LEVELS = {
    "TRACE": logging.DEBUG,
    "DEBUG": logging.DEBUG,
    "INFO": logging.INFO,
    "WARN": logging.WARNING,
    "WARNING": logging.WARNING,
    "ERROR": logging.ERROR,
    "CRITICAL": logging.CRITICAL,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimeConfig:
    """Settings of the plugin's runtime; every field has a default that works on a developer's machine.

    Attributes:
        plugin_id: The plugin's id; "" where neither the environment nor a plugin.json says it.
        plugin_path: The bundle's folder; "" means the working directory.
        api_target: ``host:port`` or ``unix:/path`` of the server's API; "" where none is set.
        api_secret: What shows the host that an API call is this plugin's; "" where the host gave none.
        log_level: A level of the standard ``logging`` module.
        hook_timeout_s: Longest a hook may take.
        api_timeout_s: Longest an API call may take.
        message_limit_octets: Longest message taken or sent.
        backend: ``asyncio``, ``trio`` or ``uvloop``; "" leaves the choice to the caller.
        unix_socket_dir: Listen on a unix socket in this folder instead of TCP; "" means TCP unless the host asks.
        stop_grace_s: The whole stop after a signal.
    """

    plugin_id: str = ""
    plugin_path: str = ""
    api_target: str = ""
    api_secret: str = field(default="", repr=False)
    log_level: int = logging.INFO
    hook_timeout_s: float = limits.hook_timeout_s
    api_timeout_s: float = limits.api_timeout_s
    message_limit_octets: int = limits.message_limit_octets
    backend: str = ""
    unix_socket_dir: str = ""
    stop_grace_s: float = limits.stop_after_signal_s


def load_runtime_config(environ: Mapping[str, str]) -> RuntimeConfig:
    """Read the runtime's configuration from environment variables.

    Args:
        environ: Usually ``os.environ``. Variables that are absent or empty leave the default.

    Returns:
        The configuration; the plugin's id comes from plugin.json in the working directory where no variable has it.

    Raises:
        ConfigurationError: A variable holds what it must not; the text names it and what was expected.
    """
    return RuntimeConfig(
        plugin_id=environ.get(PLUGIN_ID, "") or _id_from_manifest(),
        plugin_path=environ.get(PLUGIN_PATH, ""),
        api_target=environ.get(API_TARGET, ""),
        api_secret=environ.get(API_SECRET, ""),
        log_level=_level(environ),
        hook_timeout_s=_seconds(environ, HOOK_TIMEOUT, limits.hook_timeout_s),
        backend=_backend(environ),
    )


def _level(environ: Mapping[str, str]) -> int:
    for name in (LOG_LEVEL, SERVER_LOG_LEVEL):
        text = environ.get(name, "")
        if text:
            level = _LEVELS.get(text.strip().upper())
            if level is None:
                raise ConfigurationError(f"{name}={text!r}: expected one of {', '.join(_LEVELS)}")
            return level
    return logging.INFO


def _seconds(environ: Mapping[str, str], name: str, default: float) -> float:
    text = environ.get(name, "")
    if not text:
        return default
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise ConfigurationError(f"{name}={text!r}: expected a number of seconds above 0, such as {default:g}")
    return value


def _backend(environ: Mapping[str, str]) -> str:
    text = environ.get(BACKEND, "").strip().lower()
    if text not in {"", "asyncio", "trio", "uvloop"}:
        raise ConfigurationError(f"{BACKEND}={text!r}: expected asyncio, trio or uvloop")
    return text


def _id_from_manifest() -> str:
    """Return the id in plugin.json of the working directory; "" where there is none (the host checks manifests)."""
    try:
        manifest: object = json.loads(Path("plugin.json").read_bytes())
    except (OSError, ValueError):
        return ""
    found = cast("dict[str, object]", manifest).get("id") if isinstance(manifest, dict) else None
    return found.lower() if isinstance(found, str) else ""
