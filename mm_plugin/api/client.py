"""PluginAPIClient: the server's API as a plugin sees it.

Job:    join the generated methods with a way out: the plugin's link, or a connection of the client's own.
Layer:  api.
Errors: the PluginAPIError family, and TypeError or ValueError for an argument that cannot be sent.
"""

from __future__ import annotations

import os
from contextlib import AbstractContextManager, AsyncExitStack
from types import TracebackType
from typing import TYPE_CHECKING, Self

import anyio
import anyio.lowlevel

from mm_plugin import limits
from mm_plugin.api.methods import APIMethods
from mm_plugin.api.options import CallTimeout, checked_timeout
from mm_plugin.settings import API_SECRET, API_TARGET
from mm_plugin.transport.link import APICaller

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from mm_plugin.api.sync.methods import SyncAPIMethods

__all__ = ("PluginAPIClient",)


class PluginAPIClient(APIMethods):
    """Call the server's plugin API: one method for each of its 236 rpcs.

    A plugin finds its client ready at ``self.api``. Anything else opens one of its own::

        async with PluginAPIClient("127.0.0.1:50051") as api:
            user = await api.get_user_by_username("alice")

    Every method raises one family of errors, PluginAPIError and its subclasses, whichever way the server reports a
    failure: NotFoundError, PermissionDeniedError, ValidationError and so on by what it said, UnavailableError where it
    could not be reached, ConnectionLostError where it went away during the call, DeadlineError where it did not answer
    within ``api_timeout_s`` (``options`` sets another time). Where the enclosing cancel
    scope ends first, its cancellation ends the call instead; the server is told that nobody waits.

    Methods that return a message are typed as always returning one. Should a server answer with neither a message nor
    an error, which the Go server does not, they return None. Where a missing message is part of the method's meaning
    (``upload_data``), the type says so.

    Args:
        target: ``host:port`` or ``unix:/path``; by default the variable MATTERMOST_PLUGIN_API_TARGET. Where neither is
            set, each call raises UnavailableError.
        api_timeout_s: Longest a call may take; ``float("inf")`` for no limit.
        message_limit_octets: Longest message sent or taken.

    Raises:
        TypeError: ``api_timeout_s`` is no number.
        ValueError: It is not above zero.
    """

    def __init__(
        self,
        target: str | None = None,
        *,
        api_timeout_s: float = limits.api_timeout_s,
        message_limit_octets: int = limits.message_limit_octets,
    ) -> None:
        super().__init__(_NOT_OPEN, api_timeout_s=checked_timeout("api_timeout_s", api_timeout_s))
        self._target = os.environ.get(API_TARGET, "") if target is None else target
        self._secret = os.environ.get(API_SECRET, "") if target is None else ""
        self._message_limit_octets = message_limit_octets
        self._exits: AsyncExitStack | None = None
        self._sync: SyncAPIMethods | None = None
        self._loop: object = None  # the event loop's token; None where there was none yet

    @classmethod
    def on_link(cls, caller: APICaller, *, api_timeout_s: float = limits.api_timeout_s) -> Self:
        """Return a client that calls through a link, which stays its owner's; it is ready at once.

        Args:
            caller: The plugin's end of the link.
            api_timeout_s: Longest a call may take.
        """
        client = cls("", api_timeout_s=api_timeout_s)
        client._caller = caller
        try:
            client._loop = anyio.lowlevel.current_token()
        except anyio.NoEventLoopError:
            client._loop = None
        return client

    @property
    def in_its_loop(self) -> bool:
        """Whether the running event loop is the one that this client was opened in; its connection belongs there."""
        return self._loop is None or self._loop == anyio.lowlevel.current_token()

    @property
    def sync(self) -> SyncAPIMethods:
        """The same methods for blocking code in worker threads: ``self.api.sync.get_user(user_id)``.

        On the event loop's own thread, in threads that AnyIO did not start, and in worker threads of an event loop
        other than the one this client was opened in, each raises RuntimeError saying what to do instead.
        """
        if self._sync is None:
            from mm_plugin.api.sync.methods import SyncAPIMethods

            self._sync = SyncAPIMethods(self)
        return self._sync

    def options(self, *, timeout_s: float) -> AbstractContextManager[None]:
        """Set how long each call made inside the context may take, in place of ``api_timeout_s``.

        ::

            with api.options(timeout_s=120):
                await api.upload_file(data, channel_id, "film.mp4")

        It holds for this client, for the code inside, and for tasks and worker threads that are started inside; of
        nested contexts the innermost counts. An enclosing cancel scope that ends sooner still ends the call. In a
        generator it holds while the generator runs, not for the code that iterates over it; a context manager written
        as a generator passes it on to the code inside.

        Args:
            timeout_s: Seconds above 0; ``float("inf")`` for no limit.

        Raises:
            TypeError: ``timeout_s`` is no number.
            ValueError: It is not above zero.
        """
        return CallTimeout(self, timeout_s)

    @property
    def target(self) -> str:
        """Where the client's own connection leads; "" where it has none."""
        return self._target

    async def __aenter__(self) -> Self:
        """Make the methods usable; the first call connects.

        Raises:
            ConfigurationError: The target is neither ``host:port`` nor ``unix:/path``; nothing is open.
            RuntimeError: The client is open already.
        """
        if self._caller is not _NOT_OPEN:
            raise RuntimeError("this PluginAPIClient is open already; make another one")
        from mm_plugin.transport.grpc.api_end import open_api

        async with AsyncExitStack() as exits:
            opened = open_api(self._target, secret=self._secret, message_limit_octets=self._message_limit_octets)
            self._caller = await exits.enter_async_context(opened)
            self._exits = exits.pop_all()
        self._loop = anyio.lowlevel.current_token()
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close the connection; calls still waiting end with UnavailableError."""
        exits, self._exits, self._caller = self._exits, None, _NOT_OPEN
        if exits is not None:
            await exits.__aexit__(exc_type, exc, traceback)


class _NotOpen:
    """Stands in for the way out before the client is opened and after it is closed."""

    async def call_api(self, method: str, request: Message, *, deadline: float | None = None) -> Message:  # noqa: ARG002
        raise RuntimeError(f"{method}: the client is not open; use `async with PluginAPIClient(...) as api:`")


_NOT_OPEN = _NotOpen()
