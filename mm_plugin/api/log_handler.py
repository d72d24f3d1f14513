"""Forward the standard ``logging`` to the server's log by its LogDebug, LogInfo, LogWarn and LogError.

Job:    a logging handler that never blocks, and a task that sends what it has collected.
Layer:  api, beside the client. Optional, and in place of standard error, by which a plugin's log reaches the server
        anyway (``supervisor/logs.py``); this way the lines carry the plugin's id and fields as the server's own do.
Errors: none reach whoever logs. What cannot be sent goes to standard error after all; where that leads to no host, it
        is counted, and the next line that is sent says how many.
"""

from __future__ import annotations

import logging
import math
import threading
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from contextvars import ContextVar
from typing import TYPE_CHECKING, NamedTuple

import anyio
from anyio.abc import TaskStatus

from mm_plugin import limits
from mm_plugin.exceptions import PluginAPIError
from mm_plugin.messages.redaction import scrubbed, shown

if TYPE_CHECKING:
    from mm_plugin.api.client import PluginAPIClient
    from mm_plugin.types import JSONValue

__all__ = ("forward_logs",)

#: What every record has; other attributes came from ``extra``.
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}

#: Names that we give fields ourselves.
_RESERVED = frozenset({"logger", "dropped", "traceback"})
#: Whether the code that runs was called to send a line: what it logs would bring forth a line for each line.
_SENDING: ContextVar[bool] = ContextVar("mm_plugin_sends_logs", default=False)


class _Line(NamedTuple):
    level: int
    text: str
    fields: dict[str, JSONValue]
    record: logging.LogRecord


async def forward_logs(
    api: PluginAPIClient,
    logger: logging.Logger | None = None,
    *,
    level: int = logging.INFO,
    task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED,
) -> None:
    """Send to the server what is logged from now on, in order, until cancelled.

    ::

        await self.task_group.start(forward_logs, self.api, self.logger)

    Each line reaches the server's log once: what is sent is not written to the standard error that the host reads.
    What cannot be sent is written there after all, late; only a process that is killed takes with it what waits, of
    the last ``limits.api_log_delay_s``.

    Logging from any thread stays instant: lines wait in a queue of ``limits.api_log_records``, which the oldest leaves
    unsent when it is full. Lines of ``mm_plugin`` itself, and those logged while a line is sent, by an interceptor
    for example, are left to standard error: sending them would bring forth more. The fields ``logger``, ``traceback``
    and ``dropped``, the number of lines lost before this one, are ours; an ``extra`` of such a name becomes
    ``extra.<name>``.

    Cancellation sends what still waits, for at most ``limits.api_log_flush_s``; the line it interrupts may come twice.

    Args:
        api: The client.
        logger: Whose lines, its children's too; by default everybody's.
        level: From which level on.
        task_status: Told once lines are taken.
    """
    logger = logger or logging.getLogger()
    handler = _Handler(logger, level)
    handler.begin()
    try:
        task_status.started()
        while True:
            with anyio.move_on_after(limits.api_log_delay_s):
                await handler.wake.wait()
            handler.wake = anyio.Event()
            await handler.send(api)
    finally:
        handler.end()
        with anyio.move_on_after(limits.api_log_flush_s, shield=True):
            await handler.send(api)
        handler.give_up()


