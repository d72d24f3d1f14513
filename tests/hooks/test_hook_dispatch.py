"""Dispatch: handlers run within their deadline, and failures are answered as the policy says."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from threading import Event
from typing import Any

import anyio
import pytest

from mm_plugin.exceptions import NotFoundError, PluginAPIError, StatusCode
from mm_plugin.hooks.dispatch import Handler, HookDispatcher
from mm_plugin.hooks.names import HookName
from mm_plugin.hooks.policy import FailurePolicy
from mm_plugin.hooks.results import Reject
from mm_plugin.hooks.table import HOOK_TABLE, HookRow, Refusal
from mm_plugin.hooks.threads import HookThreads
from mm_plugin.messages.posts import Post
from mm_plugin.transport.link import CallFailure, CallFault, HookCall
from tests.hooks.rows import READS, dispatch, each_policy, each_row, host_reads, outcome, request_of

SECRET = "s3cret in the exception"


async def crash(*_: object) -> None:
    raise LookupError(SECRET)


async def hang(*_: object) -> None:
    await anyio.sleep_forever()


async def wrong(*_: object) -> object:
    return object()


def errors(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    return [record for record in caplog.records if record.levelno >= logging.ERROR]


# -- the way through ------------------------------------------------------------------------------------------


@each_row
async def test_every_row_reaches_async_and_blocking_handlers(row: HookRow) -> None:
    """A handler of either kind gets the row's arguments."""
    got: list[tuple[object, ...]] = []

    async def coroutine(*arguments: object) -> None:
        got.append(arguments)

    def blocking(*arguments: object) -> None:
        got.append(arguments)

    for handler in (coroutine, blocking):
        response = await dispatch(row.name, handler)
        assert host_reads(row, response) == "let pass"
    assert [len(arguments) for arguments in got] == [len(row.arguments)] * 2


@each_row
async def test_an_absent_handler_is_answered_neutrally(row: HookRow) -> None:
    """A call for a hook without handler is let pass, whatever its fault."""
    assert host_reads(row, await dispatch(row.name, None)) == "let pass"
    assert host_reads(row, await dispatch(row.name, None, request=CallFault.TOO_LARGE)) == "let pass"


async def test_hidden_coroutines_are_awaited() -> None:
    """Partials, callable objects and decorators that hide a coroutine function all run to their result."""

    async def handler(*_: object) -> Reject:
        return Reject("no")

    class Answering:
        async def __call__(self, *_: object) -> Reject:
            return Reject("no")

    def hiding(*arguments: object) -> object:
        return handler(*arguments)

    for function in (functools.partial(handler), Answering(), hiding):
        response = await dispatch(HookName.UserWillLogIn, function)
        assert response.rejection_reason == "no"


@pytest.mark.parametrize("name", ["Implemented", "ServeHTTP", "Nonsense"])
async def test_what_is_no_unary_hook_is_unimplemented(name: Any) -> None:
    """Dispatch takes the rows of the table and nothing else."""
    dispatcher = HookDispatcher([], timeout_s=1, threads=HookThreads())
    with pytest.raises(CallFailure) as caught:
        await dispatcher.dispatch(HookCall(name=name, request=CallFault.UNDECODABLE))
    assert caught.value.code is StatusCode.UNIMPLEMENTED


# -- failures -------------------------------------------------------------------------------------------------


@each_policy
@pytest.mark.parametrize("handler", [crash, wrong, hang])
async def test_failures_are_read_as_the_policy_says(
    row: HookRow, policy: FailurePolicy, handler: Callable[..., object], caplog: pytest.LogCaptureFixture
) -> None:
    """A crash, a wrong result and a missed deadline reach the host as the policy's decision, with one ERROR record."""
    timeout_s = 0.01 if handler is hang else 30.0
    answer = await outcome(row.name, handler, on_failure=policy, timeout_s=timeout_s)
    assert host_reads(row, answer) == READS[policy]
    (record,) = errors(caplog)
    assert record.name == "mm_plugin.hooks"
    assert record.__dict__["hook"] == row.name
    assert record.__dict__["request_id"] == "request_id"  # the RequestContext's where there is no plugin context
    assert record.exc_info is not None
    assert not isinstance(answer, CallFailure)  # status OK: the response carries the decision
    if not row.tells_cause:
        assert SECRET not in str(answer)
        assert "Traceback" not in str(answer)


