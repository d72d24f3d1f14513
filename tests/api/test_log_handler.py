"""Logging that reaches the server's log: levels, fields, order, threads, and what happens when it cannot."""

from __future__ import annotations

import json
import logging
import os
import select
from collections.abc import AsyncGenerator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest
from anyio import to_thread

from mm_plugin import limits
from mm_plugin._proto.user_pb2 import User
from mm_plugin.api.client import PluginAPIClient
from mm_plugin.api.log_handler import forward_logs
from mm_plugin.exceptions import UnavailableError
from mm_plugin.host.api_receiver import HandlerAPI
from mm_plugin.supervisor.logs import HCLogHandler
from mm_plugin.transport.memory import memory_link

Line = tuple[str, str, dict[str, Any]]


class Log:
    """The server's log; may be closed, or hang."""

    def __init__(self) -> None:
        self.lines: list[Line] = []
        self.came = anyio.Event()
        self.open = True
        self.hangs = False

    async def wait_for(self, count: int) -> list[Line]:
        while len(self.lines) < count:
            await self.came.wait()
        return self.lines

    def __getattr__(self, name: str) -> Callable[..., Any]:
        async def log(msg: str, key_value_pairs: dict[str, Any]) -> None:
            if self.hangs:
                await anyio.sleep_forever()
            if not self.open:
                raise UnavailableError("closed")
            self.lines.append((name, msg, key_value_pairs))
            self.came.set()
            self.came = anyio.Event()

        return log


@pytest.fixture
def logger(request: pytest.FixtureRequest) -> logging.Logger:
    logger = logging.getLogger(f"plugin.{request.node.name}")
    logger.setLevel(logging.DEBUG)
    return logger


@asynccontextmanager
async def forwarding(log: Log, logger: logging.Logger, level: int = logging.INFO) -> AsyncGenerator[None]:
    api = PluginAPIClient.on_link(memory_link(HandlerAPI(log))[0])

    async def forward(*, task_status: Any) -> None:
        await forward_logs(api, logger, level=level, task_status=task_status)

    async with anyio.create_task_group() as tasks:
        await tasks.start(forward)
        yield
        tasks.cancel_scope.cancel()


async def test_lines_arrive_with_level_and_fields_in_order(logger: logging.Logger) -> None:
    """Unmodified logging calls reach the method of their level, with what ``extra`` and the exception say."""
    log = Log()
    async with forwarding(log, logger, logging.DEBUG):
        logger.debug("d %d", 1)
        logger.info("i", extra={"count": 3, "ratio": 0.5, "none": None, "who": User(password="secret")})
        logger.warning("w %(x)s", {"x": 1})
        try:
            raise KeyError("broken")
        except KeyError:
            logger.exception("e")
        logger.critical(User(password="secret"))
        lines = await log.wait_for(5)
    assert [name for name, _, _ in lines] == ["log_debug", "log_info", "log_warn", "log_error", "log_error"]
    assert [text for _, text, _ in lines[:4]] == ["d 1", "i", "w 1", "e"]
    assert lines[1][2] | {"who": ""} == {"logger": logger.name, "count": 3, "ratio": 0.5, "none": None, "who": ""}
    assert "KeyError: 'broken'" in lines[3][2]["traceback"]
    assert "secret" not in repr(lines)
    assert logger.handlers == []


async def test_lines_below_the_level_and_our_own_stay_here(logger: logging.Logger) -> None:
    """What is below the level is not sent, nor what mm_plugin says while it sends."""
    log = Log()
    async with forwarding(log, logging.getLogger()):
        logger.debug("too quiet")
        logging.getLogger("mm_plugin.api").warning("one of ours")
        logger.info("this one")
        await log.wait_for(1)
    assert [text for _, text, _ in log.lines] == ["this one"]


