"""From a hook call to its response: the way through the author's handler.

Job:    look the hook up, unpack, run the handler within its deadline, pack its result or its failure.
Layer:  hooks. Knows the link's values (HookCall), no link.
Input:  HookCall. Output: a response message.
Errors: CallFailure where there is no response: an unknown hook, or a call that did not reach a handler that allows.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, cast

import anyio
from anyio.abc import TaskStatus

from mm_plugin import limits
from mm_plugin.exceptions import HandlerError, RemoteProtocolError, StatusCode
from mm_plugin.hooks.codec import HookCodec, codec_of
from mm_plugin.hooks.failure import answer_failure, failure_of
from mm_plugin.hooks.files import NewContent, gather
from mm_plugin.hooks.handler_tasks import HandlerTasks, is_cancelled
from mm_plugin.hooks.loop_watch import LoopWatch
from mm_plugin.hooks.names import HookName
from mm_plugin.hooks.policy import FailurePolicy
from mm_plugin.hooks.request_context import set_request
from mm_plugin.hooks.results import ReplaceFile
from mm_plugin.hooks.table import HOOK_TABLE, HookRow
from mm_plugin.hooks.threads import HookThreads
from mm_plugin.transport.link import CallFailure, CallFault, FailureKind, HookCall

if TYPE_CHECKING:
    from google.protobuf.message import Message

__all__ = ("Handler", "HookDispatcher", "unhandled")

logger = logging.getLogger("mm_plugin.hooks")


async def unhandled(*arguments: object) -> None:
    """Stand for the handler of a hook that the author does not handle."""


class Handler:
    """What answers one hook.

    Attributes:
        is_absent: There is no function of the author's; None as result means "as if there were no hook".
        may_be_late: Its failure counts as consent, so the host loses nothing by an answer after the deadline.

    Args:
        row: The hook.
        function: Takes the hook's arguments; async or not. ``unhandled`` where the author has none.
        on_failure: The failure policy.
    """

    __slots__ = ("_function", "_is_async", "is_absent", "may_be_late", "on_failure", "row")

    def __init__(self, row: HookRow, function: Callable[..., object], on_failure: FailurePolicy) -> None:
        self.row = row
        self.on_failure = on_failure
        self.is_absent = function is unhandled
        self.may_be_late = on_failure is FailurePolicy.ALLOW and row.allows_by_failing
        self._function = function
        self._is_async = _is_async(function)

    async def run(self, threads: HookThreads, *arguments: object) -> object:
        """Call the function, an async one in this task, a blocking one in a worker thread, and return its result.

        An awaitable as result (of a decorator that hides a coroutine function) is awaited here. Cancellation leaves a
        running thread behind, see HookThreads.
        """
        if self._is_async:
            result = await cast("Awaitable[object]", self._function(*arguments))
        else:
            result = await threads.run(partial(self._function, *arguments))
        return result if result is None or not inspect.isawaitable(result) else await result

    async def fail(self, fault: CallFault, cause: Exception) -> object:  # noqa: ARG002 - for those that override it
        """Take a call that came without arguments: raise its cause where there is a function that misses it."""
        if not self.is_absent:
            raise cause
        return None


class HookDispatcher:
    """Answers hook calls by their handlers; any number of calls may run at once.

    The answer goes out at the deadline, whatever the handler does, unless it keeps the event loop from running.

    Args:
        handlers: One for each hook that is handled; a hook without one is answered as absent.
        timeout_s: Longest a handler may take, in seconds, where the caller allows as much.
        threads: Where blocking handlers run.
        watch: Told what runs, so that a handler that blocks the event loop is reported.
        authors: The authors' methods, named where one is late or returns what its hook cannot express.
        message_limit_octets: The longest answer that can be sent.
    """

    def __init__(
        self,
        handlers: Iterable[Handler],
        *,
        timeout_s: float,
        threads: HookThreads,
        watch: LoopWatch | None = None,
        authors: Mapping[HookName, Callable[..., object]] = MappingProxyType({}),
        message_limit_octets: int = limits.message_limit_octets,
    ) -> None:
        self._handlers: Mapping[str, Handler] = {
            handler.row.name: handler for handler in handlers if not handler.row.streaming
        }
        self._timeout_s = timeout_s
        self._threads = threads
        self._watch = watch or LoopWatch()
        self._authors = authors
        self._message_limit_octets = message_limit_octets
        self._told_of_mutation: set[HookName] = set()
        self._tasks = HandlerTasks()

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Own the tasks of handlers until cancelled; then they are cancelled and joined.

        Without it each call joins its own, so that one which cannot be cancelled is answered late.
        """
        await self._tasks.run(task_status=task_status)

    async def dispatch(self, call: HookCall) -> Message:
        """Answer one call.

        Cancellation from outside cancels the handler and propagates; there is no answer then.

        Raises:
            CallFailure: There is no such hook, or the call did not reach its handler and the policy allows.
        """
        handler = self._handlers.get(call.name)
        if handler is None:
            return codec_of(_unary_hook(call.name)).absent()
        codec = codec_of(handler.row.name)
        try:
            # In the call's own task nothing new is left behind: what stands around a handler still sees the call.
            is_full = self._tasks.is_full and not handler.may_be_late
            run = self._tasks.call_here if is_full or handler.may_be_late else self._tasks.call
            if isinstance(call.request, CallFault):
                failure = failure_of(call.request, call.text)
                work = partial(self._answer_fault, codec, handler, call.request, failure)
            else:
                set_request(call.request)
                if is_full:
                    text = f"{codec.row.name}: {self._tasks.lingering} handlers were cancelled and have not ended"
                    failure = failure_of(CallFault.OVERLOADED, text)
                    work = partial(self._answer_fault, codec, handler, CallFault.OVERLOADED, failure)
                else:
                    work = partial(self._answer, codec, handler, call.request)
            return await run(codec.row.name, work, self._deadline(call.deadline))
        except Exception as error:  # noqa: BLE001 - whatever an author's code raises, the policy answers
            if isinstance(error, HandlerError) and (author := self._authors.get(codec.row.name)) is not None:
                error.blame(author)
            return answer_failure(codec, handler.on_failure, error, request_id=_request_id(codec, call))
        except BaseException as error:
            if is_cancelled():
                raise
            stray = RuntimeError(
                f"{codec.row.name}: its handler raised {type(error).__name__}, which ends nothing here"
            )
            stray.__cause__ = error
            return answer_failure(codec, handler.on_failure, stray, request_id=_request_id(codec, call))

    async def _answer(self, codec: HookCodec, handler: Handler, request: Message) -> Message:
        """Do all that takes an author's time, in the handler's task."""
        try:
            arguments = codec.arguments(request)
        except RemoteProtocolError as error:
            return await self._answer_fault(codec, handler, CallFault.UNDECODABLE, error)
        originals = codec.originals(request)
        result = await self._watch.guard(codec.row.name, handler.run(self._threads, *arguments))
        if result is None and handler.is_absent:
            return codec.absent()
        if codec.content_field:
            result = await self._gathered(codec, result)
        response = self._pack(codec, result, originals)
        if result is None and originals:
            self._tell_of_mutation(codec, arguments, originals)
        return response

    async def _answer_fault(self, codec: HookCodec, handler: Handler, fault: CallFault, cause: Exception) -> Message:
        """Give a call without arguments to what stands around its handler, which may have a result of its own."""
        result = await self._watch.guard(codec.row.name, handler.fail(fault, cause))
        if result is None and handler.is_absent:
            return codec.absent()
        if codec.content_field:
            result = await self._gathered(codec, result)
        return self._pack(codec, result, codec.originals(codec.request_class()))

    def _pack(self, codec: HookCodec, result: object, originals: Mapping[str, Any]) -> Message:
        response = codec.pack(result, originals)
        codec.check_sendable(response, self._message_limit_octets)
        return response

    async def _gathered(self, codec: HookCodec, result: object) -> object:
        """Return a result with its streams read; part of the handler's work, so within its deadline."""
        if isinstance(result, ReplaceFile):
            gathering = gather(result.content, self._threads, self._message_limit_octets)
            content = await self._watch.guard(codec.row.name, gathering)
            return replace(result, content=cast("NewContent | None", content))
        return await self._watch.guard(codec.row.name, gather(result, self._threads, self._message_limit_octets))

    def _deadline(self, deadline: float | None) -> float:
        now = anyio.current_time()
        own = now + self._timeout_s
        if deadline is None:
            return own
        # A caller that gives less than twice the margin still leaves the handler half of it.
        margin_s = min(limits.hook_deadline_margin_s, max(deadline - now, 0.0) / 2)
        return min(own, deadline - margin_s)

    def _tell_of_mutation(self, codec: HookCodec, arguments: Sequence[object], originals: Mapping[str, Any]) -> None:
        """Log once for each hook that a change made in place is not sent."""
        name = codec.row.name
        if name not in self._told_of_mutation and codec.is_mutated(arguments, originals):
            self._told_of_mutation.add(name)
            logger.warning(
                "hook %s changed its argument and returned None, which means unchanged; return it to send the change",
                name,
                extra={"hook": str(name)},
            )


def _request_id(codec: HookCodec, call: HookCall) -> str:
    return "" if isinstance(call.request, CallFault) else codec.request_id(call.request)


def _unary_hook(name: str) -> HookName:
    try:
        row = HOOK_TABLE[HookName(name)]
    except ValueError:
        row = None
    if row is None or row.streaming:
        raise CallFailure(f"there is no hook {name!r}", kind=FailureKind.REFUSED, code=StatusCode.UNIMPLEMENTED)
    return row.name


def _is_async(function: Callable[..., object]) -> bool:
    unwrapped = inspect.unwrap(function)
    while isinstance(unwrapped, partial):
        unwrapped = unwrapped.func
    return inspect.iscoroutinefunction(unwrapped) or inspect.iscoroutinefunction(getattr(unwrapped, "__call__", None))  # noqa: B004
