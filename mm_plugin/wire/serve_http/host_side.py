"""The host's side of one ServeHTTP call as two tables: the request goes out, the response comes in. Internal.

Job:    decide which message may be sent and what each message means; nothing else.
Layer:  wire (sans-IO).
Input:  what our side wants to send; messages and the end of the call as they arrive.
Output: messages to send; the response's status and pieces.
Errors: RemoteProtocolError when the plugin broke the order (InvalidStatusError: the status, which the gateway answers
        with its page 500), LocalProtocolError when our side did.
See:    docs/explanation/serve-http.md
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum, unique
from typing import Final

from mm_plugin import limits
from mm_plugin.exceptions import LocalProtocolError, RemoteProtocolError
from mm_plugin.wire.serve_http.chunking import cut
from mm_plugin.wire.serve_http.status import InvalidStatusError, is_valid_status
from mm_plugin.wire.serve_http.values import RequestMessage, ResponseMessage

__all__ = ("REQUEST", "RESPONSE", "HostSide", "RequestEvent", "RequestState", "ResponseEvent", "ResponseState")


@unique
class RequestState(Enum):
    """How far the request has gone out."""

    INIT_HELD = "while the init has not been sent"
    BODY = "within the request body"
    COMPLETE = "after the request body was finished"
    ABORTED = "after the request body was aborted"
    UNWANTED = "after the response had ended"


@unique
class RequestEvent(Enum):
    """What our side wants to send."""

    INIT = "the init alone"
    DATA = "body data"
    FINISH = "the end of the body"
    ABORT = "an abort of the body"
    UNWANTED = "what the plugin does not read any more"  # the response is over


@unique
class ResponseState(Enum):
    """How far the response has come in; the values complete the sentence "the plugin sent … "."""

    AWAITING_INIT = "before the init"
    BODY = "within the body"
    COMPLETE = "after the end of the body"
    BROKEN = "after the response had broken off"


@unique
class ResponseEvent(Enum):
    """What arrives; one message may be several of these, in this order."""

    INIT = "an init"
    CHUNK = "a body chunk or flush"
    COMPLETE = "body_complete"
    END_OK = "the end of the call"
    END_ERROR = "a failure"


_R, _RE = RequestState, RequestEvent

#: Where each wish leads. What is missing is our own mistake: LocalProtocolError, and the state stays.
REQUEST: Final[dict[tuple[RequestState, RequestEvent], RequestState]] = {
    (_R.INIT_HELD, _RE.INIT): _R.BODY,
    (_R.INIT_HELD, _RE.DATA): _R.BODY,
    (_R.INIT_HELD, _RE.FINISH): _R.COMPLETE,
    (_R.INIT_HELD, _RE.ABORT): _R.ABORTED,
    (_R.INIT_HELD, _RE.UNWANTED): _R.UNWANTED,
    (_R.BODY, _RE.INIT): _R.BODY,
    (_R.BODY, _RE.DATA): _R.BODY,
    (_R.BODY, _RE.FINISH): _R.COMPLETE,
    (_R.BODY, _RE.ABORT): _R.ABORTED,
    (_R.BODY, _RE.UNWANTED): _R.UNWANTED,
    (_R.COMPLETE, _RE.INIT): _R.COMPLETE,
    (_R.COMPLETE, _RE.ABORT): _R.COMPLETE,
    (_R.COMPLETE, _RE.UNWANTED): _R.COMPLETE,
    (_R.ABORTED, _RE.INIT): _R.ABORTED,
    (_R.ABORTED, _RE.ABORT): _R.ABORTED,
    (_R.ABORTED, _RE.UNWANTED): _R.ABORTED,
    **{(_R.UNWANTED, event): _R.UNWANTED for event in _RE},
}

_S, _SE = ResponseState, ResponseEvent

#: Where each event leads. What is missing was sent by a plugin that broke the protocol: BROKEN.
#: A second init is ignored, and so is everything after the end, as the Go host does.
RESPONSE: Final[dict[tuple[ResponseState, ResponseEvent], ResponseState]] = {
    (_S.AWAITING_INIT, _SE.INIT): _S.BODY,
    (_S.AWAITING_INIT, _SE.END_ERROR): _S.BROKEN,
    (_S.BODY, _SE.INIT): _S.BODY,
    (_S.BODY, _SE.CHUNK): _S.BODY,
    (_S.BODY, _SE.COMPLETE): _S.COMPLETE,
    (_S.BODY, _SE.END_OK): _S.COMPLETE,
    (_S.BODY, _SE.END_ERROR): _S.BROKEN,
    **{(_S.COMPLETE, event): _S.COMPLETE for event in _SE},
    **{(_S.BROKEN, event): _S.BROKEN for event in _SE},
}


class HostSide:
    """One ServeHTTP call at the host.

    The two directions are independent but for one thing: the end of the response, whole or broken, makes the rest of
    the request unwanted; what our side still wants to send of it then gives no messages.
    """

    def __init__(self, *, chunk_octets: int = limits.http_chunk_octets) -> None:
        self._chunk_octets = chunk_octets
        self.request_state = RequestState.INIT_HELD
        self.response_state = ResponseState.AWAITING_INIT

    # -- the request goes out ---------------------------------------------------------------------------------

    def open(self) -> tuple[RequestMessage, ...]:
        """Give the init alone, for a request whose body keeps us waiting; nothing where it has been sent."""
        held = self._init_held()
        self._wanted(RequestEvent.INIT)
        return (RequestMessage(init=True),) if held else ()

    def send(self, data: bytes) -> Iterator[RequestMessage]:
        """Give the messages that carry ``data``, in order; the init rides with the first.

        The state changes now, the messages are made one by one: send them all, or reset the call.

        Raises:
            LocalProtocolError: The body has ended; nothing has changed.
        """
        if not data:
            return iter(())
        held = self._init_held()
        self._wanted(RequestEvent.DATA)
        return iter(()) if self.request_state is RequestState.UNWANTED else self._body_messages(held, data)

    def finish(self) -> tuple[RequestMessage, ...]:
        """Give the last message, after which the driver half-closes.

        Raises:
            LocalProtocolError: The body has ended; nothing has changed.
        """
        held = self._init_held()
        self._wanted(RequestEvent.FINISH)
        return () if self.request_state is RequestState.UNWANTED else (RequestMessage(held, complete=True),)

    def abort(self) -> tuple[RequestMessage, ...]:
        """Break the request body off: the driver half-closes after these messages, none of which is the end."""
        held = self._init_held()
        self._wanted(RequestEvent.ABORT)
        return (RequestMessage(init=True),) if held else ()

    # -- the response comes in --------------------------------------------------------------------------------

    def receive(self, message: ResponseMessage) -> ResponseMessage:
        """Take one message and return what of it counts.

        ``status`` is set in the first message only, and 0 has become 200.

        Raises:
            InvalidStatusError: The status is outside 100 to 999; the driver resets the call.
            RemoteProtocolError: The first message has no init; the driver resets the call.
        """
        was = self.response_state
        if message.status is not None:
            self._arrived(ResponseEvent.INIT)
        if message.chunk or message.flush or not (message.status is not None or message.complete):
            self._arrived(ResponseEvent.CHUNK)
        if message.complete:
            self._arrived(ResponseEvent.COMPLETE)
        if was in (ResponseState.COMPLETE, ResponseState.BROKEN):
            return ResponseMessage()
        if was is ResponseState.BODY:
            return message if message.status is None else _without_status(message)
        if message.status == 0:
            return ResponseMessage(200, message.chunk, message.flush, message.complete)
        assert message.status is not None, "the table lets no other message be the first"
        if not is_valid_status(message.status):
            self._ended(ResponseState.BROKEN)
            raise InvalidStatusError(message.status)
        return message

    def receive_end(self, *, ok: bool) -> bool:
        """Take the end of the call: its status, a reset, or our own giving up.

        Args:
            ok: Whether the call ended with status OK.

        Returns:
            Whether the response is whole; False is a visible abort.

        Raises:
            RemoteProtocolError: The call ended with status OK but without a head.
        """
        self._arrived(ResponseEvent.END_OK if ok else ResponseEvent.END_ERROR)
        return self.response_state is ResponseState.COMPLETE

    # -- the tables -------------------------------------------------------------------------------------------

    def _wanted(self, event: RequestEvent) -> None:
        state = REQUEST.get((self.request_state, event))
        if state is None:
            raise LocalProtocolError(f"{event.value} cannot be sent {self.request_state.value}")
        self.request_state = state

    def _arrived(self, event: ResponseEvent) -> None:
        state = RESPONSE.get((self.response_state, event))
        if state is None:
            fault = f"HTTP call: the plugin sent {event.value} {self.response_state.value}"
            self._ended(ResponseState.BROKEN)
            raise RemoteProtocolError(fault)
        if state in (ResponseState.COMPLETE, ResponseState.BROKEN):
            self._ended(state)
        self.response_state = state

    def _ended(self, state: ResponseState) -> None:
        self.response_state = state
        self._wanted(RequestEvent.UNWANTED)

    def _init_held(self) -> bool:
        return self.request_state is RequestState.INIT_HELD

    def _body_messages(self, init: bool, data: bytes) -> Iterator[RequestMessage]:
        for chunk in cut(data, self._chunk_octets):
            yield RequestMessage(init, chunk)
            init = False


def _without_status(message: ResponseMessage) -> ResponseMessage:
    return ResponseMessage(None, message.chunk, message.flush, message.complete)