async def test_threads_log_without_waiting(logger: logging.Logger, monkeypatch: pytest.MonkeyPatch) -> None:
    """A line logged in a thread arrives, although threads cannot wake the event loop."""
    monkeypatch.setattr(limits, "api_log_delay_s", 0.01)
    log = Log()
    async with forwarding(log, logger):
        await to_thread.run_sync(logger.info, "from a thread")
        assert [text for _, text, _ in await log.wait_for(1)] == ["from a thread"]


async def test_lost_lines_are_counted(logger: logging.Logger, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines that overflow the queue or cannot be sent are gone, and the next line says how many."""
    monkeypatch.setattr(limits, "api_log_records", 3)
    log = Log()
    async with forwarding(log, logger):
        for number in range(5):
            logger.info("%d", number)
        lines = list(await log.wait_for(3))
        log.open = False
        logger.info("lost")
        await anyio.wait_all_tasks_blocked()
        log.open = True
        logger.info("found")
        await log.wait_for(4)
    assert [(text, fields.get("dropped")) for _, text, fields in lines] == [("2", 2), ("3", None), ("4", None)]
    assert (log.lines[3][1], log.lines[3][2]["dropped"]) == ("found", 1)


async def test_what_waits_is_sent_at_the_end(logger: logging.Logger) -> None:
    """Lines logged just before the end still arrive; the one that the end interrupts may come twice."""
    log = Log()
    async with forwarding(log, logger):
        logger.info("last")
        logger.info("words")
    assert [text for _, text, _ in log.lines][-2:] in (["last", "words"], ["words", "words"])
    assert log.lines[0][1] == "last"


async def test_a_server_that_hangs_does_not_hold_up_the_end(
    logger: logging.Logger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last lines have a short time to arrive."""
    monkeypatch.setattr(limits, "api_log_flush_s", 0.01)
    log = Log()
    log.hangs = True
    async with forwarding(log, logger):
        logger.info("never")
        await anyio.wait_all_tasks_blocked()
    assert log.lines == []


async def test_what_cannot_be_formatted_breaks_nothing(logger: logging.Logger, monkeypatch: pytest.MonkeyPatch) -> None:
    """A line whose arguments do not fit is left to ``logging``'s own error report."""
    monkeypatch.setattr(logging, "raiseExceptions", False)
    log = Log()
    async with forwarding(log, logger):
        logger.info("%d", "no number")
        logger.info("next", extra={"huge": 2**60, "other": [1]})
        await log.wait_for(1)
    assert [(text, fields["huge"], fields["other"]) for _, text, fields in log.lines] == [("next", str(2**60), "[1]")]


async def test_what_sending_logs_is_not_sent(logger: logging.Logger) -> None:
    """An interceptor that logs each call does not make forwarding feed itself; other tasks' lines go on."""
    log = Log()
    link = memory_link(HandlerAPI(log))[0]

    class Loud:
        async def call_api(self, method: str, request: Any, *, deadline: float | None = None) -> Any:
            logger.info("calling %s", method)
            return await link.call_api(method, request, deadline=deadline)

    async with anyio.create_task_group() as tasks:
        await tasks.start(forward_logs, PluginAPIClient.on_link(Loud()), logger)
        logger.info("one")
        await log.wait_for(1)
        await anyio.wait_all_tasks_blocked()
        logger.info("two")
        await log.wait_for(2)
        tasks.cancel_scope.cancel()
    assert [text for _, text, _ in log.lines] == ["one", "two"]


async def test_the_count_survives_the_end_and_other_fields(logger: logging.Logger) -> None:
    """Lines lost before an end that interrupts a line are still counted, and an ``extra`` cannot hide the count."""
    log = Log()
    async with forwarding(log, logger):
        log.open = False
        for number in range(5):
            logger.info("%d", number)
        await anyio.wait_all_tasks_blocked()
        log.open, log.hangs = True, True
        logger.info("in flight", extra={"dropped": "mine", "logger": "mine"})
        await anyio.wait_all_tasks_blocked()
        log.hangs = False
    ((_, text, fields),) = log.lines
    assert (text, fields["dropped"], fields["logger"]) == ("in flight", 5, logger.name)
    assert (fields["extra.dropped"], fields["extra.logger"]) == ("mine", "mine")


async def test_no_secret_of_a_message_reaches_the_servers_log(logger: logging.Logger) -> None:
    """Formatted messages lose their secret fields in texts, arguments and fields alike."""
    log, user = Log(), User(username="ada", password="the-hash", mfa_secret="the-seed")
    with anyio.fail_after(10):
        async with forwarding(log, logger):
            logger.info(f"a {user}")  # noqa: G004 - as authors do
            logger.info("b %s", [user], extra={"user": user, "text": str(user)})
            lines = await log.wait_for(2)
    assert "the-" not in repr(lines)
    assert "ada" in lines[0][1]


# -- beside standard error ------------------------------------------------------------------------------------


@pytest.fixture
def standard_error() -> Iterator[Callable[[], list[tuple[str, str]]]]:
    """Log to the host's standard error as a plugin's process does; gives level and text of what was written."""
    reading, writing = os.pipe()
    handler = HCLogHandler(writing)
    root = logging.getLogger()
    root.addHandler(handler)

    def lines() -> list[tuple[str, str]]:
        if not select.select([reading], [], [], 0)[0]:
            return []
        written = [json.loads(line) for line in os.read(reading, 1 << 16).splitlines()]
        return [(line["@level"], line["@message"]) for line in written]

    yield lines
    root.removeHandler(handler)
    os.close(reading)
    os.close(writing)


async def test_each_line_reaches_the_server_once(
    logger: logging.Logger, standard_error: Callable[[], list[tuple[str, str]]]
) -> None:
    """What is sent is not written to standard error; what is not sent is, and so is all that comes later."""
    log = Log()
    logger.info("before")
    async with forwarding(log, logger):
        logger.info("sent")
        logger.getChild("child").warning("sent, too")
        logger.debug("too quiet to be sent")
        logging.getLogger("other").warning("somebody else's")
        logging.getLogger("mm_plugin.api").warning("one of ours")
        await log.wait_for(2)
    logger.info("after")
    assert [text for _, text, _ in log.lines] == ["sent", "sent, too"]
    assert standard_error() == [
        ("info", "before"),
        ("debug", "too quiet to be sent"),
        ("warn", "somebody else's"),
        ("warn", "one of ours"),
        ("info", "after"),
    ]


async def test_lines_that_cannot_be_sent_go_to_standard_error(
    logger: logging.Logger, standard_error: Callable[[], list[tuple[str, str]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Refused ones, those that overflow the queue, and those that are left at the end; none counts as dropped."""
    monkeypatch.setattr(limits, "api_log_records", 3)
    monkeypatch.setattr(limits, "api_log_flush_s", 0.01)
    log = Log()
    async with forwarding(log, logger):
        for number in range(4):
            logger.info("%d", number)
        await log.wait_for(3)
        assert standard_error() == [("info", "0")]
        log.open = False
        logger.error("refused")
        await anyio.wait_all_tasks_blocked()
        assert standard_error() == [("error", "refused")]
        log.open = True
        logger.info("4")
        assert "dropped" not in (await log.wait_for(4))[3][2]
        log.hangs = True
        logger.info("left")
    assert standard_error() == [("info", "left")]


async def test_lines_left_to_others_do_not_cut_into_theirs(
    logger: logging.Logger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever writes to standard error instead of us does so under the lock of that handler, as logging itself does."""
    held: list[bool] = []

    class Others(HCLogHandler):
        def emit(self, record: logging.LogRecord) -> None:
            assert self.lock is not None
            with ThreadPoolExecutor() as pool:
                held.append(pool.submit(self.lock.acquire, blocking=False).result() is False)

    other = Others()
    monkeypatch.setattr(logging.getLogger(), "handlers", [other])
    log = Log()
    log.open = False
    async with forwarding(log, logger):
        logger.info("lost")
        await anyio.wait_all_tasks_blocked()
    assert held == [True]
