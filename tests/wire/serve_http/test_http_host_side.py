"""The host's side of a ServeHTTP call: what it sends, what it takes, what it ignores and refuses."""

from contextlib import nullcontext

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from mm_plugin.exceptions import LocalProtocolError, RemoteProtocolError
from mm_plugin.wire.serve_http.host_side import (
    REQUEST,
    RESPONSE,
    HostSide,
    RequestEvent,
    RequestState,
    ResponseEvent,
    ResponseState,
)
from mm_plugin.wire.serve_http.status import InvalidStatusError
from mm_plugin.wire.serve_http.values import RequestMessage, ResponseMessage


def test_a_request_without_body_is_one_message() -> None:
    """Init and body_complete ride together."""
    assert HostSide().finish() == (RequestMessage(init=True, complete=True),)


def test_the_init_rides_with_the_first_chunk() -> None:
    """Init is sent exactly once, with the first thing that is sent."""
    side = HostSide(chunk_octets=4)
    assert list(side.send(b"")) == []
    assert list(side.send(b"abcdef")) == [RequestMessage(True, b"abcd"), RequestMessage(False, b"ef")]
    assert side.finish() == (RequestMessage(complete=True),)


def test_the_init_can_go_alone() -> None:
    """A slow upload does not keep the plugin from seeing the request."""
    side = HostSide()
    assert side.open() == (RequestMessage(init=True),)
    assert side.open() == ()
    assert list(side.send(b"x")) == [RequestMessage(chunk=b"x")]


def test_a_broken_upload_never_looks_complete() -> None:
    """An abort gives the init where it is missing, and never body_complete."""
    side = HostSide()
    assert side.abort() == (RequestMessage(init=True),)
    assert side.abort() == ()
    with pytest.raises(LocalProtocolError, match="after the request body was aborted"):
        side.finish()


def test_nothing_is_sent_after_the_end() -> None:
    """Body data and a second end after the end are our own mistakes."""
    side = HostSide()
    side.finish()
    with pytest.raises(LocalProtocolError, match="after the request body was finished"):
        side.send(b"x")
    with pytest.raises(LocalProtocolError):
        side.finish()
    assert side.open() == side.abort() == ()


@pytest.mark.parametrize("first", [ResponseMessage(chunk=b"x"), ResponseMessage(complete=True), ResponseMessage()])
def test_a_first_message_without_init_is_refused(first: ResponseMessage) -> None:
    """There is no response without a head."""
    side = HostSide()
    with pytest.raises(RemoteProtocolError, match="before the init"):
        side.receive(first)
    assert list(side.send(b"x")) == []


def test_a_second_init_is_ignored() -> None:
    """What rides with it still counts."""
    side = HostSide()
    side.receive(ResponseMessage(200))
    assert side.receive(ResponseMessage(500, b"x", flush=True)) == ResponseMessage(None, b"x", flush=True)


def test_status_zero_means_200() -> None:
    """Proto's default is a status nobody set."""
    message = ResponseMessage(0, b"x", flush=True, complete=True)
    assert HostSide().receive(message) == ResponseMessage(200, b"x", flush=True, complete=True)


@pytest.mark.parametrize("status", [-1, 42, 99, 1000, 1001, 65_535])
def test_an_impossible_status_is_refused(status: int) -> None:
    """The gateway shows its own page instead; the response is over."""
    side = HostSide()
    with pytest.raises(InvalidStatusError) as caught:
        side.receive(ResponseMessage(status, complete=True))
    assert caught.value.status == status
    assert side.response_state is ResponseState.BROKEN


@pytest.mark.parametrize("status", [100, 200, 999])
def test_every_possible_status_passes(status: int) -> None:
    """The bounds belong to the range."""
    assert HostSide().receive(ResponseMessage(status)).status == status


def test_an_end_with_status_ok_completes_the_response() -> None:
    """body_complete may be missing where the call ends well."""
    side = HostSide()
    side.receive(ResponseMessage(200, b"x"))
    assert side.receive_end(ok=True)


def test_any_other_end_is_a_visible_abort() -> None:
    """A response that broke off is never taken for a whole one."""
    side = HostSide()
    side.receive(ResponseMessage(200, b"x"))
    assert not side.receive_end(ok=False)
    assert side.receive(ResponseMessage(chunk=b"late", complete=True)) == ResponseMessage()
    assert not side.receive_end(ok=True)


def test_an_end_without_a_head_is_refused() -> None:
    """Status OK alone is no response; a failure is just a failure."""
    with pytest.raises(RemoteProtocolError, match="the end of the call before the init"):
        HostSide().receive_end(ok=True)
    assert not HostSide().receive_end(ok=False)


