"""What a server can be given to run: handlers of unary and of streaming methods, and what they learn of a call.

Job:    the vocabulary between the gRPC server and whoever answers its calls.
Layer:  transport/grpc. Values and codecs only.
Input:  message classes (anything with ``FromString`` and ``SerializeToString``), or ``bytes`` for raw octets.
See:    server.py, which runs them; streams.py for ``ServerStream``.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeAlias, TypeVar, cast

from mm_plugin.wire.grpc import GZIP, decode_metadata, takes_gzip

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from mm_plugin.transport.grpc.streams import ServerStream
    from mm_plugin.transport.link import CallFault
    from mm_plugin.wire.grpc import Metadata
    from mm_plugin.wire.http2 import Head

__all__ = ("CallInfo", "Handler", "Streaming", "Unary", "decoder_of", "encoder_of")

RequestT = TypeVar("RequestT")
ResponseT = TypeVar("ResponseT")
T = TypeVar("T")


class CallInfo:
    """What is known of a call besides its messages.

    Attributes:
        path: ``/package.Service/Method``.
        deadline: When the caller stops waiting, on the clock of ``anyio.current_time()``; None where it said nothing.
        peer: The caller's address, for logs.
        octets: The request as received, for unary methods; else empty, as it is after a failure.
        compress: A handler sets it to have its responses compressed, where the caller takes that; on a stream before
            the head is sent, and again between messages as it likes.
    """

    __slots__ = ("_head", "_metadata", "compress", "deadline", "octets", "path", "peer")

    def __init__(self, path: str, head: Head, deadline: float | None, peer: str) -> None:
        self.path = path
        self.deadline = deadline
        self.peer = peer
        self.octets = b""
        self.compress = False
        self._head = head
        self._metadata: Metadata | None = None

    @property
    def metadata(self) -> Metadata:
        """The caller's metadata.

        Raises:
            RemoteProtocolError: It cannot be decoded.
        """
        if self._metadata is None:
            self._metadata = decode_metadata(self._head.fields)
        return self._metadata

    @property
    def takes_gzip(self) -> bool:
        """Whether the caller takes compressed responses."""
        return takes_gzip(self._head.get(b"grpc-accept-encoding"))

    @property
    def sends_gzip(self) -> bool:
        """Whether the caller has announced that its requests may be compressed."""
        return self._head.get(b"grpc-encoding") == GZIP

    @property
    def user_agent(self) -> str:
        """What the caller calls itself; "" where it does not say."""
        return (self._head.get(b"user-agent") or b"").decode("latin-1")


@dataclass(frozen=True, slots=True)
class Unary(Generic[RequestT, ResponseT]):
    """A method with one request and one response.

    Attributes:
        func: Answers a call; runs in a task and scope of its own, cancelled when nobody waits any more.
        request_type: Class of the request, or bytes.
        response_type: Class of the response, or bytes.
        on_fault: Answers a call whose request could not be taken, with status OK; without it such a call fails.
            Gets the fault, a text for the log, and the call; runs like ``func``.
        background: A drain neither refuses such calls nor waits for them.
    """

    func: Callable[[RequestT, CallInfo], Awaitable[ResponseT]]
    request_type: type[RequestT]
    response_type: type[ResponseT]
    on_fault: Callable[[CallFault, str, CallInfo], Awaitable[ResponseT]] | None = None
    background: bool = False


@dataclass(frozen=True, slots=True)
class Streaming(Generic[RequestT, ResponseT]):
    """A method with a stream of requests, of responses, or of both.

    Attributes:
        func: Serves a call; its return ends the call with status OK.
        request_type: Class of the requests, or bytes.
        response_type: Class of the responses, or bytes.
        background: A drain neither refuses such calls nor waits for them.
    """

    func: Callable[[ServerStream[RequestT, ResponseT]], Awaitable[None]]
    request_type: type[RequestT]
    response_type: type[ResponseT]
    background: bool = False


#: Whatever can answer a method. A server holds methods of all message classes, so the parameters stay open here.
Handler: TypeAlias = "Unary[Any, Any] | Streaming[Any, Any]"


def decoder_of(kind: type[T]) -> Callable[[bytes], T]:
    """Return what turns octets into a message of ``kind``; it raises whatever the message class raises."""
    if kind is bytes:
        return cast("Callable[[bytes], T]", bytes)
    return cast("type[Message]", kind).FromString  # type: ignore[return-value]


def encoder_of(kind: type[T]) -> Callable[[T], bytes]:
    """Return what turns a message of ``kind`` into octets; TypeError for any other object."""
    if kind is bytes:
        serialize = cast("Callable[[T], bytes]", bytes)
    else:
        serialize = cast("Callable[[T], bytes]", cast("type[Message]", kind).SerializeToString)

    def encode(message: T) -> bytes:
        if not isinstance(message, kind):
            raise TypeError(f"the message is a {type(message).__name__}, the method has {kind.__name__}")
        return serialize(message)

    return encode
