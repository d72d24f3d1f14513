"""The memory link: both ends inside one process, without a wire.

Job:    join a plugin's end and a host's end so that a test runs in milliseconds.
Layer:  transport. Messages are serialised and parsed again on the way, so neither side sees the other's objects.
Errors: CallFailure, as on every link; ``docs_code`` and kinds are those the contract suite demands.
"""

from __future__ import annotations

import logging
import math
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import anyio
from anyio.abc import TaskGroup, TaskStatus
from anyio.lowlevel import checkpoint_if_cancelled

from mm_plugin import limits
from mm_plugin.exceptions import StatusCode
from mm_plugin.transport.link import (
    APIReceiver,
    CallFailure,
    CallFault,
    FailureKind,
    HookCall,
    HookReceiver,
    HTTPCall,
    RequestHead,
)
from mm_plugin.transport.memory_http import MemoryHTTP, MemoryHTTPCall
from mm_plugin.transport.message_size import check_request_size, check_response_size

if TYPE_CHECKING:
    from google.protobuf.message import Message

__all__ = ("MemoryHostLink", "MemoryPluginLink", "memory_link")

logger = logging.getLogger("mm_plugin.transport")


def memory_link(
    api: APIReceiver, *, message_limit_octets: int = limits.message_limit_octets
) -> tuple[MemoryPluginLink, MemoryHostLink]:
    """Make the two ends of one link; nothing runs until the plugin's end serves.

    Args:
        api: Answers the plugin's API calls.
        message_limit_octets: Longest message passed, either way; a longer hook request becomes CallFault.TOO_LARGE.
    """
    plugin = MemoryPluginLink(api, message_limit_octets)
    return plugin, MemoryHostLink(plugin)


class _Call:
    """One call under way: its task's scope and, in the end, its outcome."""

    __slots__ = ("done", "given_up", "outcome", "scope")

    def __init__(self) -> None:
        self.scope = anyio.CancelScope()
        self.done = anyio.Event()
        self.given_up = False  # nobody waits for the outcome
        self.outcome: Message | CallFailure = CallFailure(
            "the link was closed during the call", kind=FailureKind.LOST, code=StatusCode.UNAVAILABLE
        )

    async def wait(self, deadline: float | None, *, outlives: Callable[[], bool] = lambda: False) -> None:
        """Wait for the outcome; on cancellation or at the deadline the call's own scope is cancelled too.

        Args:
            deadline: When to give up.
            outlives: Whether the call goes on although nobody waits for it; not beyond its deadline.
        """
        try:
            with anyio.CancelScope(deadline=math.inf if deadline is None else deadline) as scope:
                await self.done.wait()
        except BaseException:
            self.lose(outlives=outlives())
            raise
        if scope.cancelled_caught:
            self.lose(outlives=False)
            self.outcome = CallFailure(
                "the deadline passed", kind=FailureKind.DEADLINE, code=StatusCode.DEADLINE_EXCEEDED
            )

    def lose(self, *, outlives: bool) -> None:
        """Note that nobody waits for the outcome any more."""
        self.given_up = True
        self.done.set()  # what comes now is too late
        if not outlives:
            self.scope.cancel()

    def result(self) -> Message:
        """Return the response, or raise the failure."""
        if isinstance(self.outcome, CallFailure):
            raise self.outcome
        return self.outcome


