"""HTTP/2 from the browser's side: broken answers, unread uploads, early answers."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

import anyio
import httpx
import pytest
from anyio.abc import SocketStream
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import DataReceived, ResponseReceived, StreamEnded, StreamReset
from hypercorn.protocol.h2 import H2Protocol

from mm_plugin.host.http2_streams import StreamingH2Protocol
from mm_plugin.serve_http import Request, Response
from tests.host.http_client import handler_on_port


def client_on(port: int) -> httpx.AsyncClient:
    """A client that speaks HTTP/2 only, all of it over one connection."""
    limits = httpx.Limits(max_connections=1)
    return httpx.AsyncClient(
        http1=False, http2=True, base_url=f"http://127.0.0.1:{port}/plugins/p", timeout=10, limits=limits
    )


@pytest.mark.parametrize("octets", [4, 1_000_000])
async def test_a_broken_answer_is_a_reset_and_its_connection_goes_on(octets: int) -> None:
    """What had been written arrives, then the reset; other streams of the connection are untouched."""
    begun, go_on = anyio.Event(), anyio.Event()

    async def handler(request: Request, response: Response) -> None:
        if request.path == "/other":
            await response.flush()
            begun.set()
            await go_on.wait()
            await response.write("whole")
            return
        await response.write(b"x" * octets)
        raise RuntimeError("no more")

    async with handler_on_port(handler) as port, client_on(port) as client, anyio.create_task_group() as tasks:
        texts: list[str] = []

        async def other() -> None:
            texts.append((await client.get("/other")).text)

        tasks.start_soon(other)
        await begun.wait()
        received = 0
        with pytest.raises(httpx.RemoteProtocolError):  # noqa: PT012 - the break comes within the body
            async with client.stream("GET", "/") as answer:
                async for piece in answer.aiter_bytes():
                    received += len(piece)
        assert received == octets
        go_on.set()
    assert texts == ["whole"]


class Browser:
    """One HTTP/2 connection by hand, on the h2 library: it sends and reads when the test says so."""

    def __init__(self, stream: SocketStream) -> None:
        self.stream = stream
        self.h2 = H2Connection(H2Configuration(header_encoding="utf-8"))
        self.h2.initiate_connection()
        self.answers: dict[int, bytes] = {}
        self.statuses: dict[int, str] = {}
        self.ended: set[int] = set()
        self.resets: dict[int, int] = {}

    async def flush(self) -> None:
        if data := self.h2.data_to_send():
            await self.stream.send(data)

    async def ask(self, method: str, *, end: bool) -> int:
        stream_id = self.h2.get_next_available_stream_id()
        fields = [(":method", method), (":path", "/plugins/p/"), (":scheme", "http"), (":authority", "x")]
        self.h2.send_headers(stream_id, fields, end_stream=end)
        await self.flush()
        return stream_id

    async def send_all_it_may(self, stream_id: int) -> None:
        while window := min(self.h2.local_flow_control_window(stream_id), self.h2.max_outbound_frame_size):
            self.h2.send_data(stream_id, bytes(window))
            await self.flush()

    async def read(self) -> None:
        for event in self.h2.receive_data(await self.stream.receive()):
            match event:
                case ResponseReceived(stream_id=int(number), headers=fields) if fields:
                    self.statuses[number] = next(str(value) for name, value in fields if str(name) == ":status")
                case DataReceived(stream_id=int(number), data=bytes(data)):
                    self.answers[number] = self.answers.get(number, b"") + data
                    self.h2.acknowledge_received_data(event.flow_controlled_length or 0, number)
                case StreamEnded(stream_id=int(number)):
                    self.ended.add(number)
                case StreamReset(stream_id=int(number)):
                    self.resets[number] = int(event.error_code or 0)
                case _:
                    pass
        await self.flush()


@asynccontextmanager
async def browser_on(port: int) -> AsyncGenerator[Browser]:
    """Connect by hand."""
    async with await anyio.connect_tcp("127.0.0.1", port) as stream:
        yield Browser(stream)


async def test_an_unread_upload_does_not_hold_its_connection_up() -> None:
    """Beside uploads that nobody reads, other requests of the same connection are answered."""

    async def handler(request: Request, response: Response) -> None:
        if request.method == "POST":
            await response.flush()
            await anyio.sleep_forever()
        await response.text("quick")

    async with handler_on_port(handler) as port, browser_on(port) as browser:
        for _ in range(5):
            upload = await browser.ask("POST", end=False)
            while upload not in browser.statuses:
                await browser.read()
            with anyio.move_on_after(0.2):
                while True:
                    await browser.send_all_it_may(upload)
                    await browser.read()
            asked = await browser.ask("GET", end=True)
            while asked not in browser.ended:
                await browser.read()
            assert browser.answers[asked] == b"quick"


async def test_an_unread_upload_is_held_back_at_its_client() -> None:
    """What nobody reads is not sent: the client gets credit as the plugin reads."""
    sent = 0
    go_on = anyio.Event()

    async def handler(request: Request, response: Response) -> None:
        await go_on.wait()
        await response.text(str(len(await request.read())))

    async def body() -> AsyncGenerator[bytes]:
        nonlocal sent
        for _ in range(256):
            yield bytes(16_384)
            sent += 16_384

    async with handler_on_port(handler) as port, client_on(port) as client, anyio.create_task_group() as tasks:

        async def read_on() -> None:
            before = -1
            while before != sent:
                before = sent
                with anyio.move_on_after(0.2):
                    await anyio.sleep_forever()
            assert sent < 2_000_000
            go_on.set()

        tasks.start_soon(read_on)
        answer = await client.post("/", content=body())
    assert int(answer.text) == sent == 256 * 16_384


async def test_an_early_answer_stops_the_upload_and_keeps_the_connection() -> None:
    """The answer is whole while the body still comes; what comes after it is told to stop and harms nobody."""

    async def handler(request: Request, response: Response) -> None:
        if request.method == "POST":
            response.status = 413
        await response.text("done")

    async with handler_on_port(handler) as port, browser_on(port) as browser:
        for _ in range(3):
            upload = await browser.ask("POST", end=False)
            while upload not in browser.ended:
                await browser.read()
            assert (browser.statuses[upload], browser.answers[upload]) == ("413", b"done")
            browser.h2.send_data(upload, b"more")
            await browser.flush()
            while upload not in browser.resets:
                await browser.read()
            assert browser.resets[upload] == ErrorCodes.NO_ERROR
            asked = await browser.ask("GET", end=True)
            while asked not in browser.ended:
                await browser.read()
            assert browser.answers[asked] == b"done"


@pytest.mark.parametrize("how", ["reset", "close"])
async def test_a_client_that_gives_up_cancels_what_it_gave_up(how: str) -> None:
    """A reset ends its own stream, a lost connection all of them; half an upload is never taken for a whole one."""
    running, cancelled, whole = 0, 0, 0
    changed = anyio.Event()

    async def handler(request: Request, response: Response) -> None:
        nonlocal running, cancelled, whole, changed
        running += 1
        changed.set()
        try:
            await request.read()
            whole += 1
            changed.set()
            await response.flush()
            await anyio.sleep_forever()
        finally:
            cancelled += 1
            changed.set()

    async def until(reached: Callable[[], bool]) -> None:
        nonlocal changed
        while not reached():
            changed = anyio.Event()
            await changed.wait()

    async with handler_on_port(handler) as port:
        async with browser_on(port) as browser:
            uploads = [await browser.ask("POST", end=False) for _ in range(2)]
            for upload in uploads:
                browser.h2.send_data(upload, b"half")
            await browser.ask("GET", end=True)
            await browser.flush()
            await until(lambda: running == 3)
            if how == "reset":
                browser.h2.reset_stream(uploads[0], ErrorCodes.CANCEL)
                await browser.flush()
                await until(lambda: cancelled == 1)
                browser.h2.end_stream(uploads[1])
                await browser.flush()
                await until(lambda: whole == 2)
        await until(lambda: cancelled == 3)
    assert whole == (2 if how == "reset" else 1)


async def test_other_servers_keep_hypercorns_behaviour() -> None:
    """An app that is not ours is run as hypercorn runs it."""
    assert issubclass(StreamingH2Protocol, H2Protocol)
    protocol = StreamingH2Protocol.__new__(StreamingH2Protocol)
    from hypercorn.config import Config
    from hypercorn.trio.worker_context import WorkerContext

    config = Config()
    protocol.__init__(object(), config, WorkerContext(None), None, {}, False, None, None, None)  # type: ignore[misc]
    assert protocol.config is config