class _Handler(logging.Handler):
    """Collects lines, which are kept from the handlers that reach the host in another way; ``send`` empties it."""

    def __init__(self, logger: logging.Logger, level: int) -> None:
        super().__init__(level)
        self._logger = logger
        self._others = [each for each in logging.getLogger().handlers if getattr(each, "reaches_host", False)]
        self.wake = anyio.Event()
        self._loop_thread = threading.get_ident()
        self._lines: deque[_Line] = deque(maxlen=limits.api_log_records)
        self._dropped = 0

    def begin(self) -> None:
        """Take lines from now on."""
        self._logger.addHandler(self)
        for other in self._others:
            other.addFilter(self._is_left_alone)

    def end(self) -> None:
        """Take no more; what has been collected may still be sent."""
        self._logger.removeHandler(self)
        for other in self._others:
            other.removeFilter(self._is_left_alone)

    def give_up(self) -> None:
        """Leave to the others what could not be sent."""
        while self._lines:
            self._unsent(self._lines.popleft())

    def _is_left_alone(self, record: logging.LogRecord) -> bool:
        above = self._logger.name
        is_below = self._logger is logging.getLogger() or f"{record.name}.".startswith(f"{above}.")
        return record.levelno < self.level or not is_below or _is_ours(record)

    def _unsent(self, line: _Line) -> None:
        self._leave_to_others(line.record)
        if not self._others:
            self._dropped += 1

    def _leave_to_others(self, record: logging.LogRecord) -> None:
        """Have the others write a record, past their filters, of which we are one."""
        for other in self._others:
            other.acquire()  # as ``Handler.handle`` does: a thread may be writing
            try:
                other.emit(record)
            finally:
                other.release()

    def emit(self, record: logging.LogRecord) -> None:
        """Collect one record, formatted now: what it refers to may change."""
        if _is_ours(record):
            return
        try:
            line = _Line(record.levelno, _text(record), self._fields(record), record)
        except Exception:  # noqa: BLE001 - a log line must never break what it tells of
            self.handleError(record)
            self._leave_to_others(record)
            return
        if len(self._lines) == limits.api_log_records:
            self._unsent(self._lines.popleft())
        self._lines.append(line)
        if threading.get_ident() == self._loop_thread:
            self.wake.set()

    async def send(self, api: PluginAPIClient) -> None:
        """Send what has been collected; what fails is dropped and counted."""
        token = _SENDING.set(True)
        try:
            await self._send(api)
        finally:
            _SENDING.reset(token)

    async def _send(self, api: PluginAPIClient) -> None:
        while self._lines:
            line = self._lines.popleft()
            fields = {**line.fields, "dropped": self._dropped} if self._dropped else line.fields
            dropped, self._dropped = self._dropped, 0
            try:
                await _method(api, line.level)(line.text, fields)
            except (PluginAPIError, TypeError, ValueError):
                self._dropped += dropped
                self._unsent(line)
            except BaseException:  # cancelled: whether it has arrived is unknown
                self._dropped += dropped
                if len(self._lines) < limits.api_log_records:
                    self._lines.appendleft(line)
                else:  # the oldest gives way, as ever
                    self._unsent(line)
                raise

    def _fields(self, record: logging.LogRecord) -> dict[str, JSONValue]:
        fields: dict[str, JSONValue] = {"logger": record.name}
        for name, value in vars(record).items():
            if name not in _STANDARD:
                fields[f"extra.{name}" if name in _RESERVED else name] = _plain(value)
        if record.exc_info and record.exc_info[0] is not None:
            fields["traceback"] = (self.formatter or logging.Formatter()).formatException(record.exc_info)
        return fields


def _is_ours(record: logging.LogRecord) -> bool:
    """Whether a line is of the package, or was logged while another one is sent."""
    return _SENDING.get() or record.name.partition(".")[0] == "mm_plugin"


def _method(api: PluginAPIClient, level: int) -> Callable[[str, Mapping[str, JSONValue]], Awaitable[None]]:
    if level >= logging.ERROR:
        return api.log_error
    if level >= logging.WARNING:
        return api.log_warn
    return api.log_info if level >= logging.INFO else api.log_debug


def _text(record: logging.LogRecord) -> str:
    """Return the record's text, protobuf messages in it by name only: they hold passwords and tokens."""
    if isinstance(record.args, tuple):
        args: object = tuple(shown(value) for value in record.args)
    else:
        args = {name: shown(value) for name, value in record.args.items()} if record.args else ()
    text = str(shown(record.msg))
    return scrubbed(text % args if args else text)


def _plain(value: object) -> JSONValue:
    if isinstance(value, str):
        return scrubbed(value)
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int) and abs(value) <= 2**53:
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    return scrubbed(str(shown(value)))
