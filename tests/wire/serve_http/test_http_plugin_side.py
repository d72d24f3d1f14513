"""The plugin's side of a ServeHTTP call: what it takes, what it sends, what it refuses."""

from contextlib import nullcontext

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from mm_plugin.exceptions import RemoteProtocolError, RequestBodyAbortedError, ResponseStateError
from mm_plugin.wire.serve_http.plugin_side import (
    REQUEST,
    RESPONSE,
    PluginSide,
    RequestEvent,
    RequestState,
    ResponseEvent,
    ResponseState,
)
from mm_plugin.wire.serve_http.values import RequestMessage, ResponseMessage

INIT = RequestMessage(init=True)


def _opened() -> PluginSide:
    side = PluginSide()
    side.receive(INIT)
    return side


def test_a_request_in_one_message_is_whole() -> None:
    """A GET arrives as init and body_complete together."""
    side = PluginSide()
    assert side.receive(RequestMessage(init=True, chunk=b"all", complete=True)) == b"all"
    assert side.body_ended()


def test_the_end_may_come_alone() -> None:
    """The Go host sends an empty chunk with body_complete after the last octets."""
    side = _opened()
    assert side.receive(RequestMessage(chunk=b"all")) == b"all"
    assert not side.body_ended()
    assert side.receive(RequestMessage(complete=True)) == b""
    side.receive_half_close()
    assert side.body_ended()


def test_large_and_empty_chunks_are_taken() -> None:
    """Only what we send is bounded; a peer may send empty chunks and larger ones."""
    side = PluginSide(chunk_octets=4)
    side.receive(INIT)
    assert side.receive(RequestMessage()) == b""
    assert side.receive(RequestMessage(chunk=bytes(100))) == bytes(100)


@pytest.mark.parametrize("first", [RequestMessage(chunk=b"x"), RequestMessage(complete=True), RequestMessage()])
def test_a_first_message_without_init_is_refused(first: RequestMessage) -> None:
    """Whatever the first message carries, without init the call is over in both directions."""
    side = PluginSide()
    with pytest.raises(RemoteProtocolError, match="before the init"):
        side.receive(first)
    assert side.response_state is ResponseState.ABORTED
    with pytest.raises(RequestBodyAbortedError):
        side.body_ended()


def test_a_second_init_is_refused() -> None:
    """Init comes exactly once."""
    side = _opened()
    with pytest.raises(RemoteProtocolError, match="an init within the body"):
        side.receive(RequestMessage(init=True, chunk=b"x"))
    assert side.receive(RequestMessage(chunk=b"late")) == b""


@pytest.mark.parametrize("late", [INIT, RequestMessage(chunk=b"x"), RequestMessage(complete=True), RequestMessage()])
def test_nothing_follows_the_end(late: RequestMessage) -> None:
    """A message after body_complete breaks the protocol."""
    side = PluginSide()
    side.receive(RequestMessage(init=True, complete=True))
    with pytest.raises(RemoteProtocolError, match="after the end of the body"):
        side.receive(late)


def test_a_half_close_without_the_end_aborts_the_body_but_not_the_response() -> None:
    """A truncated upload is never taken for a whole one; the handler may still answer."""
    side = _opened()
    side.receive_half_close()
    with pytest.raises(RequestBodyAbortedError, match="before it was complete"):
        side.body_ended()
    side.respond(400)
    assert side.finish() == ResponseMessage(400, complete=True)


def test_a_stream_without_messages_is_refused() -> None:
    """A call that ends before its init is no request."""
    with pytest.raises(RemoteProtocolError, match="the end of the stream before the init"):
        PluginSide().receive_half_close()


def test_a_reset_ends_both_directions() -> None:
    """When the client has gone nothing can be read or sent."""
    side = _opened()
    side.respond(200)
    side.receive_reset()
    with pytest.raises(RequestBodyAbortedError):
        side.body_ended()
    with pytest.raises(ResponseStateError, match="after the response was aborted"):
        side.write(b"x")
    assert not side.abort()


def test_a_reset_leaves_a_whole_body_whole() -> None:
    """What had been received completely stays complete."""
    side = PluginSide()
    side.receive(RequestMessage(init=True, complete=True))
    side.receive_reset()
    assert side.body_ended()


def test_the_head_rides_with_the_first_chunk_and_the_flush_with_the_last() -> None:
    """One write is as few messages as its length allows."""
    side = PluginSide(chunk_octets=4)
    side.receive(INIT)
    side.respond(201)
    assert list(side.write(b"abcdefghij", flush=True)) == [
        ResponseMessage(201, b"abcd"),
        ResponseMessage(None, b"efgh"),
        ResponseMessage(None, b"ij", flush=True),
    ]
    assert list(side.write(b"")) == []
    assert list(side.write(b"", flush=True)) == [ResponseMessage(flush=True)]
    assert side.finish() == ResponseMessage(complete=True)


def test_a_flush_alone_sends_the_head() -> None:
    """An event stream can show its head before its first event."""
    side = _opened()
    side.respond(200)
    assert side.flush() == (ResponseMessage(200, flush=True),)


@pytest.mark.parametrize("status", [-1, 0, 42, 99, 1000, 65_535])
def test_a_status_the_host_would_refuse_is_refused_here(status: int) -> None:
    """The author hears of a wrong status at once, and can still send a right one."""
    side = _opened()
    with pytest.raises(ResponseStateError, match=str(status)):
        side.respond(status)
    side.respond(999)