@each_policy
@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (CallFault.TOO_LARGE, StatusCode.RESOURCE_EXHAUSTED),
        (CallFault.UNDECODABLE, StatusCode.INTERNAL),
        (CallFault.DRAINING, StatusCode.UNAVAILABLE),
    ],
)
async def test_faults_below_the_handler_are_answered_by_the_same_policy(
    row: HookRow, policy: FailurePolicy, fault: CallFault, code: StatusCode, caplog: pytest.LogCaptureFixture
) -> None:
    """A call that never reaches its handler is decided from the method's name alone."""
    ran: list[object] = []
    answer = await outcome(row.name, ran.append, on_failure=policy, request=fault, text="71 MB")
    assert host_reads(row, answer) == READS[policy]
    assert not ran
    (record,) = errors(caplog)
    assert "did not reach its handler" in record.getMessage()
    assert "71 MB" in record.getMessage()
    assert record.exc_info is None  # frames of ours say nothing, and cost a flood of such calls our time
    if isinstance(answer, CallFailure):
        assert answer.code is code


async def test_a_crashing_login_filter_keeps_the_user_out() -> None:
    """UserWillLogIn is refused in a response, so with status OK, when its handler crashes."""
    response = await dispatch(HookName.UserWillLogIn, crash)
    assert response.rejection_reason
    assert SECRET not in response.rejection_reason


async def test_the_error_of_a_failure_is_filled() -> None:
    """On hooks with an error, id, place, status and both texts are set."""
    response = await dispatch(HookName.ExecuteCommand, crash)
    error = response.error
    assert error.id == "plugin.execute_command.error"
    assert (error.where, error.status_code) == ("ExecuteCommand", 500)
    assert error.message == error.detailed_error != ""
    assert not response.HasField("response")


@pytest.mark.parametrize("name", [HookName.OnActivate, HookName.OnDeactivate, HookName.OnConfigurationChange])
async def test_lifecycle_errors_tell_operators_the_cause(name: HookName) -> None:
    """Errors that only operators read carry the exception's type and text."""
    response = await dispatch(name, crash)
    assert response.error.detailed_error.startswith("LookupError")
    assert SECRET in response.error.detailed_error


@each_row
async def test_raising_an_api_error_fills_the_error_where_there_is_one(row: HookRow) -> None:
    """PluginAPIError is an answer on hooks with an error, and a crash on the others."""

    async def handler(*_: object) -> None:
        raise NotFoundError("gone", id="app.x.missing", where="GetX", status_code=404, request_id="r", params={"n": 1})

    answer: Any = await outcome(row.name, handler)
    if row.refusal is not Refusal.ERROR:
        assert host_reads(row, answer) == READS[row.default_policy]
        return
    error = answer.error
    assert (error.id, error.message, error.detailed_error) == ("app.x.missing", "gone", "gone")
    assert (error.where, error.status_code, error.request_id) == ("GetX", 404, "r")
    assert error.params["n"] == 1


@pytest.mark.parametrize(
    "error",
    [
        PluginAPIError(),
        PluginAPIError("x", params={"o": object()}),
        PluginAPIError("\udcff"),
        PluginAPIError("x", status_code=2**40),
    ],
)
async def test_an_api_error_that_cannot_be_sent_still_answers(error: PluginAPIError) -> None:
    """A sparse or unsendable PluginAPIError gives a complete error all the same."""

    def handler(*_: object) -> None:
        raise error

    response = await dispatch(HookName.ExecuteCommand, handler)
    assert response.error.id == "plugin.execute_command.error"
    assert response.error.where == "ExecuteCommand"
    assert response.error.status_code >= 400
    assert response.error.detailed_error


