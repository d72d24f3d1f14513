"""Handlers with the plugin's interceptors around them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from mm_plugin.hooks.dispatch import Handler
from mm_plugin.hooks.policy import FailurePolicy
from mm_plugin.hooks.table import HookRow
from mm_plugin.hooks.threads import HookThreads
from mm_plugin.transport.interceptors import CallDirection, CallInfo, Interceptors
from mm_plugin.transport.link import CallFault

__all__ = ("InterceptedHandler", "InterceptingHandler")


class InterceptedHandler(Handler):
    """A Handler whose calls run through interceptors, within the hook's deadline and under its failure policy."""

    __slots__ = ("_interceptors", "_name")

    def __init__(
        self, row: HookRow, function: Callable[..., object], on_failure: FailurePolicy, interceptors: Interceptors
    ) -> None:
        super().__init__(row, function, on_failure)
        self._interceptors = interceptors
        self._name = str(row.name)

    async def run(self, threads: HookThreads, *arguments: object) -> object:
        """Call the function through the interceptors; see Handler."""
        call = CallInfo(CallDirection.HOOK, self._name, arguments)
        return await self._interceptors.run(call, partial(Handler.run, self, threads, *arguments))

    async def fail(self, fault: CallFault, cause: Exception) -> object:
        """Have the interceptors see a call that came without arguments; see Handler."""
        call = CallInfo(CallDirection.HOOK, self._name, (), fault)
        return await self._interceptors.run(call, partial(super().fail, fault, cause))


class InterceptingHandler(InterceptedHandler):
    """A Handler whose function runs the interceptors itself, around a part of what it does; only faults pass here."""

    __slots__ = ()

    async def run(self, threads: HookThreads, *arguments: object) -> object:
        """Call the function; see Handler."""
        return await Handler.run(self, threads, *arguments)
