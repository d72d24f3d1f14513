"""What the log says of a failed hook: the author's line in its headline, no text of the error, a short traceback."""

from __future__ import annotations

import logging
import traceback
from contextlib import suppress
from typing import Any

import anyio
import pytest

from mm_plugin.hooks.results import Reject
from mm_plugin.plugin.background import OnCrash
from mm_plugin.plugin.plugin import Plugin
from mm_plugin.transport.link import CallFailure
from tests.plugin.running import running

HASH = "$2a$10$secret"


def error_in(caplog: pytest.LogCaptureFixture) -> logging.LogRecord:
    (record,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    return record


class Crashing(Plugin):
    """Each of its hooks crashes somewhere else."""

    async def user_will_log_in(self, context: Any, user: Any) -> None:
        self.screen({})

    def user_has_logged_in(self, context: Any, user: Any) -> None:
        self.screen({})

    async def on_saml_login(self, context: Any, user: Any, assertion: Any) -> None:
        raise SystemExit(HASH)

    async def message_will_be_posted(self, context: Any, post: Any) -> Any:
        return object()

    def screen(self, known: dict[str, Reject]) -> Reject:
        return known[HASH]


@pytest.mark.parametrize(
    ("hook", "headline", "method"),
    [
        ("UserWillLogIn", "KeyError", "screen"),
        ("UserHasLoggedIn", "KeyError", "screen"),
        ("OnSAMLLogin", "RuntimeError", "on_saml_login"),
    ],
)
async def test_the_headline_ends_with_the_authors_line(
    hook: str, headline: str, method: str, caplog: pytest.LogCaptureFixture
) -> None:
    """It has type and place, from threads too, and never the error's text, which may quote a secret."""
    async with running(Crashing()) as run:
        with suppress(CallFailure):
            await run.call(hook)
    record = error_in(caplog)
    place = record.getMessage().rpartition(f"{headline} at ")[2]
    assert place.startswith(f"{__file__}:")
    assert place.endswith(f" in {method}")
    assert HASH not in record.getMessage()


async def test_the_traceback_begins_with_the_author(caplog: pytest.LogCaptureFixture) -> None:
    """The frames that led to the handler are left out; what it called and the error's text are there."""
    async with running(Crashing()) as run:
        await run.call("UserWillLogIn")
    record = error_in(caplog)
    assert record.exc_info
    assert record.exc_info[2] is not None
    frames = [frame.name for frame in traceback.extract_tb(record.exc_info[2])]
    assert frames == ["user_will_log_in", "screen"]
    assert HASH in logging.Formatter().format(record)


async def test_a_failure_outside_the_authors_code_has_no_line(caplog: pytest.LogCaptureFixture) -> None:
    """A wrong result has a type and all of its traceback."""
    async with running(Crashing()) as run:
        with pytest.raises(Exception, match="could not answer"):
            await run.call("MessageWillBePosted")
    record = error_in(caplog)
    assert record.getMessage().endswith("answers: HookResultError")
    assert record.exc_info
    assert record.exc_info[2] is not None


async def test_crashed_background_work_has_its_line(caplog: pytest.LogCaptureFixture) -> None:
    """A restart is logged with the line that crashed."""
    crashed = anyio.Event()

    class Restarting(Crashing):
        async def on_activate(self) -> None:
            self.start_soon(self.work, on_crash=OnCrash.RESTART)

        async def work(self) -> None:
            crashed.set()
            self.screen({})

    async with running(Restarting()) as run:
        await run.call("OnActivate")
        await crashed.wait()
        await anyio.wait_all_tasks_blocked()
    text = error_in(caplog).getMessage()
    assert f"KeyError at {__file__}:" in text
    assert HASH not in text