def test_after_the_end_the_upload_is_unwanted() -> None:
    """An early answer makes what is left of the request silent, not wrong."""
    side = HostSide()
    side.receive(ResponseMessage(200, complete=True))
    assert side.open() == ()
    assert list(side.send(b"x")) == []
    assert side.finish() == side.finish() == ()
    assert side.receive(ResponseMessage(500, b"late")) == ResponseMessage()
    assert side.receive_end(ok=False)


def test_every_end_state_stays() -> None:
    """No transition leads out of a state in which a direction is over."""
    for (state, event), after in REQUEST.items():
        if state in (RequestState.COMPLETE, RequestState.ABORTED, RequestState.UNWANTED):
            assert after is state, (state, event)
    for (state_in, event_in), after_in in RESPONSE.items():
        if state_in in (ResponseState.COMPLETE, ResponseState.BROKEN):
            assert after_in is state_in, (state_in, event_in)
    assert {state for state, _ in REQUEST} == set(RequestState)
    assert {event for _, event in REQUEST} == set(RequestEvent)
    assert {state for state, _ in RESPONSE} == set(ResponseState)
    assert {event for _, event in RESPONSE} == set(ResponseEvent)


class HostSideMachine(RuleBasedStateMachine):
    """Anything may be wanted and anything may arrive; the model remembers by itself what may follow."""

    @initialize(limit=st.integers(1, 8))
    def start(self, limit: int) -> None:
        self.limit = limit
        self.side = HostSide(chunk_octets=limit)
        self.upload = "open"  # open, ended, unwanted
        self.answer = "none"  # none, body, whole, broken
        self.wanted = b""
        self.finished = False
        self.out: list[RequestMessage] = []
        self.sent_body = self.got_body = b""
        self.statuses: list[int] = []
        self.headed = False

    def over(self, answer: str) -> None:
        self.answer = answer
        self.upload = "unwanted" if self.upload == "open" else self.upload

    @rule()
    def open(self) -> None:
        first = not self.out and self.upload == "open"
        messages = self.side.open()
        assert len(messages) == first
        self.out += messages

    @rule(data=st.binary(max_size=30))
    def send(self, data: bytes) -> None:
        with pytest.raises(LocalProtocolError) if data and self.upload == "ended" else nullcontext():
            self.out += self.side.send(data)
            self.wanted += data if self.upload == "open" else b""

    @rule()
    def finish(self) -> None:
        with pytest.raises(LocalProtocolError) if self.upload == "ended" else nullcontext():
            self.out += self.side.finish()
            if self.upload == "open":
                self.upload, self.finished = "ended", True

    @rule()
    def abort(self) -> None:
        self.out += self.side.abort()
        self.upload = "ended" if self.upload == "open" else self.upload

    @rule(
        status=st.none() | st.integers(-1, 1001),
        chunk=st.binary(max_size=20),
        flush=st.booleans(),
        complete=st.booleans(),
    )
    def message(self, status: int | None, chunk: bytes, flush: bool, complete: bool) -> None:
        good = self.answer != "none" or (status is not None and (status == 0 or 100 <= status <= 999))
        with nullcontext() if good else pytest.raises(RemoteProtocolError):
            got = self.side.receive(ResponseMessage(status, chunk, flush, complete))
            self.got_body += got.chunk
            self.statuses += [] if got.status is None else [got.status]
            if self.answer in ("none", "body"):
                assert (got.flush, got.complete) == (flush, complete)
        if not good:
            self.over("broken")
        elif self.answer in ("none", "body"):
            self.sent_body += chunk
            self.answer, self.headed = "body", True
            if complete:
                self.over("whole")

    @rule(ok=st.booleans())
    def end(self, ok: bool) -> None:
        with pytest.raises(RemoteProtocolError) if self.answer == "none" and ok else nullcontext():
            whole = self.side.receive_end(ok=ok)
            assert whole is (self.answer == "whole" or (self.answer == "body" and ok))
        if self.answer in ("none", "body"):
            self.over("whole" if self.answer == "body" and ok else "broken")

    @invariant()
    def holds(self) -> None:
        assert self.got_body == self.sent_body
        assert b"".join(message.chunk for message in self.out) == self.wanted
        assert all(len(message.chunk) <= self.limit for message in self.out)
        assert [message.init for message in self.out] == [True, *[False] * len(self.out)][: len(self.out)]
        assert [message.complete for message in self.out].count(True) == self.finished
        assert all(not message.complete for message in self.out[:-1])
        assert len(self.statuses) == self.headed
        assert all(100 <= status <= 999 for status in self.statuses)


TestHostSideMachine = HostSideMachine.TestCase
