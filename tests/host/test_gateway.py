"""The gateway over real sockets: requests and answers that are well, both ways and when."""

from __future__ import annotations

import shutil
import subprocess

import anyio
import pytest

from mm_plugin.serve_http import Request, Response
from tests.host.http_client import (
    PROTOCOLS,
    client_of,
    echo,
    handler_on_port,
    raw_client,
)


@PROTOCOLS
async def test_requests_are_answered(http2: bool) -> None:
    """Method, path, query and body reach the plugin; status, headers and body come back."""

    async def handler(request: Request, response: Response) -> None:
        response.status = 201
        response.headers.add("Set-Cookie", "a=1")
        response.headers.add("Set-Cookie", "b=2")
        body = (await request.read()).decode()
        await response.write(f"{request.method} {request.path} {request.query['q']} {body}")

    async with handler_on_port(handler) as port, client_of(port, http2=http2) as client:
        answer = await client.post("/plugins/p/a%20b?q=1", content=b"hello")
        assert (answer.status_code, answer.text) == (201, "POST /a b 1 hello")
        assert answer.headers.get_list("set-cookie") == ["a=1", "b=2"]
        answer = await client.get("/plugins/p?q=2")
        assert answer.text == "GET / 2 "


@PROTOCOLS
async def test_a_large_body_goes_up_and_comes_down_whole(http2: bool) -> None:
    """Megabytes each way, over both protocols."""
    body = bytes(range(256)) * 8192

    async def handler(request: Request, response: Response) -> None:
        await response.write(await request.read())

    async with handler_on_port(handler) as port, client_of(port, http2=http2) as client:
        answer = await client.post("/plugins/p/", content=body)
        assert answer.content == body


async def test_a_body_goes_up_and_down_at_the_same_time() -> None:
    """What comes up goes down while the rest is still to come; neither direction waits for the other's end."""
    body = bytes(65_536)

    async with handler_on_port(echo) as port, raw_client(port) as client:

        async def upload() -> None:
            for _ in range(64):
                await client.send(body)

        length = str(64 * len(body)).encode()
        await client.send(b"POST /plugins/p/ HTTP/1.1\r\nHost: x\r\nContent-Length: " + length + b"\r\n\r\n")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(upload)
            answer = await client.read_until(b"\r\n0\r\n\r\n")
    assert answer.count(b"\x00") == 64 * len(body)


@PROTOCOLS
async def test_an_event_is_seen_before_the_stream_ends(http2: bool) -> None:
    """Server-sent events reach the client one by one, the head before the first."""
    step, end = anyio.Event(), anyio.Event()

    async def handler(request: Request, response: Response) -> None:
        response.headers["content-type"] = "text/event-stream"
        await response.flush()
        await step.wait()
        await response.write("data: 1\n\n")
        await response.flush()
        await end.wait()

    async with (
        handler_on_port(handler) as port,
        client_of(port, http2=http2) as client,
        client.stream("GET", "/plugins/p/events") as answer,
    ):
        assert answer.headers["content-type"] == "text/event-stream"
        step.set()
        body = answer.aiter_bytes()
        assert await anext(body) == b"data: 1\n\n"
        end.set()
        assert [piece async for piece in body] == []


async def test_head_requests_have_no_body() -> None:
    """The same handler serves GET and HEAD; the connection stays usable."""

    async def handler(request: Request, response: Response) -> None:
        response.headers["content-length"] = "5"
        await response.write("hello")

    async with handler_on_port(handler) as port, client_of(port) as client:
        answer = await client.head("/plugins/p/")
        assert (answer.status_code, answer.headers["content-length"], answer.content) == (200, "5", b"")
        assert (await client.get("/plugins/p/")).text == "hello"


@pytest.mark.parametrize("status", [204, 304, 418, 999])
async def test_statuses_pass(status: int) -> None:
    """Every final status passes, with or without a body."""

    async def handler(request: Request, response: Response) -> None:
        response.status = status

    async with handler_on_port(handler) as port, client_of(port) as client:
        answer = await client.get("/plugins/p/")
        assert (answer.status_code, answer.content) == (status, b"")


@pytest.mark.parametrize("length", [b"", b"Content-Length: 3\r\n"])
async def test_a_connection_to_be_closed_is_closed_after_its_answer(length: bytes) -> None:
    """A client that says Connection: close sees the end of the answer and of the connection, on both backends."""

    async def handler(request: Request, response: Response) -> None:
        async for _ in request.body:
            pass
        await response.write("piece", flush=True)

    async with handler_on_port(handler) as port, raw_client(port) as client:
        head = b"POST /plugins/p/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + length
        await client.send(head + b"\r\n" + (b"abc" if length else b""))
        with anyio.fail_after(5):
            await client.read_to_end()
    assert client.seen.endswith(b"piece\r\n0\r\n\r\n")


async def test_websockets_are_refused() -> None:
    """ServeHTTP cannot carry them; the client hears so at once."""
    async with handler_on_port(echo) as port, raw_client(port) as client:
        await client.send(
            b"GET /plugins/p/ HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        assert (await client.read_until(b"\r\n\r\n")).startswith(b"HTTP/1.1 403")


async def test_curl_uploads_and_streams() -> None:
    """A client nobody here wrote sends a body and gets it back."""
    curl = shutil.which("curl")
    if curl is None:
        pytest.skip("curl is not installed")
    async with handler_on_port(echo) as port:
        for options in (["--http1.1"], ["--http2-prior-knowledge"]):
            ran = await anyio.run_process(
                [curl, "-sS", *options, "--data-binary", "@-", f"http://127.0.0.1:{port}/plugins/p/"],
                input=b"x" * 300_000,
                stderr=subprocess.PIPE,
                check=False,
            )
            if b"does not support" in ran.stderr:
                continue  # a curl without HTTP/2
            assert ran.stdout == b"x" * 300_000, ran.stderr


async def test_requests_may_come_at_once_on_one_connection() -> None:
    """Pipelined requests are answered one after the other, in order, bodies and all (RFC 9112, section 9.3.2)."""

    async def handler(request: Request, response: Response) -> None:
        await response.text(f"<{(await request.read()).decode()}>")

    async with handler_on_port(handler) as port, raw_client(port) as client:
        one = b"POST /plugins/p/ HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n%d"
        await client.send(b"".join(one % number for number in range(3)))
        seen = await client.read_until(b"<2>")
    assert [seen.count(b"<%d>" % number) for number in range(3)] == [1, 1, 1]
    assert seen.index(b"<0>") < seen.index(b"<1>") < seen.index(b"<2>")


async def test_an_old_client_is_answered() -> None:
    """HTTP/1.0 knows no chunks: the answer ends with the connection."""
    heads: list[tuple[str, str]] = []

    async def handler(request: Request, response: Response) -> None:
        heads.append((request.proto, request.host))
        await response.write("one ", flush=True)
        await response.write("two")

    async with handler_on_port(handler) as port, raw_client(port) as client:
        await client.send(b"GET /plugins/p/ HTTP/1.0\r\n\r\n")
        answer = await client.read_to_end()
    assert answer.endswith(b"\r\n\r\none two")
    assert heads == [("HTTP/1.0", "")]