async def test_an_exception_that_cannot_say_what_it_is_still_answers() -> None:
    """Even where str() of an exception fails, the policy answers."""

    class MuteError(Exception):
        def __str__(self) -> str:
            raise ValueError

    def handler(*_: object) -> None:
        raise MuteError

    assert (await dispatch(HookName.OnActivate, handler)).error.detailed_error == "MuteError"
    assert (await dispatch(HookName.UserWillLogIn, handler)).rejection_reason


async def test_a_group_of_errors_is_a_crash() -> None:
    """A handler's own task group may fail with a group; that is a crash like any other."""

    async def handler(*_: object) -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(crash)

    assert (await dispatch(HookName.UserWillLogIn, handler)).rejection_reason


# -- deadlines and cancellation -------------------------------------------------------------------------------


async def test_a_handlers_own_timeout_is_no_missed_deadline(caplog: pytest.LogCaptureFixture) -> None:
    """TimeoutError from the handler is a crash, told as such in the log."""

    async def handler(*_: object) -> None:
        with anyio.fail_after(0):
            await anyio.sleep_forever()

    assert not isinstance(await outcome(HookName.MessageHasBeenPosted, handler), CallFailure)
    (record,) = errors(caplog)
    assert "TimeoutError" in record.getMessage()
    assert "HookTimeoutError" not in record.getMessage()


async def test_the_deadline_is_the_smaller_of_the_callers_less_a_margin_and_our_own() -> None:
    """The handler sees a cancel scope that ends half a second before the caller's deadline, or at hook_timeout_s."""
    seen: list[float] = []

    async def handler(*_: object) -> None:
        seen.append(anyio.current_effective_deadline() - anyio.current_time())

    now = anyio.current_time()
    await dispatch(HookName.OnInstall, handler, timeout_s=100, deadline=now + 50)
    await dispatch(HookName.OnInstall, handler, timeout_s=20, deadline=now + 50)
    await dispatch(HookName.OnInstall, handler, timeout_s=20)
    await dispatch(HookName.OnInstall, handler, timeout_s=20, deadline=now + 0.8)
    assert seen == pytest.approx([49.5, 20, 20, 0.4], abs=0.3)


async def test_cancellation_from_outside_propagates_without_an_answer(caplog: pytest.LogCaptureFixture) -> None:
    """When the client has gone the handler is cancelled, and nothing is answered or logged as a failure."""
    began, unwound, answered = anyio.Event(), anyio.Event(), False

    async def handler(*_: object) -> None:
        try:
            began.set()
            await anyio.sleep_forever()
        finally:
            unwound.set()

    async def call() -> None:
        nonlocal answered
        await dispatch(HookName.UserWillLogIn, handler)
        answered = True

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(call)
        await began.wait()
        tasks.cancel_scope.cancel()
    assert unwound.is_set()
    assert not answered
    assert not errors(caplog)


async def test_a_blocking_handler_is_answered_at_its_deadline() -> None:
    """The answer goes out by policy while the thread is still busy."""
    release = Event()

    def handler(*_: object) -> None:
        release.wait(30)

    try:
        with anyio.fail_after(10):
            assert (await dispatch(HookName.UserWillLogIn, handler, timeout_s=0.05)).rejection_reason
    finally:
        release.set()


# -- unchanged ------------------------------------------------------------------------------------------------


async def test_a_change_that_is_not_returned_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    """Mutating the argument and returning None means unchanged, and the log says so once for the hook."""

    async def handler(context: object, post: Post) -> None:
        post.message = "changed"

    row = HOOK_TABLE[HookName.MessageWillBePosted]
    dispatcher = HookDispatcher([Handler(row, handler, row.default_policy)], timeout_s=30, threads=HookThreads())
    for _ in range(3):
        request = request_of(row.name)
        response = await dispatcher.dispatch(HookCall(name=row.name, request=request))
        assert response.ByteSize() == 0
    assert [record.levelname for record in caplog.records] == ["WARNING"]