def test_the_response_has_one_head_and_one_end() -> None:
    """Heads, data and ends out of order are our own mistakes and change nothing."""
    side = _opened()
    for wish in (lambda: side.write(b"x"), side.flush, side.finish):
        with pytest.raises(ResponseStateError, match="before the response has a head"):
            wish()
    side.respond(200)
    with pytest.raises(ResponseStateError, match="a head cannot be sent"):
        side.respond(200)
    assert side.finish() == ResponseMessage(200, complete=True)
    for wish in (lambda: side.write(b"x"), side.flush, side.finish):
        with pytest.raises(ResponseStateError, match="after the response was finished"):
            wish()
    assert not side.abort()


def test_an_early_end_makes_the_rest_of_the_request_unwanted() -> None:
    """After an early answer the host may still send; it is ignored, not refused."""
    side = _opened()
    side.respond(200)
    side.finish()
    assert side.receive(RequestMessage(chunk=b"late")) == b""
    assert side.receive(INIT) == b""
    side.receive_half_close()
    with pytest.raises(RequestBodyAbortedError, match="given up"):
        side.body_ended()


def test_an_abort_has_to_be_told_once() -> None:
    """The driver ends the call with an error the first time only."""
    side = _opened()
    assert side.abort()
    assert not side.abort()


def test_every_end_state_stays() -> None:
    """No transition leads out of a state in which a direction is over."""
    for (state, event), after in REQUEST.items():
        if state in (RequestState.COMPLETE, RequestState.ABORTED, RequestState.UNWANTED, RequestState.REFUSED):
            assert after is state, (state, event)
    for (state_out, event_out), after_out in RESPONSE.items():
        if state_out in (ResponseState.FINISHED, ResponseState.ABORTED):
            assert after_out is state_out, (state_out, event_out)
    assert {state for state, _ in REQUEST} == set(RequestState)
    assert {event for _, event in REQUEST} == set(RequestEvent)
    assert {state for state, _ in RESPONSE} == set(ResponseState)
    assert {event for _, event in RESPONSE} == set(ResponseEvent)


class PluginSideMachine(RuleBasedStateMachine):
    """Anything may arrive and anything may be wanted; the model remembers by itself what may follow."""

    @initialize(limit=st.integers(1, 8))
    def open(self, limit: int) -> None:
        self.limit = limit
        self.side = PluginSide(chunk_octets=limit)
        self.phase = "new"  # of the request: new, body, whole, broken, ignored
        self.sent_body = self.got_body = b""
        self.head: int | None = None
        self.answer = "open"  # of the response: open, over
        self.wanted = b""
        self.out: list[ResponseMessage] = []
        self.flushes = 0

    @rule(init=st.booleans(), chunk=st.binary(max_size=20), complete=st.booleans())
    def message(self, init: bool, chunk: bytes, complete: bool) -> None:
        good = {"new": init, "body": not init, "whole": False}.get(self.phase, True)
        with nullcontext() if good else pytest.raises(RemoteProtocolError):
            self.got_body += self.side.receive(RequestMessage(init, chunk, complete))
        if not good:
            self.phase, self.answer = "ignored", "over"
        elif self.phase in ("new", "body"):
            self.sent_body += chunk
            self.phase = "whole" if complete else "body"

    @rule()
    def half_close(self) -> None:
        with pytest.raises(RemoteProtocolError) if self.phase == "new" else nullcontext():
            self.side.receive_half_close()
        if self.phase == "new":
            self.phase, self.answer = "ignored", "over"
        elif self.phase == "body":
            self.phase = "broken"

    @precondition(lambda self: self.phase == "broken")
    @rule()
    def after_half_close(self) -> None:
        with pytest.raises(RequestBodyAbortedError):
            self.side.body_ended()

    @rule()
    def reset(self) -> None:
        self.side.receive_reset()
        self.answer = "over"
        self.phase = self.phase if self.phase in ("whole", "ignored") else "broken"

    @rule(status=st.integers(-1, 1001))
    def respond(self, status: int) -> None:
        good = self.answer == "open" and self.head is None and 100 <= status <= 999
        with nullcontext() if good else pytest.raises(ResponseStateError):
            self.side.respond(status)
            self.head = status

    @rule(data=st.binary(max_size=30), flush=st.booleans())
    def write(self, data: bytes, flush: bool) -> None:
        good = (self.answer == "open" and self.head is not None) or not (data or flush)
        with nullcontext() if good else pytest.raises(ResponseStateError):
            messages = list(self.side.write(data, flush=flush))
            self.wanted += data
            self.flushes += flush
            assert [message.flush for message in messages] == [False] * (len(messages) - 1) + [flush] * bool(messages)
            self.out += messages

    @rule()
    def flush(self) -> None:
        good = self.answer == "open" and self.head is not None
        with nullcontext() if good else pytest.raises(ResponseStateError):
            self.out += self.side.flush()
            self.flushes += 1

    @rule(abort=st.booleans())
    def end(self, abort: bool) -> None:
        if abort:
            assert self.side.abort() is (self.answer == "open")
        else:
            good = self.answer == "open" and self.head is not None
            with nullcontext() if good else pytest.raises(ResponseStateError):
                self.out.append(self.side.finish())
            if not good:
                return
        self.answer = "over"
        self.phase = "ignored" if self.phase in ("new", "body") else self.phase

    @invariant()
    def holds(self) -> None:
        assert self.got_body == self.sent_body
        assert b"".join(message.chunk for message in self.out) == self.wanted
        assert all(len(message.chunk) <= self.limit for message in self.out)
        assert [message.status for message in self.out[:1]] == [self.head][: len(self.out)]
        assert all(message.status is None for message in self.out[1:])
        assert all(not message.complete for message in self.out[:-1])
        assert sum(message.flush for message in self.out) == self.flushes
        if self.phase in ("new", "body"):
            assert not self.side.body_ended()
        elif self.phase == "whole":
            assert self.side.body_ended()


TestPluginSideMachine = PluginSideMachine.TestCase
