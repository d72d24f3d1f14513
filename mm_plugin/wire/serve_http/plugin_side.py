"""The plugin's side of one ServeHTTP call as two tables: the request comes in, the response goes out. Internal.

Job:    decide what each message means and which message may be sent; nothing else.
Layer:  wire (sans-IO).
Input:  messages, half-close and reset as they arrive; what our side wants to send.
Output: pieces of the request body; messages to send.
Errors: RemoteProtocolError when the host broke the order (the driver ends the call with INVALID_ARGUMENT),
        ResponseStateError when our side did, RequestBodyAbortedError for a body that is not whole.
See:    docs/explanation/serve-http.md
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum, unique
from typing import Final

from mm_plugin import limits
from mm_plugin.exceptions import RemoteProtocolError, RequestBodyAbortedError, ResponseStateError
from mm_plugin.wire.serve_http.chunking import cut
from mm_plugin.wire.serve_http.status import is_valid_status
from mm_plugin.wire.serve_http.values import RequestMessage, ResponseMessage

__all__ = ("REQUEST", "RESPONSE", "PluginSide", "RequestEvent", "RequestState", "ResponseEvent", "ResponseState")


@unique
class RequestState(Enum):
    """How far the request has come in; the values complete the sentence "the host sent … "."""

    AWAITING_INIT = "before the init"
    BODY = "within the body"
    COMPLETE = "after the end of the body"
    ABORTED = "after the body had broken off"
    UNWANTED = "after the response had ended"
    REFUSED = "after the call had been refused"


@unique
class RequestEvent(Enum):
    """What arrives; one message may be several of these, in this order."""

    INIT = "an init"
    CHUNK = "a body chunk"
    COMPLETE = "body_complete"
    HALF_CLOSE = "the end of the stream"
    RESET = "a reset"
    UNWANTED = "what nobody reads any more"  # our own side: the response is over


@unique
class ResponseState(Enum):
    """How far the response has gone out."""

    AWAITING_HEAD = "before the response has a head"
    HEAD_HELD = "while the head has not been sent"
    BODY = "within the response body"
    FINISHED = "after the response was finished"
    ABORTED = "after the response was aborted"


@unique
class ResponseEvent(Enum):
    """What our side wants to send."""

    HEAD = "a head"
    DATA = "body data"
    FLUSH = "a flush"
    FINISH = "the end"
    ABORT = "an abort"


_R, _RE = RequestState, RequestEvent

#: Where each event leads. What is missing was sent by a host that broke the protocol: REFUSED.
REQUEST: Final[dict[tuple[RequestState, RequestEvent], RequestState]] = {
    (_R.AWAITING_INIT, _RE.INIT): _R.BODY,
    (_R.AWAITING_INIT, _RE.RESET): _R.ABORTED,
    (_R.AWAITING_INIT, _RE.UNWANTED): _R.UNWANTED,
    (_R.BODY, _RE.CHUNK): _R.BODY,
    (_R.BODY, _RE.COMPLETE): _R.COMPLETE,
    (_R.BODY, _RE.HALF_CLOSE): _R.ABORTED,
    (_R.BODY, _RE.RESET): _R.ABORTED,
    (_R.BODY, _RE.UNWANTED): _R.UNWANTED,
    (_R.COMPLETE, _RE.HALF_CLOSE): _R.COMPLETE,
    (_R.COMPLETE, _RE.RESET): _R.COMPLETE,
    (_R.COMPLETE, _RE.UNWANTED): _R.COMPLETE,
    **{(_R.ABORTED, event): _R.ABORTED for event in _RE},
    **{(_R.UNWANTED, event): _R.UNWANTED for event in _RE},
    **{(_R.REFUSED, event): _R.REFUSED for event in _RE},
}

_S, _SE = ResponseState, ResponseEvent

#: Where each wish leads. What is missing is our own mistake: ResponseStateError, and the state stays.
RESPONSE: Final[dict[tuple[ResponseState, ResponseEvent], ResponseState]] = {
    (_S.AWAITING_HEAD, _SE.HEAD): _S.HEAD_HELD,
    (_S.AWAITING_HEAD, _SE.ABORT): _S.ABORTED,
    (_S.HEAD_HELD, _SE.DATA): _S.BODY,
    (_S.HEAD_HELD, _SE.FLUSH): _S.BODY,
    (_S.HEAD_HELD, _SE.FINISH): _S.FINISHED,
    (_S.HEAD_HELD, _SE.ABORT): _S.ABORTED,
    (_S.BODY, _SE.DATA): _S.BODY,
    (_S.BODY, _SE.FLUSH): _S.BODY,
    (_S.BODY, _SE.FINISH): _S.FINISHED,
    (_S.BODY, _SE.ABORT): _S.ABORTED,
    (_S.FINISHED, _SE.ABORT): _S.FINISHED,
    (_S.ABORTED, _SE.ABORT): _S.ABORTED,
}


class PluginSide:
    """One ServeHTTP call at the plugin.

    The two directions are independent but for two things: a reset ends both, and the end of the response makes the
    rest of the request unwanted (an early answer).
    """

    def __init__(self, *, chunk_octets: int = limits.http_chunk_octets) -> None:
        self._chunk_octets = chunk_octets
        self._status: int | None = None  # of a head that has not been sent yet
        self.request_state = RequestState.AWAITING_INIT
        self.response_state = ResponseState.AWAITING_HEAD

    # -- the request comes in ---------------------------------------------------------------------------------

    def receive(self, message: RequestMessage) -> bytes:
        """Take one message and return its piece of the body, which may be empty.

        Raises:
            RemoteProtocolError: The first message has no init, a later one has, or the body was complete already.
                Both directions are over.
        """
        if message.init:
            self._arrived(RequestEvent.INIT)
        if message.chunk or not (message.init or message.complete):
            self._arrived(RequestEvent.CHUNK)
        if message.complete:
            self._arrived(RequestEvent.COMPLETE)
        return message.chunk if self.request_state in (RequestState.BODY, RequestState.COMPLETE) else b""

    def receive_half_close(self) -> None:
        """Take the end of the request stream; without ``body_complete`` before it the body is aborted.

        Raises:
            RemoteProtocolError: There was no message at all. Both directions are over.
        """
        self._arrived(RequestEvent.HALF_CLOSE)

    def receive_reset(self) -> None:
        """Take the end of the whole call: the client went away or the connection was lost."""
        self._arrived(RequestEvent.RESET)
        self.response_state = RESPONSE[self.response_state, ResponseEvent.ABORT]

    def body_ended(self) -> bool:
        """Tell whether the whole request body has been received.

        Raises:
            RequestBodyAbortedError: It will never be whole.
        """
        match self.request_state:
            case RequestState.AWAITING_INIT | RequestState.BODY:
                return False
            case RequestState.COMPLETE:
                return True
            case RequestState.UNWANTED:
                raise RequestBodyAbortedError("the response has ended; the rest of the request body was given up")
            case _:  # aborted or refused
                raise RequestBodyAbortedError("the request body ended before it was complete")

    # -- the response goes out --------------------------------------------------------------------------------

    def respond(self, status: int) -> None:
        """Take the response's head; its message is the next one returned by another method.

        Raises:
            ResponseStateError: There has been a head, or the status is not within 100 to 999; nothing has changed.
        """
        if not is_valid_status(status):
            raise ResponseStateError(f"status {status}: a response needs one within 100 to 999")
        self._wanted(ResponseEvent.HEAD)
        self._status = status

    def write(self, data: bytes, *, flush: bool = False) -> Iterator[ResponseMessage]:
        """Give the messages that carry ``data``, in order; a flush rides with the last of them.

        The state changes now, the messages are made one by one: send them all, or abort.

        Raises:
            ResponseStateError: There is no head yet, or the response is over; nothing has changed.
        """
        if not data:
            return iter(self.flush() if flush else ())
        self._wanted(ResponseEvent.DATA)
        return self._body_messages(self._take_status(), data, flush)

    def flush(self) -> tuple[ResponseMessage]:
        """Give the message that asks for a flush alone.

        Raises:
            ResponseStateError: There is no head yet, or the response is over; nothing has changed.
        """
        self._wanted(ResponseEvent.FLUSH)
        return (ResponseMessage(self._take_status(), flush=True),)

    def finish(self) -> ResponseMessage:
        """Give the last message; the rest of the request is unwanted from here on.

        Raises:
            ResponseStateError: There is no head yet, or the response is over; nothing has changed.
        """
        self._wanted(ResponseEvent.FINISH)
        self._arrived(RequestEvent.UNWANTED)
        return ResponseMessage(self._take_status(), complete=True)

    def abort(self) -> bool:
        """End the response as broken; the rest of the request is unwanted from here on.

        Returns:
            Whether the driver has to end the call with an error; False where the response was over already.
        """
        was = self.response_state
        self._wanted(ResponseEvent.ABORT)
        self._arrived(RequestEvent.UNWANTED)
        return self.response_state is not was

    # -- the tables -------------------------------------------------------------------------------------------

    def _arrived(self, event: RequestEvent) -> None:
        state = REQUEST.get((self.request_state, event))
        if state is None:
            fault = f"HTTP call: the host sent {event.value} {self.request_state.value}"
            self.request_state = RequestState.REFUSED
            self.response_state = RESPONSE[self.response_state, ResponseEvent.ABORT]
            raise RemoteProtocolError(fault)
        self.request_state = state

    def _wanted(self, event: ResponseEvent) -> None:
        state = RESPONSE.get((self.response_state, event))
        if state is None:
            raise ResponseStateError(f"{event.value} cannot be sent {self.response_state.value}")
        self.response_state = state

    def _take_status(self) -> int | None:
        status, self._status = self._status, None
        return status

    def _body_messages(self, status: int | None, data: bytes, flush: bool) -> Iterator[ResponseMessage]:
        left = len(data)
        for chunk in cut(data, self._chunk_octets):
            left -= len(chunk)
            yield ResponseMessage(status, chunk, flush=flush and left == 0)
            status = None
