"""What the log says of a failed hook: the author's line in its headline, no text of the error, a short traceback."""

from __future__ import annotations

import logging
import threading
import traceback
from types import CodeType
from typing import Any

import anyio
import pytest

from mm_plugin._proto.services import hook_methods
from mm_plugin.exceptions import HookResultError
from mm_plugin.hooks.results import Reject
from mm_plugin.host.plugin_log import PluginLog
from mm_plugin.messages.common import PluginContext, RequestContext
from mm_plugin.plugin.background import OnCrash
from mm_plugin.plugin.plugin import Plugin
from mm_plugin.serve_http.routing import route
from mm_plugin.supervisor.logs import HCLogFormatter
from mm_plugin.transport.link import HookCall, RequestContextFields, RequestHead
from tests.contract.links import LINKS
from tests.hooks.test_hook_outcomes import behind
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

    async def serve_http(self, request: Any, response: Any) -> None:
        self.screen({})

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


def line_of(function: Any) -> int:
    code: CodeType = function.__code__
    return code.co_firstlineno


async def test_a_wrong_result_names_the_method(caplog: pytest.LogCaptureFixture) -> None:
    """The line, and the error's text in the traceback, say which method of which class returned it, and where it is."""
    async with running(Crashing()) as run:
        await run.call("MessageWillBePosted")
    record = error_in(caplog)
    place = f"{__file__}:{line_of(Crashing.message_will_be_posted)} in Crashing.message_will_be_posted"
    assert record.getMessage().endswith(f"answers: HookResultError at {place}")
    assert record.exc_info
    assert record.exc_info[2] is None  # our frames would say nothing more
    assert f"(at {place})" in logging.Formatter().format(record)


async def test_an_error_of_that_kind_of_the_authors_own_has_its_line(caplog: pytest.LogCaptureFixture) -> None:
    """Where the author's code raises it, the line is that one."""

    class Raising(Plugin):
        async def message_will_be_posted(self, context: Any, post: Any) -> Any:
            raise HookResultError("mine")

    async with running(Raising()) as run:
        await run.call("MessageWillBePosted")
    record = error_in(caplog)
    line = line_of(Raising.message_will_be_posted) + 1
    assert record.getMessage().endswith(f"HookResultError at {__file__}:{line} in message_will_be_posted")
    assert record.exc_info
    assert record.exc_info[2] is not None


class Late(Plugin):
    """Hooks that do not end by themselves."""

    async def on_activate(self) -> None:
        await self.linger()

    async def message_has_been_posted(self, context: Any, post: Any) -> None:
        await self.linger()

    async def user_will_log_in(self, context: Any, user: Any) -> None:
        await self.linger()

    async def linger(self) -> None:
        await anyio.sleep_forever()


async def late(hook: str) -> Any:
    async with running(Late()) as run:
        request = hook_methods()[hook].request()
        call = HookCall(name=hook, request=request, deadline=anyio.current_time() + 0.05)
        return await run.runtime.handle_hook(call)


@pytest.mark.parametrize("hook", ["UserWillLogIn", "MessageHasBeenPosted"])
async def test_a_late_hook_names_the_line_at_which_it_waited(hook: str, caplog: pytest.LogCaptureFixture) -> None:
    """Hooks that decide and those that do not alike."""
    await late(hook)
    place = f"{__file__}:{line_of(Late.linger) + 1} in Late.linger"
    assert error_in(caplog).getMessage().endswith(f"answers: HookTimeoutError at {place}")


async def test_operators_read_where_a_late_activation_stood(caplog: pytest.LogCaptureFixture) -> None:
    """The place is where it waited; the method's own line, where what follows its cancellation was faster."""
    response = await late("OnActivate")
    places = (
        f"{__file__}:{line_of(Late.linger) + 1} in Late.linger",
        f"{__file__}:{line_of(Late.on_activate)} in Late.on_activate",
    )
    assert error_in(caplog).getMessage().endswith(tuple(f"answers: HookTimeoutError at {place}" for place in places))
    assert any(f"(at {place})" in response.error.message for place in places)


