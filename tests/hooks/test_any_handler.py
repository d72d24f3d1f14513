"""Whatever a handler returns or raises, the host gets a response that it reads as the policy says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anyio
from google.protobuf.message import Message
from hypothesis import given, settings, strategies as st

from mm_plugin.exceptions import HookResultError, PluginAPIError, StatusCode
from mm_plugin.hooks.codec import codec_of
from mm_plugin.hooks.names import HookName
from mm_plugin.hooks.policy import FailurePolicy
from mm_plugin.hooks.results import Dismiss, Reject, ReplaceFile
from mm_plugin.hooks.table import HOOK_TABLE, HookRow, Refusal
from mm_plugin.messages.commands import CommandResponse
from mm_plugin.messages.files import FileData, FileInfo
from mm_plugin.messages.posts import Post
from mm_plugin.messages.users import User
from mm_plugin.transport.link import CallFailure, FailureKind
from tests.hooks.rows import READS, UNARY_ROWS, dispatch, host_reads, outcome, request_of


class Evil:
    """Objects of this class fail at whatever one does with them."""

    def __eq__(self, other: object) -> bool:
        raise ZeroDivisionError

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        raise ZeroDivisionError

    def __await__(self) -> Any:
        raise ZeroDivisionError


class EvilList(list[object]):
    """A list that cannot be read."""

    def __iter__(self) -> Any:
        raise ZeroDivisionError

    def __len__(self) -> int:
        raise ZeroDivisionError


class MuteError(Exception):
    """Cannot say what it is."""

    def __str__(self) -> str:
        raise ZeroDivisionError

    __repr__ = __str__


def too_deep() -> Post:
    post = Post()
    inner = post.props
    for _ in range(60):
        inner = inner.get_or_create_struct("x")
    return post


def itself() -> dict[str, object]:
    made: dict[str, object] = {}
    made["itself"] = made
    return made


def long_reason() -> Reject:
    return Reject("x" * 1_000_000)


def long_error() -> PluginAPIError:
    return PluginAPIError("x" * 1_000_000)


_text = st.text(st.characters(exclude_categories=()), max_size=50)
_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | _text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_text, inner, max_size=3),
    max_leaves=8,
)
_results = st.one_of(
    _json,
    st.binary(max_size=50),
    st.lists(st.sampled_from([Post(), User(), FileData(), None]), max_size=3),
    st.builds(Post, message=st.text(st.characters(codec="utf-8"))),
    st.builds(FileInfo, name=st.text(st.characters(codec="utf-8"))),
    st.just(CommandResponse(text="x")),
    st.builds(Reject, _text.filter(bool)),
    st.just(Dismiss()),
    st.builds(ReplaceFile, info=st.sampled_from([None, FileInfo(id="x"), "x"]), content=_json | st.binary()),
    st.builds(iter, st.lists(st.binary(max_size=5) | st.none(), max_size=3)),
    st.sampled_from([Evil, lambda: EvilList([1]), too_deep, itself, lambda: b"[" * 100_000, long_reason]),
)
_kinds = (LookupError, MuteError, TimeoutError, SystemExit, GeneratorExit, StopIteration, StopAsyncIteration)
_params = st.dictionaries(_text, _json, max_size=2)
_errors: st.SearchStrategy[BaseException | Callable[[], PluginAPIError]] = st.one_of(
    st.sampled_from(_kinds).map(lambda kind: kind()),
    st.builds(PluginAPIError, _text, id=_text, status_code=st.integers(), params=_params),
    st.just(long_error),
    st.builds(lambda: PluginAPIError("x", params=itself())),
    st.builds(CallFailure, st.just("x"), kind=st.sampled_from(FailureKind), code=st.just(StatusCode.UNAVAILABLE)),
    st.builds(lambda: BaseExceptionGroup("x", [SystemExit(1), LookupError()])),
    st.builds(lambda: ExceptionGroup("x", [LookupError()])),
)
_case = st.sampled_from([(row, policy) for row in UNARY_ROWS for policy in row.policies])


async def answered(row: HookRow, policy: FailurePolicy, returned: Callable[[], object], *, blocking: bool) -> Message:
    """Dispatch one call to a handler of either kind, whose status is OK, and pass the answer through the octets."""

    def function(*_: object) -> object:
        return returned()

    async def coroutine(*_: object) -> object:
        return returned()

    answer = await outcome(row.name, function if blocking else coroutine, on_failure=policy)
    assert not isinstance(answer, CallFailure)
    return type(answer).FromString(answer.SerializeToString())


@settings(max_examples=150)
@given(case=_case, result=_results, blocking=st.booleans())
async def test_any_result_is_an_answer(case: tuple[HookRow, FailurePolicy], result: object, blocking: bool) -> None:
    """A result is read as what it says, or as what the policy says; never as anything else."""
    row, policy = case
    result = result() if callable(result) else result  # made here: Hypothesis would print it
    reading = host_reads(row, await answered(row, policy, lambda: result, blocking=blocking))
    if isinstance(result, Reject) and row.refusal in {Refusal.REASON, Refusal.ERROR}:
        assert reading == "refused"
    elif isinstance(result, Dismiss) and row.dismissable:
        assert reading == "dismissed"
    elif result is None:
        assert reading == "let pass"
    elif not _may_be(row, result):
        assert reading == READS[policy]


def _may_be(row: HookRow, result: object) -> bool:
    """Whether a result is one that the row knows, however it is read; streams have been read already."""
    if hasattr(result, "__next__") or isinstance(result, ReplaceFile):
        return row.content_field != ""
    codec = codec_of(row.name)
    try:
        codec.check_sendable(codec.pack(result, codec.originals(request_of(row.name))), 1_000_000)
    except (HookResultError, ZeroDivisionError):
        return False
    return not isinstance(result, Evil)


@settings(max_examples=150)
@given(case=_case, error=_errors, blocking=st.booleans())
async def test_any_error_is_answered_by_the_policy(
    case: tuple[HookRow, FailurePolicy], error: BaseException | Callable[[], PluginAPIError], blocking: bool
) -> None:
    """Every exception, those included that end programs, is answered; an API error is one where the row has errors."""
    row, policy = case
    raised = error if isinstance(error, BaseException) else error()

    def fail() -> object:
        raise raised

    reading = host_reads(row, await answered(row, policy, fail, blocking=blocking))
    if isinstance(raised, PluginAPIError) and row.refusal is Refusal.ERROR and reading == "refused":
        return
    assert reading == READS[policy]


async def test_a_cancellation_that_nobody_asked_for_is_a_crash() -> None:
    """A handler that lets a stray cancellation out is answered by policy; the call's task goes on."""
    stray: list[BaseException] = []
    with anyio.CancelScope() as scope:
        scope.cancel()
        try:
            await anyio.sleep_forever()
        except anyio.get_cancelled_exc_class() as error:
            stray.append(error)
            raise

    async def handler(*_: object) -> None:
        raise stray[0]

    row = HOOK_TABLE[HookName.UserWillLogIn]
    assert host_reads(row, await dispatch(row.name, handler)) == "refused"
    await anyio.lowlevel.checkpoint()
