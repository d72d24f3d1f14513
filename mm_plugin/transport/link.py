"""The link: the one seam between everything above and whatever carries the calls.

Job:    name what a plugin and its host say to each other, in words that belong to no wire.
Layer:  transport (the seam). Protocols and small values only; no I/O.
Errors: CallFailure, the one neutral failure; wires translate theirs into it and back.
See:    docs/explanation/link.md

There are two ends. A *plugin's end* takes hook calls and HTTP exchanges in, and API calls out. A *host's end* does
the opposite. ``transport/memory.py`` joins the two inside one process, ``transport/grpc`` over HTTP/2. On some wires
the API arrives late (net/rpc: inside OnActivate), so nothing above may assume an API channel of its own: it calls
``call_api`` and is told UNREACHABLE where there is none yet.

Deadlines are absolute, on the clock of ``anyio.current_time()``; None means none.
"""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from enum import Enum, unique
from typing import TYPE_CHECKING, Protocol

from mm_plugin.exceptions import MMPluginError, StatusCode

if TYPE_CHECKING:
    from anyio.abc import TaskStatus
    from google.protobuf.message import Message

    from mm_plugin.types import HeaderFields

__all__ = (
    "APICaller",
    "APIReceiver",
    "CallFailure",
    "CallFault",
    "FailureKind",
    "HTTPCall",
    "HTTPExchange",
    "HookCall",
    "HookReceiver",
    "HostLink",
    "PluginLink",
    "RequestContextFields",
    "RequestHead",
    "ResponseHead",
    "ResponsePart",
)


@unique
class CallFault(Enum):
    """Why a hook call arrives without a message; the hook's failure policy still answers it."""

    TOO_LARGE = "the message is over the limit"
    UNDECODABLE = "the message cannot be decoded"
    DRAINING = "the plugin is stopping"
    OVERLOADED = "too many handlers of earlier calls have not ended"  # told inside the plugin, never by a link


@unique
class FailureKind(Enum):
    """What became of a call that brought no response."""

    UNREACHABLE = "the other side cannot be reached"  # it was certainly not carried out
    LOST = "the connection was lost during the call"  # whether it was carried out is unknown
    DEADLINE = "the deadline passed"
    REFUSED = "the other side did not take the call"  # it was certainly not carried out
    STATUS = "the other side answered with an error"


class CallFailure(MMPluginError):  # noqa: N818 - an outcome of the link, not yet anybody's error
    """A call ended without a response message.

    Attributes:
        kind: What became of it; decides whether it may be tried again.
        code: The status code that says the same on the wire.
        id: The server's error id where the other side gave one as ``id: text``; else "".
        text: Human-readable reason.
    """

    docs_code = "MMP220"

    def __init__(
        self,
        text: str,
        *,
        kind: FailureKind = FailureKind.STATUS,
        code: StatusCode = StatusCode.UNKNOWN,
        id: str = "",  # noqa: A002 - the wire's own name
    ) -> None:
        super().__init__(text)
        self.kind = kind
        self.code = code
        self.id = id
        self.text = text

    def __str__(self) -> str:
        return f"{self.code.name}: {self.id + ': ' if self.id else ''}{self.text}"


@dataclass(slots=True, kw_only=True)  # a frozen one takes a microsecond longer to make, once for each call
class HookCall:
    """One hook call as it reaches the plugin; nobody changes it.

    Attributes:
        name: The hook's Go name, such as ``MessageWillBePosted``.
        request: The request message, or the reason why there is none.
        deadline: When the caller stops waiting.
        text: What the link knows about a fault, for the log.
    """

    name: str
    request: Message | CallFault
    deadline: float | None = None
    text: str = ""


# -- HTTP -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestContextFields:
    """Who asked: the fields of Mattermost's plugin context."""

    session_id: str = ""
    request_id: str = ""
    ip_address: str = ""
    accept_language: str = ""
    user_agent: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestHead:
    """An HTTP request without its body.

    Attributes:
        url: As the server gives it: usually path and query, the absolute form is tolerated.
        headers: In order, with the spelling received; ``Host`` stands in ``host`` only.
        content_length: Octets of the body; -1 where unknown.
        context: None where the host sent none.
    """

    method: str
    url: str
    headers: HeaderFields = ()
    proto: str = "HTTP/1.1"
    proto_major: int = 1
    proto_minor: int = 1
    host: str = ""
    remote_addr: str = ""
    request_uri: str = ""
    content_length: int = -1
    context: RequestContextFields | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseHead:
    """An HTTP response without its body."""

    status: int = 200
    headers: HeaderFields = ()


@dataclass(frozen=True, slots=True)
class ResponsePart:
    """A piece of a response body; ``data`` may be empty where only a flush was asked."""

    data: bytes
    flush: bool = False