async def test_a_late_thread_names_its_method(caplog: pytest.LogCaptureFixture) -> None:
    """Where a ``def`` stands cannot be seen, so its first line stands for it."""
    leave = threading.Event()

    class LateThread(Plugin):
        def on_activate(self) -> None:
            leave.wait(30)

    async with running(LateThread()) as run:
        request = hook_methods()["OnActivate"].request()
        await run.runtime.handle_hook(
            HookCall(name="OnActivate", request=request, deadline=anyio.current_time() + 0.05)
        )
        leave.set()
    place = f"{__file__}:{line_of(LateThread.on_activate)} in {LateThread.on_activate.__qualname__}"
    assert error_in(caplog).getMessage().endswith(f"answers: HookTimeoutError at {place}")


async def test_a_lost_result_of_http_names_the_method(caplog: pytest.LogCaptureFixture) -> None:
    """A route that returns what it should write is named with its line."""

    class Returning(Plugin):
        @route("GET", "/")
        async def page(self, request: Any, response: Any) -> Any:
            return "lost"

    async with behind("memory", Returning()) as host, host.open_http(RequestHead(method="GET", url="/")) as call:
        await call.finish()
        assert (await call.receive_head()).status == 500
    text = error_in(caplog).getMessage()
    assert f": HookResultError at {__file__}:{line_of(Returning.page)} in " in text
    assert text.endswith("Returning.page")


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


@pytest.mark.parametrize("link", LINKS)
async def test_the_record_of_http_is_like_the_others(link: str, caplog: pytest.LogCaptureFixture) -> None:
    """It has the author's line, and a traceback that begins with the author."""
    head = RequestHead(method="GET", url="/path?token=hush", context=RequestContextFields(request_id="r1"))
    async with behind(link, Crashing()) as host, host.open_http(head) as call:
        await call.finish()
        assert (await call.receive_head()).status == 500
    record = error_in(caplog)
    what, _, place = record.getMessage().partition(": KeyError at ")
    assert what == "hook ServeHTTP failed at GET /path"
    assert place.startswith(f"{__file__}:")
    assert (record.__dict__["hook"], record.__dict__["request_id"]) == ("ServeHTTP", "r1")
    assert record.exc_info
    assert record.exc_info[2] is not None
    assert [frame.name for frame in traceback.extract_tb(record.exc_info[2])] == ["serve_http", "screen"]


async def test_the_host_shows_hook_and_request_once(caplog: pytest.LogCaptureFixture) -> None:
    """Of the line that the process writes people read each id once, and the traceback once, in lines of its own."""
    request = hook_methods()["UserWillLogIn"].request(
        context=RequestContext(plugin_id="com.example.guard", request_id="r1", session_id="s1", user_id="u1"),
        plugin_context=PluginContext(request_id="r1", session_id="s1"),
    )

    class Formatting(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(HCLogFormatter().format(record))

    lines: list[str] = []
    handler = Formatting()
    logging.getLogger("mm_plugin.hooks").addHandler(handler)
    try:
        async with running(Crashing()) as run:
            await run.runtime.handle_hook(HookCall(name="UserWillLogIn", request=request))
    finally:
        logging.getLogger("mm_plugin.hooks").removeHandler(handler)
    (line,) = lines
    caplog.clear()
    PluginLog("com.example.guard").stderr_line(line.encode())
    (record,) = caplog.records
    headline, _, rest = record.getMessage().partition("\n")
    for once in ("UserWillLogIn", "request_id=r1", "r1", "session_id=s1", "user_id=u1", "KeyError", " in screen"):
        assert headline.count(once) == 1, headline
    assert "com.example.guard" not in headline  # the logger's name says it
    assert rest.startswith("Traceback (most recent call last):\n")
    assert record.getMessage().count("Traceback") == 1
