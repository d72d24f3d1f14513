"""Scripted calls over every link: whatever both sides do in whatever order, what arrives is what was sent, or broken.

The rule-based machines of ``tests/wire/serve_http`` break the tables in milliseconds; here the same wishes go through
pumps, tasks and sockets, with fewer examples.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import anyio
from hypothesis import HealthCheck, given, settings, strategies as st

from mm_plugin import limits
from mm_plugin.exceptions import RequestBodyAbortedError
from mm_plugin.serve_http import Request, Response, run_http
from mm_plugin.transport.link import CallFailure, HTTPCall, HTTPExchange, RequestHead
from tests.contract.conftest import OpenPair
from tests.contract.links import Plugin, Server

#: Lengths around every bound there is.
LENGTHS = st.sampled_from(
    [0, 1, 2, 100, limits.http_chunk_octets - 1, limits.http_chunk_octets, limits.http_chunk_octets + 1, 150_000]
)
#: What the client does after its pieces: says that was all, breaks off, just waits, or goes away.
UPLOADS = st.sampled_from(["finish", "abort", "hang", "leave"])
#: What the handler does: pieces to write, and how much of the body it reads first.
STEPS = st.lists(
    st.one_of(st.tuples(st.just("write"), LENGTHS), st.just(("read", 1)), st.just(("flush", 0))), max_size=6
)
ENDINGS = st.sampled_from(["return", "read all", "crash", "hang"])


@dataclass
class Seen:
    """What one side has seen of the other."""

    body: bytes = b""
    whole: bool = False
    broken: bool = False


@dataclass
class Script:
    """One call: both sides' wishes and what became of them."""

    sent: list[int]
    upload: str
    steps: list[tuple[str, int]]
    ending: str
    plugin: Seen = field(default_factory=Seen)
    host: Seen = field(default_factory=Seen)
    written: bytes = b""
    over: anyio.Event = field(default_factory=anyio.Event)

    @property
    def body(self) -> bytes:
        return b"".join(bytes([at % 256]) * length for at, length in enumerate(self.sent))

    async def handle(self, request: Request, response: Response) -> None:
        try:
            for at, (step, length) in enumerate(self.steps):
                if step == "write":
                    piece = bytes([(at * 7) % 256]) * length
                    self.written += piece
                    await response.write(piece, flush=bool(at % 2))
                elif step == "flush":
                    await response.flush()
                else:
                    await self.read_piece(request)
            if self.ending == "read all":
                while not self.plugin.whole:
                    await self.read_piece(request)
            if self.ending == "crash":
                raise ValueError("scripted")
            if self.ending == "hang":
                await anyio.sleep_forever()
        except RequestBodyAbortedError:
            self.plugin.broken = True
            raise
        finally:
            self.over.set()

    async def read_piece(self, request: Request) -> None:
        piece = await request.body.receive()
        self.plugin.body += piece
        self.plugin.whole = not piece

    async def run_client(self, call: HTTPCall) -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self.send, call)
            try:
                await call.receive_head()
                while (part := await call.receive()) is not None:
                    self.host.body += part.data
                self.host.whole = True
            except CallFailure:
                self.host.broken = True
            tasks.cancel_scope.cancel()

    async def send(self, call: HTTPCall) -> None:
        try:
            for at, length in enumerate(self.sent):
                await call.send(bytes([at % 256]) * length)
            if self.upload == "finish":
                await call.finish()
            elif self.upload == "abort":
                await call.abort()
        except CallFailure:
            pass  # the other task hears of it too


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    sent=st.lists(LENGTHS, max_size=5),
    upload=UPLOADS,
    steps=STEPS,
    ending=ENDINGS,
    leave_after=st.integers(0, 30),
)
async def test_what_arrives_is_what_was_sent_or_broken(
    open_link: OpenPair,
    sent: list[int],
    upload: str,
    steps: list[tuple[str, int]],
    ending: str,
    leave_after: int,
) -> None:
    """Bodies are prefixes in order; whole means whole on both sides; both sides end; the next call works."""
    script = Script(sent, upload, steps, ending)
    scripts = [script]

    async def serve(exchange: HTTPExchange) -> None:
        if exchange.head.url == "/next":
            await run_http(exchange, _answer)
        else:
            await run_http(exchange, scripts[0].handle)

    async with open_link(Plugin(on_http=serve), Server()) as (_, host):
        with anyio.fail_after(20):
            async with host.open_http(RequestHead(method="POST", url="/")) as call:
                with anyio.CancelScope() as client:
                    async with anyio.create_task_group() as tasks:

                        async def leave() -> None:
                            """Go away where one of the two would wait for ever, or where the script says so."""
                            if upload != "leave":
                                await anyio.sleep(0.05)
                            for _ in range(leave_after):
                                await anyio.lowlevel.checkpoint()
                            client.cancel()

                        if ending == "hang" or upload in ("hang", "leave"):
                            tasks.start_soon(leave)
                        await script.run_client(call)
                        tasks.cancel_scope.cancel()
            if script.host.body or script.plugin.body:
                await script.over.wait()
            async with host.open_http(RequestHead(method="GET", url="/next")) as call:
                await call.finish()
                assert (await call.receive_head()).status == 204
                assert await call.receive() is None
    assert script.body.startswith(script.plugin.body)
    assert not script.plugin.whole or (upload == "finish" and script.plugin.body == script.body)
    if script.host.whole and script.written:
        assert script.host.body == script.written
        assert ending in ("return", "read all")
        assert not script.plugin.broken
    if not script.host.whole:
        # A handler that fails before it has written is answered with a page; a client may go before that ends.
        texts = (script.written,) if script.written else (b"Internal Server Error\n", b"Bad Request\n")
        assert any(text.startswith(script.host.body) for text in texts)


async def _answer(request: Request, response: Response) -> None:
    response.status = 204
