"""Turn what a plugin writes to standard error into log records.

Job:    one line in, one record out, under the logger ``mm_plugin.host.plugin.<plugin id>``.
Layer:  host.
Input:  hclog JSON lines (``@level``, ``@message``, ``@timestamp``, further keys), text that starts with a level in
        brackets, or anything else (go-plugin, log_entry.go; reference of the Go host, section 1.10).
Output: records whose ``fields`` attribute holds the further keys. A line of no known form is INFO, where the Go host
        makes it DEBUG: what an author prints must be seen. A traceback is ERROR as a whole, up to its last line.
"""

from __future__ import annotations

import json
import logging
from collections import deque
from collections.abc import Mapping
from typing import cast

from mm_plugin import limits
from mm_plugin.host.lines import without_middle

__all__ = ("PluginLog", "parse_log_line")

_LEVELS = {
    "trace": logging.DEBUG,
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warn": logging.WARNING,
    "error": logging.ERROR,
}
_PREFIXES = {f"[{name.upper()}]": level for name, level in _LEVELS.items()}
_CRASHES = ("panic: ", "fatal error: ", "Fatal Python error: ", "Traceback (most recent call last)")

#: Stand between the parts of one traceback, with its causes.
_BETWEEN_CRASHES = ("During handling of the above exception", "The above exception was the direct cause")


def parse_log_line(line: str) -> tuple[int, str, Mapping[str, object]]:
    """Return level (as of ``logging``), message and further fields of one line; never fails."""
    if line.startswith("{"):
        entry = _hclog(line)
        if entry is not None:
            return entry
    prefix, _, rest = line.partition(" ")
    if prefix in _PREFIXES:
        return _PREFIXES[prefix], rest.lstrip(), {}
    return (logging.ERROR if line.startswith(_CRASHES) else logging.INFO), line, {}


def _hclog(line: str) -> tuple[int, str, Mapping[str, object]] | None:
    try:
        decoded: object = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(decoded, dict):
        return None
    entry = cast("dict[str, object]", decoded)
    message = entry.pop("@message", None)
    if not isinstance(message, str):
        return None
    level = entry.pop("@level", None)
    entry.pop("@timestamp", None)
    return _LEVELS.get(level.lower(), logging.INFO) if isinstance(level, str) else logging.INFO, message, entry


class PluginLog:
    """What one process writes, logged line by line; the last lines are kept to explain a failed start.

    Args:
        plugin_id: Names the logger.
    """

    def __init__(self, plugin_id: str) -> None:
        self.logger = logging.getLogger(f"mm_plugin.host.plugin.{plugin_id}")
        self._plugin_id = plugin_id
        self._tail: deque[str] = deque(maxlen=limits.stderr_tail_lines)
        self._crashing = False

    @property
    def tail(self) -> tuple[str, ...]:
        """The last lines of standard error, oldest first, readable: a JSON line stands as its message."""
        return tuple(self._tail)

    def stderr_line(self, octets: bytes) -> None:
        """Take one line of standard error."""
        line = octets.decode("utf-8", "replace")
        if not line.strip():
            return
        level, message, fields = parse_log_line(line)
        if level == logging.INFO and message == line and (self._crashing or line.startswith(_BETWEEN_CRASHES)):
            level = logging.ERROR
            self._crashing = line.startswith((" ", "Current thread", "Thread", *_BETWEEN_CRASHES))
        else:
            self._crashing = line.startswith(_CRASHES)
        readable = self._readable(message, fields)
        self._tail.append(without_middle(readable, limits.stderr_tail_characters))
        self.logger.log(level, "%s", readable, extra={"fields": fields})

    def _readable(self, message: str, fields: Mapping[str, object]) -> str:
        """Return a record as people read it: no id twice, and a traceback in lines of its own."""
        rest = {name: value for name, value in fields.items() if name != "traceback"}
        if rest.get("plugin_id") == self._plugin_id:  # the logger's name says it
            del rest["plugin_id"]
        if str(rest.get("hook")) in message:
            rest.pop("hook", None)
        line = " ".join((message, *(f"{name}={value}" for name, value in rest.items())))
        return f"{line}\n{fields['traceback']}" if "traceback" in fields else line

    def stdout_line(self, octets: bytes) -> None:
        """Take one line of standard output after the handshake, which belongs to nobody."""
        self.logger.debug("standard output: %s", octets.decode("utf-8", "replace"))
