"""Interceptors: what stands around every hook call and every API call of a plugin.

Job:    one small protocol for timing, access checks and metrics, and the chain that runs it.
Layer:  transport, above the link; the plugin's runtime puts the chain around its handlers and around the API.
Errors: an interceptor that raises around a hook is answered as a handler that raises; around an API call, its caller
        gets the error.
See:    docs/how-to/interceptors.md

Interceptors are plain awaits inside the task of their call: context variables that one sets are seen by the handler,
cancellation passes through all of them, and none ever crosses into another task.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from enum import Enum, unique
from functools import partial
from typing import TYPE_CHECKING, Protocol, TypeAlias, cast

import anyio

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from mm_plugin.transport.link import APICaller, CallFault

__all__ = ("CallDirection", "CallInfo", "CallNext", "InterceptedAPI", "Interceptor", "Interceptors")

#: Goes on with the call and returns its result.
CallNext: TypeAlias = Callable[[], Awaitable[object]]


@unique
class CallDirection(Enum):
    """Who calls whom."""

    HOOK = "hook"  # the server calls the plugin
    API = "api"  # the plugin calls the server

    # Members are single, and Enum's own hash is a Python function: too dear for the key of each call's metrics.
    __hash__ = object.__hash__


class CallInfo:
    """One call, as an interceptor sees it.

    Attributes:
        direction: Whether it is a hook or an API call.
        name: The hook's Go name, such as ``MessageWillBePosted``, or the rpc's, such as ``GetUser``.
        arguments: A hook's arguments as its handler gets them; of ServeHTTP request and response; of an API call the
            request message alone. They may hold secrets: do not log them whole.
        fault: Why a hook's call came without arguments, which are ``()`` then; None for every other call.
    """

    __slots__ = ("arguments", "direction", "fault", "name")

    def __init__(
        self, direction: CallDirection, name: str, arguments: tuple[object, ...], fault: CallFault | None = None
    ) -> None:
        self.direction = direction
        self.name = name
        self.arguments = arguments
        self.fault = fault

    @property
    def deadline(self) -> float | None:
        """When the call is given up, on the clock of ``anyio.current_time()``; None where never.

        It is that of the enclosing cancel scopes; read it inside the interceptor.
        """
        deadline = anyio.current_effective_deadline()
        return None if deadline == float("inf") else deadline


class Interceptor(Protocol):
    """Stands around calls: an async function, or an object with an async ``__call__``.

    It awaits ``call_next()`` for the result and returns it, or returns another one: around a hook whatever its handler
    may return (``Reject("...")`` without ``call_next`` refuses), around an API call the response message. ``call_next``
    may be awaited once, in the interceptor's own task.
    """

    def __call__(self, call: CallInfo, call_next: CallNext, /) -> Awaitable[object]:
        """Pass one call on."""
        ...


class Interceptors:
    """Runs calls through interceptors, the first one outermost.

    Args:
        chain: The interceptors.
    """

    __slots__ = ("_chain",)

    def __init__(self, *chain: Interceptor) -> None:
        self._chain = chain[::-1]

    def add(self, *chain: Interceptor) -> None:
        """Add interceptors inside of those there are."""
        self._chain = (*chain[::-1], *self._chain)

    def run(self, call: CallInfo, innermost: CallNext) -> Awaitable[object]:
        """Run one call; result and errors are those of the outermost interceptor."""
        for interceptor in self._chain:
            innermost = partial(interceptor, call, innermost)
        return innermost()


class InterceptedAPI:
    """An APICaller whose calls run through interceptors.

    Args:
        caller: The way out.
        interceptors: What stands around it.
    """

    def __init__(self, caller: APICaller, interceptors: Interceptors) -> None:
        self._caller = caller
        self._interceptors = interceptors

    async def call_api(self, method: str, request: Message, *, deadline: float | None = None) -> Message:
        """Call an API method; see APICaller."""
        call = CallInfo(CallDirection.API, method, (request,))
        result = await self._interceptors.run(call, partial(self._caller.call_api, method, request, deadline=deadline))
        return cast("Message", result)  # the client checks what it gets
