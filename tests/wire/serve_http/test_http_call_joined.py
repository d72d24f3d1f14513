"""Both sides of a ServeHTTP call joined by two queues that lose and reorder nothing."""

from collections import deque

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from mm_plugin.exceptions import RequestBodyAbortedError
from mm_plugin.wire.serve_http.host_side import HostSide
from mm_plugin.wire.serve_http.plugin_side import PluginSide
from mm_plugin.wire.serve_http.values import RequestMessage, ResponseMessage

HALF_CLOSE = "half-close"
RESET = "reset"
END_OK = "end with status OK"
END_ERROR = "end with an error"


class JoinedMachine(RuleBasedStateMachine):
    """Each rule is one step of a side or of the network; every order that the rules allow must hold together.

    Neither side may ever refuse what the other sent, whole bodies arrive whole, and broken ones are seen as broken.
    """

    @initialize(up=st.integers(1, 8), down=st.integers(1, 8))
    def start(self, up: int, down: int) -> None:
        self.host, self.plugin = HostSide(chunk_octets=up), PluginSide(chunk_octets=down)
        self.up: deque[RequestMessage | str] = deque()
        self.down: deque[ResponseMessage | str] = deque()
        # What each side did, as the model remembers it.
        self.upload = "open"  # open, whole, broken
        self.answer = "none"  # none, open, whole, broken
        self.sent_up = self.got_up = b""
        self.sent_down = self.got_down = b""
        self.seen_init = self.plugin_reset = False
        self.host_knows_end = ""  # whole, broken
        self.got_status: int | None = None
        self.status = 0

    # -- the host's wishes

    @precondition(lambda self: self.upload == "open")
    @rule(data=st.binary(max_size=20), alone=st.booleans())
    def host_sends(self, data: bytes, alone: bool) -> None:
        if alone:
            self.up += self.host.open()
        self.up += self.host.send(data)
        self.sent_up += data

    @precondition(lambda self: self.upload == "open")
    @rule(whole=st.booleans())
    def host_ends(self, whole: bool) -> None:
        self.up += self.host.finish() if whole else self.host.abort()
        self.up.append(HALF_CLOSE)
        self.upload = "whole" if whole else "broken"

    @precondition(lambda self: not self.host_knows_end)
    @rule()
    def client_goes(self) -> None:
        self.host.receive_end(ok=False)
        self.up.append(RESET)
        self.upload = "broken" if self.upload == "open" else self.upload
        self.host_knows_end = "broken"

    # -- the plugin's wishes

    @precondition(lambda self: self.seen_init and self.answer == "none")
    @rule(status=st.integers(100, 999))
    def plugin_responds(self, status: int) -> None:
        self.plugin.respond(status)
        self.status, self.answer = status, "open"

    @precondition(lambda self: self.answer == "open")
    @rule(data=st.binary(max_size=20), flush=st.booleans())
    def plugin_writes(self, data: bytes, flush: bool) -> None:
        self.down += self.plugin.write(data, flush=flush)
        self.sent_down += data

    @precondition(lambda self: self.answer == "open")
    @rule(say_complete=st.booleans())
    def plugin_finishes(self, say_complete: bool) -> None:
        message = self.plugin.finish()
        if say_complete or message.status is not None:
            self.down.append(message)
        self.down.append(END_OK)
        self.answer = "whole"

    @precondition(lambda self: self.seen_init and self.answer in ("none", "open"))
    @rule()
    def plugin_aborts(self) -> None:
        assert self.plugin.abort()
        self.down.append(END_ERROR)
        self.answer = "broken"

    # -- the network

    @precondition(lambda self: self.up)
    @rule()
    def reaches_plugin(self) -> None:
        arrived = self.up.popleft()
        if arrived == RESET:
            self.plugin.receive_reset()
            self.plugin_reset = True
            self.answer = "broken" if self.answer in ("none", "open") else self.answer
        elif arrived == HALF_CLOSE:
            self.plugin.receive_half_close()
        else:
            assert isinstance(arrived, RequestMessage)
            self.seen_init = self.seen_init or arrived.init
            self.got_up += self.plugin.receive(arrived)

    @precondition(lambda self: self.down)
    @rule()
    def reaches_host(self) -> None:
        arrived = self.down.popleft()
        if isinstance(arrived, str):
            whole = self.host.receive_end(ok=arrived == END_OK)
            self.host_knows_end = self.host_knows_end or ("whole" if whole else "broken")
            return
        got = self.host.receive(arrived)
        if not self.host_knows_end:
            self.got_down += got.chunk
            self.got_status = self.got_status or got.status
            self.host_knows_end = "whole" if got.complete else ""

    @precondition(lambda self: self.host_knows_end and not (self.up or self.down))
    @rule()
    def connection_goes_late(self) -> None:
        """After everything has been said, losing the connection changes only what was still open."""
        self.plugin.receive_reset()
        self.plugin_reset = True
        self.answer = "broken" if self.answer in ("none", "open") else self.answer
        assert self.host.receive_end(ok=False) is (self.host_knows_end == "whole")

    # -- what always holds

    @invariant()
    def bodies_are_prefixes_in_order(self) -> None:
        assert self.sent_up.startswith(self.got_up)
        assert self.sent_down.startswith(self.got_down)
        assert self.got_status in (None, self.status)

    @invariant()
    def whole_means_whole(self) -> None:
        try:
            ended = self.plugin.body_ended()
        except RequestBodyAbortedError:
            assert self.upload == "broken" or self.answer in ("whole", "broken") or self.plugin_reset
        else:
            assert not ended or (self.upload == "whole" and self.got_up == self.sent_up)
        if self.host_knows_end == "whole":
            assert self.answer == "whole"
            assert self.got_down == self.sent_down
            assert self.got_status == self.status

    def teardown(self) -> None:
        """Once nothing more is wanted, delivering what is under way ends both sides."""
        if not hasattr(self, "host"):
            return
        if self.upload == "open":
            self.host_ends(whole=True)
        while self.up:
            self.reaches_plugin()
        if self.answer == "none" and self.seen_init:
            self.plugin_responds(200)
        if self.answer == "open":
            self.plugin_finishes(say_complete=True)
        while self.down:
            self.reaches_host()
        self.whole_means_whole()
        assert self.host_knows_end
        assert self.answer in ("whole", "broken")


TestJoinedMachine = JoinedMachine.TestCase


def test_an_early_answer_meets_a_body_under_way() -> None:
    """The plugin has finished while chunks are still travelling: neither side calls that an error."""
    host, plugin = HostSide(), PluginSide()
    (opening,) = host.open()
    plugin.receive(opening)
    under_way = list(host.send(b"upload"))
    plugin.respond(413)
    last = plugin.finish()
    assert plugin.receive(under_way[0]) == b""
    assert host.receive(last) == ResponseMessage(413, complete=True)
    assert list(host.send(b"more")) == []
    assert host.finish() == ()
    with pytest.raises(RequestBodyAbortedError):
        plugin.body_ended()
