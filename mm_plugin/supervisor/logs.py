"""Log records as hclog JSON lines, which go-plugin hosts take apart.

Job:    one line of ASCII JSON for each record of the standard ``logging`` module, written to a file descriptor.
Layer:  supervisor (process layer).
Output: ``@level``, ``@message``, ``@timestamp``, ``@module``, the hook call's request, session and user where the host
        said them, the record's ``extra``, and a ``traceback``.
Errors: none; a record that cannot be formatted is written as well as it can be.
See:    hashicorp/go-plugin: log_entry.go. The three ``@`` fields are strings whatever was logged: older hosts crash on
        others. A line over 64 KiB would be split and lose its level, so long texts lose their middle.
"""

from __future__ import annotations

import json
import logging
import math
import os
from datetime import datetime

from mm_plugin import limits
from mm_plugin.hooks.request_context import log_fields
from mm_plugin.messages.redaction import scrubbed, shown
from mm_plugin.supervisor.open_line import OpenLine

__all__ = ("HCLogFormatter", "HCLogHandler", "configure_logging")

_CUT = "...[cut]..."
#: What every record has; other attributes came from ``extra``.
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}


class HCLogFormatter(logging.Formatter):
    """Formats a record as one JSON object on one line, within ``limits.log_line_octets``."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, without its end."""
        fields: dict[str, object] = {
            "@level": _level(record.levelno),
            "@message": _message(record),
            # Six digits and a zone offset: go-plugin parses exactly this.
            "@timestamp": datetime.fromtimestamp(record.created).astimezone().isoformat(timespec="microseconds"),
            "@module": record.name,
            **log_fields(),  # before the record's own, which win
        }
        for name, value in vars(record).items():
            if name not in _STANDARD and not name.startswith("@"):
                fields[name] = _plain(value)
        if record.exc_info and record.exc_info[0] is not None:
            fields["traceback"] = self.formatException(record.exc_info)
        if record.stack_info:
            fields["stack"] = self.formatStack(record.stack_info)
        return _fitting({name: scrubbed(value) if isinstance(value, str) else value for name, value in fields.items()})


class HCLogHandler(logging.Handler):
    """Writes records to a file descriptor; what cannot be written is lost, since nobody is left to tell.

    Args:
        descriptor: Usually 2, the process's real standard error.

    Attributes:
        reaches_host: Tells whoever sends records to the host in another way (``api/log_handler.py``) that we do, too.
    """

    reaches_host = True

    def __init__(self, descriptor: int = 2) -> None:
        super().__init__()
        self._descriptor = descriptor
        self.setFormatter(HCLogFormatter())

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record as one line, after the end of what was printed without one."""
        try:
            line = self.format(record).encode("ascii") + b"\n"
            data = memoryview(b"\n" + line if OpenLine.is_open else line)
            OpenLine.is_open = False
            while data:
                data = data[os.write(self._descriptor, data) :]
        except OSError:
            pass  # the host has closed its end
        except Exception:  # noqa: BLE001 - a log line must never break what it tells of
            self.handleError(record)


def configure_logging(level: int) -> None:
    """Make everything that is logged, warnings too, reach the host through standard error.

    Args:
        level: A level of the ``logging`` module.
    """
    root = logging.getLogger()
    for handler in root.handlers[:]:
        root.removeHandler(handler)
    root.addHandler(HCLogHandler())
    root.setLevel(level)
    logging.captureWarnings(capture=True)


def _level(number: int) -> str:
    if number >= logging.ERROR:
        return "error"
    if number >= logging.WARNING:
        return "warn"
    if number >= logging.INFO:
        return "info"
    return "debug" if number >= logging.DEBUG else "trace"


def _message(record: logging.LogRecord) -> str:
    args: object = record.args
    if isinstance(record.args, tuple):
        args = tuple(shown(value) for value in record.args)
    elif record.args:
        args = {name: shown(value) for name, value in record.args.items()}
    text = _shown(record.msg)
    if not args:
        return text
    try:
        return text % args
    except Exception as error:  # noqa: BLE001 - whatever an author's objects do when they are shown
        return f"{text} (cannot be formatted with its arguments: {type(error).__name__})"


def _plain(value: object) -> object:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int) and value.bit_length() <= 64:
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    return _shown(value)


def _shown(value: object) -> str:
    try:
        return str(shown(value))
    except Exception as error:  # noqa: BLE001 - as above
        return f"<{type(value).__name__} that cannot be shown: {type(error).__name__}>"


def _fitting(fields: dict[str, object]) -> str:
    """Return the fields as JSON, their texts shortened until all of it fits; at worst only the three that must be."""
    line = json.dumps(fields)
    longest = limits.log_line_octets
    while len(line) > limits.log_line_octets:
        longest //= 2
        if longest < 64:
            return _fitting({name: fields[name] for name in ("@level", "@message", "@timestamp")})
        line = json.dumps({name: _shortened(value, longest) for name, value in fields.items()})
    return line


def _shortened(value: object, longest: int) -> object:
    """Return a text with its middle cut out: the beginning says what happened, the end of a traceback why."""
    if not isinstance(value, str) or len(value) <= longest:
        return value
    half = (longest - len(_CUT)) // 2
    return value[:half] + _CUT + value[-half:]