class MemoryPluginLink:
    """The plugin's end of a memory link."""

    def __init__(self, api: APIReceiver, message_limit_octets: int) -> None:
        self._api = api
        self._limit_octets = message_limit_octets
        self._serving = False
        self._draining = False
        self._tasks: TaskGroup | None = None
        self._receiver: HookReceiver | None = None
        self._running = 0
        self._hooks: dict[_Call, HookCall] = {}
        self._idle = anyio.Event()
        self._stop_asked = anyio.Event()
        self._closing = anyio.Event()
        self._closed = anyio.Event()

    async def serve(self, receiver: HookReceiver, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Take calls until ``aclose``; see PluginLink."""
        try:
            async with anyio.create_task_group() as tasks:
                self._receiver, self._tasks = receiver, tasks
                task_status.started()
                await self._closing.wait()
                tasks.cancel_scope.cancel()
        finally:
            self._tasks = None
            self._closing.set()
            self._closed.set()

    async def call_api(self, method: str, request: Message, *, deadline: float | None = None) -> Message:
        """Call an API method; see APICaller."""
        if self._closing.is_set():
            raise CallFailure("the link is closed", kind=FailureKind.UNREACHABLE, code=StatusCode.UNAVAILABLE)
        octets = request.SerializeToString()
        check_request_size(method, len(octets), self._limit_octets)
        await checkpoint_if_cancelled()
        if deadline is not None and deadline <= anyio.current_time():
            text = "the deadline had passed before the call; nothing was sent"
            raise CallFailure(text, kind=FailureKind.DEADLINE, code=StatusCode.DEADLINE_EXCEEDED)
        call = _Call()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._run_api, call, method, type(request).FromString(octets), deadline)
            await call.wait(deadline)
        return call.result()

    async def _run_api(self, call: _Call, method: str, request: Message, deadline: float | None) -> None:
        with call.scope:
            try:
                response = await self._api.handle_api(method, request, deadline=deadline)
                octets = response.SerializeToString()
                check_response_size(method, len(octets), self._limit_octets)
                call.outcome = type(response).FromString(octets)
            except CallFailure as failure:
                call.outcome = failure
            except Exception:
                logger.exception("API method %s crashed", method)
                call.outcome = CallFailure("internal error", code=StatusCode.INTERNAL)
            call.done.set()

    def set_serving(self, serving: bool) -> None:
        """Tell whoever asks for our health."""
        self._serving = serving

    async def wait_stop_asked(self) -> None:
        """Wait until the host asks us to stop."""
        await self._stop_asked.wait()

    async def drain(self, *, grace_s: float) -> int:
        """Hand new calls up as DRAINING and wait for the running ones; see PluginLink."""
        self._draining = True
        with anyio.move_on_after(grace_s):
            while self._running:
                self._idle = anyio.Event()
                await self._idle.wait()
        return self._running

    async def aclose(self) -> None:
        """Answer running hooks by their policies, cut what still runs and end ``serve``; see PluginLink."""
        self._draining = True
        with anyio.move_on_after(limits.cleanup_s):
            async with anyio.create_task_group() as answers:
                for call, hook_call in self._hooks.items():
                    if not call.given_up:
                        answers.start_soon(self._answer_stopping, call, hook_call)
        self._closing.set()
        if self._tasks is not None:
            await self._closed.wait()

    # -- what the host's end asks for -------------------------------------------------------------------------

    def start_hook(self, name: str, request: Message, deadline: float | None) -> _Call:
        """Start a task for one hook call."""
        octets = request.SerializeToString()
        fault = CallFault.TOO_LARGE if len(octets) > self._limit_octets else None
        if self._draining:
            fault = CallFault.DRAINING
        hook_call = HookCall(
            name=name,
            request=fault or type(request).FromString(octets),
            deadline=deadline,
            text=f"{len(octets)} octets" if fault is CallFault.TOO_LARGE else "",
        )
        call = _Call()
        self._task_group().start_soon(self._run_hook, call, hook_call)
        return call

    def start_http(self, head: RequestHead) -> tuple[_Call, MemoryHTTP]:
        """Start a task for one HTTP request."""
        if self._draining:
            raise CallFailure("the plugin is stopping", kind=FailureKind.REFUSED, code=StatusCode.UNAVAILABLE)
        tasks = self._task_group()
        call, http = _Call(), MemoryHTTP(head)
        tasks.start_soon(self._run_http, call, http)
        return call, http

    def _task_group(self) -> TaskGroup:
        if self._tasks is None or self._closing.is_set():
            raise CallFailure("the plugin does not serve", kind=FailureKind.UNREACHABLE, code=StatusCode.UNAVAILABLE)
        return self._tasks

    async def _run_hook(self, call: _Call, hook_call: HookCall) -> None:
        receiver = self._receiver
        assert receiver is not None
        self._hooks[call] = hook_call
        with self._counted(call), call.scope:
            await self._answer_hook(receiver, call, hook_call)

    async def _answer_hook(self, receiver: HookReceiver, call: _Call, hook_call: HookCall) -> None:
        outcome: Message | CallFailure
        try:
            response = await receiver.handle_hook(hook_call)
            outcome = type(response).FromString(response.SerializeToString())
        except CallFailure as failure:
            outcome = failure
        except Exception:
            logger.exception("hook %s crashed outside its handler", hook_call.name)
            outcome = CallFailure("internal error", code=StatusCode.INTERNAL)
        if not call.done.is_set():  # else the policy was faster, since the link closes
            call.outcome = outcome

    async def _answer_stopping(self, call: _Call, hook_call: HookCall) -> None:
        """Answer a running hook by its policy, then cancel its handler, which may resist."""
        receiver = self._receiver
        assert receiver is not None
        text = "the plugin stopped before its handler had finished"
        await self._answer_hook(receiver, call, replace(hook_call, request=CallFault.DRAINING, text=text))
        call.done.set()
        call.scope.cancel()

    async def _run_http(self, call: _Call, http: MemoryHTTP) -> None:
        receiver = self._receiver
        assert receiver is not None
        with self._counted(call), call.scope:
            try:
                await receiver.handle_http(http)
            except Exception:
                logger.exception("ServeHTTP crashed outside its handler")
            finally:
                http.end_of_handler()

    def _counted(self, call: _Call) -> _Counted:
        return _Counted(self, call)

    def count(self, change: int) -> None:
        """Keep count of the running calls."""
        self._running += change
        if not self._running:
            self._idle.set()

    def forget(self, call: _Call) -> None:
        """Keep no call that is over."""
        self._hooks.pop(call, None)

    @property
    def stop_asked(self) -> anyio.Event:
        """The event behind ``wait_stop_asked``."""
        return self._stop_asked

    @property
    def serving(self) -> bool:
        """What ``set_serving`` said last."""
        return self._serving

    @property
    def stopping(self) -> bool:
        """Whether a stop is under way, in which hooks go on without their callers."""
        return self._draining or self._stop_asked.is_set()

    @property
    def is_open(self) -> bool:
        """Whether calls reach the plugin."""
        return self._tasks is not None and not self._closing.is_set()


class _Counted:
    """Count a call as running, and tell its waiter when it is over, however it ends."""

    def __init__(self, link: MemoryPluginLink, call: _Call) -> None:
        self._link, self._call = link, call

    def __enter__(self) -> None:
        self._link.count(1)

    def __exit__(self, *_: object) -> None:
        self._link.forget(self._call)
        self._link.count(-1)
        self._call.done.set()


class MemoryHostLink:
    """The host's end of a memory link."""

    def __init__(self, plugin: MemoryPluginLink) -> None:
        self._plugin = plugin
        self._open = True
        self._hooks: set[_Call] = set()
        self._requests: set[_Call] = set()

    async def call_hook(self, name: str, request: Message, *, deadline: float | None = None) -> Message:
        """Call a hook; see HostLink."""
        self._check()
        call = self._plugin.start_hook(name, request, deadline)
        self._hooks.add(call)
        try:
            await call.wait(deadline, outlives=lambda: self._plugin.stopping)
        finally:
            self._hooks.discard(call)
        return call.result()

    @asynccontextmanager
    async def open_http(self, head: RequestHead) -> AsyncGenerator[HTTPCall]:
        """Open one HTTP request; see HostLink."""
        self._check()
        call, http = self._plugin.start_http(head)
        self._requests.add(call)
        try:
            yield MemoryHTTPCall(http)
        finally:
            self._requests.discard(call)
            http.host_left()
            call.scope.cancel()

    async def check_health(self, *, deadline: float | None = None) -> bool:  # noqa: ARG002 - never waits
        """Ask whether the plugin serves."""
        self._check()
        await anyio.lowlevel.checkpoint()
        return self._plugin.serving

    async def ask_stop(self, *, deadline: float | None = None) -> None:  # noqa: ARG002 - never waits
        """Ask the plugin to stop."""
        self._check()
        await anyio.lowlevel.checkpoint()
        self._plugin.stop_asked.set()

    async def aclose(self) -> None:
        """Close this end: calls under way fail as lost, further ones as unreachable."""
        self._open = False
        for call in self._hooks:
            call.lose(outlives=self._plugin.stopping)
        for call in self._requests:
            call.scope.cancel()
        await anyio.lowlevel.checkpoint()

    def _check(self) -> None:
        if not self._open or not self._plugin.is_open:
            raise CallFailure("the plugin cannot be reached", kind=FailureKind.UNREACHABLE, code=StatusCode.UNAVAILABLE)