class HTTPExchange(Protocol):
    """One HTTP request at the plugin's end.

    The link runs ``HookReceiver.handle_http`` in a task and scope of its own and cancels it when the client has gone.
    ``receive`` may be called by one task while another one answers; each of the two directions belongs to one task.
    """

    @property
    def head(self) -> RequestHead:
        """The request."""
        ...

    @property
    def deadline(self) -> float | None:
        """When the caller stops waiting; usually None."""
        ...

    async def receive(self) -> bytes:
        """Wait for the next piece of the body; ``b""`` once the body is complete, and ever after.

        Cancellation loses nothing: the piece stays for the next call.

        Raises:
            RequestBodyAbortedError: The body ended before it was complete.
        """
        ...

    async def respond(self, head: ResponseHead) -> None:
        """Start the response; it may stay with us until the first ``write``, ``flush`` or ``finish``.

        Raises:
            ResponseStateError: There has been a head already; nothing was sent.
        """
        ...

    async def write(self, data: bytes, *, flush: bool = False) -> None:
        """Send a piece of the response body, of any length; waits while the peer does not take more.

        Cancellation may leave a part of ``data`` sent; the response can then only be aborted.

        Raises:
            ResponseStateError: There is no head yet, or the response is over.
        """
        ...

    async def flush(self) -> None:
        """Have everything written so far reach the client now."""
        ...

    async def finish(self) -> None:
        """End the response as complete. The rest of the request body is no longer wanted."""
        ...

    async def abort(self, text: str = "") -> None:
        """End the response as broken, so that the client sees a truncated body; does nothing after the end."""
        ...


class HTTPCall(Protocol):
    """One HTTP request at the host's end; leaving its context ends it, as cancelled where it was not complete.

    The plugin sees the request at the latest when its response is waited for; until then it may stay with us, so that
    head and first piece travel together.
    """

    async def send(self, data: bytes) -> None:
        """Send a piece of the request body; waits while the plugin does not take more.

        Returns silently where the plugin has answered already and wants no more.

        Raises:
            CallFailure: The plugin has gone.
        """
        ...

    async def finish(self) -> None:
        """Say that the request body is complete."""
        ...

    async def abort(self) -> None:
        """Say that the request body ends here without being complete."""
        ...

    async def receive_head(self) -> ResponseHead:
        """Wait for the response's head.

        Raises:
            CallFailure: There is none: the plugin refused, broke the protocol or has gone.
        """
        ...

    async def receive(self) -> ResponsePart | None:
        """Wait for the next piece of the response body; None once it is complete.

        Raises:
            CallFailure: The response broke off; what came before is not the whole.
        """
        ...


# -- the plugin's end -----------------------------------------------------------------------------------------


class HookReceiver(Protocol):
    """What stands above a plugin's end and takes the calls; each call comes in a task and scope of its own."""

    async def handle_hook(self, call: HookCall) -> Message:
        """Answer one hook call with its response message.

        Raises:
            CallFailure: There is no response; the link tells the caller.
        """
        ...

    async def handle_http(self, exchange: HTTPExchange) -> None:
        """Answer one HTTP request; must finish or abort the response.

        An exception, or a return without an end, makes the link abort the response.
        """
        ...


class APICaller(Protocol):
    """The way out to the server's API."""

    async def call_api(self, method: str, request: Message, *, deadline: float | None = None) -> Message:
        """Call an API method and return its response message, whose ``error`` field is left to the caller.

        Cancellation tells the server that nobody waits any more.

        Args:
            method: The rpc's name, such as ``GetUser``.
            request: The request message of that rpc.
            deadline: When to give up.

        Raises:
            CallFailure: There is no response.
        """
        ...


class PluginLink(APICaller, Protocol):
    """A plugin's end."""

    async def serve(self, receiver: HookReceiver, *, task_status: TaskStatus[None]) -> None:
        """Take calls until ``aclose``; reports started once calls can arrive.

        Every call runs in a task that this one owns, cancelled where the host gives it up or is lost; but in a stop
        (asked for, or draining) hooks go on, since hosts close at once. Cancellation cancels all and closes the link.
        """
        ...

    def set_serving(self, serving: bool) -> None:
        """Tell whoever asks for our health; a new link does not serve yet."""
        ...

    async def wait_stop_asked(self) -> None:
        """Wait until the host asks us to stop."""
        ...

    async def drain(self, *, grace_s: float) -> int:
        """Hand new calls up as DRAINING and wait for the running ones.

        Cancellation leaves the link draining; calling again is allowed.

        Args:
            grace_s: Longest wait in seconds.

        Returns:
            Calls still running when the wait ended; 0 means a clean drain.
        """
        ...

    async def aclose(self) -> None:
        """Cut what still runs and end ``serve``; returns when nothing of the link is left. Safe to call twice."""
        ...


# -- the host's end -------------------------------------------------------------------------------------------


class APIReceiver(Protocol):
    """What stands above a host's end and answers API calls; each comes in a task and scope of its own."""

    async def handle_api(self, method: str, request: Message, *, deadline: float | None) -> Message:
        """Answer one API call with its response message.

        Raises:
            CallFailure: There is no response; the link tells the caller its code, id and text.
        """
        ...


class HostLink(Protocol):
    """A host's end of the link to one plugin."""

    async def call_hook(self, name: str, request: Message, *, deadline: float | None = None) -> Message:
        """Call a hook and return its response message.

        Cancellation tells the plugin, whose handler is cancelled too.

        Raises:
            CallFailure: There is no response.
        """
        ...

    def open_http(self, head: RequestHead) -> AbstractAsyncContextManager[HTTPCall]:
        """Open one HTTP request to the plugin."""
        ...

    async def check_health(self, *, deadline: float | None = None) -> bool:
        """Ask whether the plugin serves.

        Raises:
            CallFailure: It did not answer.
        """
        ...

    async def ask_stop(self, *, deadline: float | None = None) -> None:
        """Ask the plugin to stop; returns once it has said yes.

        Raises:
            CallFailure: It did not answer.
        """
        ...

    async def aclose(self) -> None:
        """Close the link; calls still waiting end with CallFailure. Safe to call twice."""
        ...
