"""The gateway over real sockets: what the plugin sees, what the client sees, and when."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import AsyncGenerator, MutableMapping
from contextlib import asynccontextmanager

import anyio
import httpx
import pytest

from mm_plugin.exceptions import StatusCode
from mm_plugin.host.gateway import Gateway, PluginResponseError
from mm_plugin.host.http_server import Receive, Scope, Send
from mm_plugin.serve_http import Request, Response
from mm_plugin.transport.link import CallFailure, FailureKind, HostLink, HTTPCall, RequestHead, ResponseHead
from tests.host.http_client import app_on_port, find_session, handler_on_port, link_on_port, raw_client
from tests.serve_http.served import served

PROTOCOLS = pytest.mark.parametrize("http2", [False, True], ids=["http1", "http2"])


@asynccontextmanager
async def client_of(port: int, *, http2: bool = False) -> AsyncGenerator[httpx.AsyncClient]:
    """An httpx client of one protocol."""
    async with httpx.AsyncClient(
        http1=not http2, http2=http2, base_url=f"http://127.0.0.1:{port}", timeout=10
    ) as client:
        yield client


async def echo(request: Request, response: Response) -> None:
    response.headers["x-method"] = request.method
    async for piece in request.body:
        await response.write(piece)
        await response.flush()


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


async def seen_head(path: str, headers: list[tuple[str, str | bytes]], method: str = "GET") -> RequestHead:
    """What a link gets of one request."""
    heads: list[RequestHead] = []

    class Recording:
        def __init__(self, link: HostLink) -> None:
            self._link = link

        def open_http(self, head: RequestHead) -> object:
            heads.append(head)
            return self._link.open_http(head)

    async with served(echo) as link, link_on_port(Recording(link)) as port, client_of(port) as client:  # type: ignore[arg-type]
        raw = [(name.encode(), value if isinstance(value, bytes) else value.encode()) for name, value in headers]
        await client.request(method, path, headers=raw)
    (head,) = heads
    return head


async def test_the_plugin_sees_the_request_the_server_makes_of_it() -> None:
    """The prefix goes, the original target stays; what the client claims and the token are removed."""
    head = await seen_head(
        "/plugins/p/x/y%2Fz?a=1&access_token=token1&b=%20",
        [
            ("Mattermost-User-Id", "somebody"),
            ("Mattermost-Plugin-ID", "other"),
            ("Referer", "http://elsewhere/"),
            ("Cookie", "one=1; MMAUTHTOKEN=bad; two=2"),
            ("User-Agent", "test"),
            ("Accept-Language", "de"),
            ("X-Custom-Field", "ü".encode()),
            ("Authorization", "Basic abc"),
        ],
    )
    assert head.url == "/x/y%2Fz?a=1&b=%20"
    assert head.request_uri == "/plugins/p/x/y%2Fz?a=1&access_token=token1&b=%20"
    fields = dict(head.headers)
    assert not {"Mattermost-User-Id", "Mattermost-Plugin-Id", "Referer", "Host"} & set(fields)
    assert fields["Cookie"] == "one=1; two=2"
    assert fields["X-Custom-Field"] == "ü"
    assert fields["Authorization"] == "Basic abc"
    assert (head.proto, head.proto_major, head.proto_minor) == ("HTTP/1.1", 1, 1)
    assert head.host.startswith("127.0.0.1:")
    assert head.remote_addr.startswith("127.0.0.1:")
    assert head.content_length == 0
    assert head.context is not None
    assert (head.context.ip_address, head.context.user_agent, head.context.accept_language) == (
        "127.0.0.1",
        "test",
        "de",
    )
    assert len(head.context.request_id) == 26
    assert head.context.session_id == ""


@pytest.mark.parametrize(
    ("method", "path", "headers", "signed_in"),
    [
        ("GET", "/plugins/p/", [("Cookie", "MMAUTHTOKEN=token1")], True),
        ("GET", "/plugins/p/", [("Authorization", "Bearer token1")], True),
        ("GET", "/plugins/p/", [("Authorization", "token token1")], True),
        ("GET", "/plugins/p/?access_token=token1", [], True),
        ("GET", "/plugins/p/", [("Authorization", "Bearer wrong")], False),
        ("GET", "/plugins/p/", [("Authorization", "Basic token1")], False),
        ("GET", "/plugins/p/", [], False),
        ("POST", "/plugins/p/", [("Authorization", "Bearer token1")], True),
        ("POST", "/plugins/p/", [("Cookie", "MMAUTHTOKEN=token1")], False),
        ("POST", "/plugins/p/", [("Cookie", "MMAUTHTOKEN=token1"), ("X-CSRF-Token", "wrong")], False),
        ("POST", "/plugins/p/", [("Cookie", "MMAUTHTOKEN=token1"), ("X-CSRF-Token", "csrf1")], True),
        ("POST", "/plugins/p/", [("Cookie", "MMAUTHTOKEN=token1"), ("X-Requested-With", "XMLHttpRequest")], True),
    ],
)
async def test_only_the_server_says_who_is_signed_in(
    method: str, path: str, headers: list[tuple[str, str]], signed_in: bool
) -> None:
    """A valid token sets the user and the session, and is not shown; a cookie alone may not change anything."""
    head = await seen_head(path, [*headers, ("Mattermost-User-Id", "claimed")], method)
    fields = dict(head.headers)
    assert fields.get("Mattermost-User-Id") == ("user1" if signed_in else None)
    assert head.context is not None
    assert head.context.session_id == ("session1" if signed_in else "")
    assert ("Authorization" in fields) is (not signed_in and any(name == "Authorization" for name, _ in headers))


async def test_an_unknown_length_is_minus_one() -> None:
    """A chunked upload has no length beforehand."""
    lengths: list[int] = []

    async def handler(request: Request, response: Response) -> None:
        lengths.append(request.content_length)
        assert "transfer-encoding" not in request.headers
        await request.read()

    async def pieces() -> AsyncGenerator[bytes]:
        yield b"a"

    async with handler_on_port(handler) as port, client_of(port) as client:
        await client.post("/plugins/p/", content=pieces())
        await client.post("/plugins/p/", content=b"abc")
        await client.get("/plugins/p/")
    assert lengths == [-1, 3, 0]


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


@pytest.mark.parametrize("path", ["/plugins/other/", "/plugins/", "/elsewhere", "/x/plugins/p/"])
async def test_no_plugin_is_404(path: str) -> None:
    """An unknown id and a path outside have a page, even for an upload that nobody reads."""
    async with handler_on_port(echo) as port, client_of(port) as client:
        answer = await client.post(path, content=bytes(1_000))
        assert (answer.status_code, answer.text) == (404, "Not Found\n")


async def test_a_plugin_without_http_is_404() -> None:
    """Where the plugin says 404 by itself, that passes."""
    async with handler_on_port(None) as port, client_of(port) as client:
        assert (await client.get("/plugins/p/")).status_code == 404


async def test_a_crashing_plugin_is_500() -> None:
    """The page gives nothing away."""

    async def handler(request: Request, response: Response) -> None:
        raise RuntimeError("swordfish")

    async with handler_on_port(handler) as port, client_of(port) as client:
        answer = await client.get("/plugins/p/")
        assert (answer.status_code, answer.text) == (500, "Internal Server Error\n")


class ScriptedCall:
    """A call at the host's end that does what a test says."""

    def __init__(self, head: ResponseHead | CallFailure) -> None:
        self._head = head

    async def send(self, data: bytes) -> None:
        await anyio.lowlevel.checkpoint()
        raise CallFailure("gone", kind=FailureKind.LOST)

    async def finish(self) -> None:
        await anyio.lowlevel.checkpoint()

    async def abort(self) -> None:
        await anyio.lowlevel.checkpoint()

    async def receive_head(self) -> ResponseHead:
        await anyio.lowlevel.checkpoint()
        if isinstance(self._head, CallFailure):
            raise self._head
        return self._head

    async def receive(self) -> None:
        await anyio.lowlevel.checkpoint()


class ScriptedLink:
    """A link whose one call is scripted, or which cannot be opened."""

    def __init__(self, outcome: ResponseHead | CallFailure, *, opens: bool = True) -> None:
        self._outcome, self._opens = outcome, opens

    @asynccontextmanager
    async def open_http(self, head: RequestHead) -> AsyncGenerator[HTTPCall]:
        if not self._opens:
            assert isinstance(self._outcome, CallFailure)
            raise self._outcome
        yield ScriptedCall(self._outcome)


UNREACHABLE = CallFailure("nobody there", kind=FailureKind.UNREACHABLE, code=StatusCode.UNAVAILABLE)
REFUSED = CallFailure("stopping", kind=FailureKind.REFUSED, code=StatusCode.UNAVAILABLE)
LOST = CallFailure("connection lost", kind=FailureKind.LOST, code=StatusCode.UNAVAILABLE)
NO_STATUS = CallFailure("status 42", code=StatusCode.OUT_OF_RANGE)


@pytest.mark.parametrize(
    ("link", "status"),
    [
        (ScriptedLink(UNREACHABLE, opens=False), 503),
        (ScriptedLink(UNREACHABLE), 503),
        (ScriptedLink(REFUSED), 503),
        (ScriptedLink(LOST), 502),
        (ScriptedLink(CallFailure("crashed", code=StatusCode.INTERNAL)), 502),
        (ScriptedLink(NO_STATUS), 500),
        (ScriptedLink(ResponseHead(status=42)), 500),
        (ScriptedLink(ResponseHead(status=1000)), 500),
        (ScriptedLink(ResponseHead(status=103)), 200),
        (ScriptedLink(ResponseHead(status=200, headers=(("Connection", "close"), ("Upgrade", "x")))), 200),
    ],
    ids=lambda value: str(value) if isinstance(value, int) else "",
)
async def test_every_failure_has_its_page(link: HostLink, status: int) -> None:
    """What keeps a head from coming decides the page; an upload under way does not hold it back."""
    async with link_on_port(link) as port, client_of(port) as client:
        answer = await client.post("/plugins/p/", content=bytes(1_000))
        assert answer.status_code == status
        assert not {"connection", "upgrade"} & set(answer.headers) or status != 200
        if status >= 500:
            assert answer.headers["content-type"] == "text/plain; charset=utf-8"


async def test_an_early_answer_is_not_held_back_by_an_upload() -> None:
    """The whole answer arrives while the client still has most of its body to send."""

    async def handler(request: Request, response: Response) -> None:
        response.status = 413
        response.headers["content-length"] = "8"
        await response.write("too much")

    async with handler_on_port(handler) as port, raw_client(port) as client:
        await client.send(b"POST /plugins/p/ HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\nstart")
        answer = await client.read_until(b"too much")
        assert answer.startswith(b"HTTP/1.1 413")


async def flooded(link: HostLink) -> bytes:
    """What a client sees that sends without end; returns once the gateway's request has ended too."""
    ended = anyio.Event()
    gateway = Gateway({"p": link}.get, find_session)

    async def watched(scope: Scope, receive: Receive, send: Send) -> None:
        await gateway(scope, receive, send)
        if scope["type"] == "http":
            ended.set()

    async with app_on_port(watched) as port, raw_client(port) as client:
        await client.send(b"POST /plugins/p/ HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\n")

        async def flood() -> None:
            try:
                while True:
                    await client.send(bytes(65_536))
            except (anyio.BrokenResourceError, anyio.ClosedResourceError):
                return  # the server has closed: it wants no more

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(flood)
            answer = await client.read_to_end()
            tasks.cancel_scope.cancel()
        await ended.wait()
    return answer


async def stuck() -> None:
    """Wait until an upload that nobody reads has filled everything on its way."""
    with anyio.move_on_after(0.3):
        await anyio.sleep_forever()


async def test_an_early_answer_meets_a_flood() -> None:
    """A client that sends as fast as it can neither blocks the answer nor leaves a request hanging."""

    async def handler(request: Request, response: Response) -> None:
        await stuck()
        response.status = 413
        await response.write("too much")

    async with served(handler) as link:
        answer = await flooded(link)
    assert answer.startswith(b"HTTP/1.1 413")
    assert b"too much" in answer


async def test_a_page_meets_a_flood() -> None:
    """An upload to a plugin that cannot be reached does not block its page either."""

    class Unreachable:
        @asynccontextmanager
        async def open_http(self, head: RequestHead) -> AsyncGenerator[HTTPCall]:
            await stuck()
            async with ScriptedLink(UNREACHABLE, opens=False).open_http(head) as call:
                yield call

    answer = await flooded(Unreachable())  # type: ignore[arg-type]
    assert answer.startswith(b"HTTP/1.1 503")


async def test_a_slow_reader_holds_the_plugin_back() -> None:
    """What the client does not take is not made: memory stays flat between plugin and client."""
    written = 0

    async def handler(request: Request, response: Response) -> None:
        nonlocal written
        while True:
            await response.write(bytes(65_536))
            written += 65_536

    async with handler_on_port(handler) as port, raw_client(port) as client:
        await client.send(b"GET /plugins/p/ HTTP/1.1\r\nHost: x\r\n\r\n")
        await client.read_until(b"\r\n\r\n")
        before = -1
        while before != written:
            before = written
            with anyio.move_on_after(0.2):
                await anyio.sleep_forever()
        assert written < 32 * 1024 * 1024  # what sockets of this machine hold at most


async def test_a_client_that_goes_cancels_the_handler() -> None:
    """The plugin hears of it while it waits for something else."""
    running, cancelled = anyio.Event(), anyio.Event()

    async def handler(request: Request, response: Response) -> None:
        await response.flush()
        running.set()
        try:
            await anyio.sleep_forever()
        finally:
            cancelled.set()

    async with handler_on_port(handler) as port:
        async with raw_client(port) as client:
            await client.send(b"GET /plugins/p/ HTTP/1.1\r\nHost: x\r\n\r\n")
            await client.read_until(b"\r\n\r\n")
            await running.wait()
        await cancelled.wait()


async def test_a_client_that_goes_within_its_upload_cancels_the_handler() -> None:
    """Half an upload is never taken for a whole one."""
    read: list[bytes] = []
    running, cancelled = anyio.Event(), anyio.Event()

    async def handler(request: Request, response: Response) -> None:
        running.set()
        try:
            read.append(await request.read())
        finally:
            cancelled.set()

    async with handler_on_port(handler) as port:
        async with raw_client(port) as client:
            await client.send(b"POST /plugins/p/ HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf")
            await running.wait()
        await cancelled.wait()
    assert read == []


@PROTOCOLS
async def test_a_truncated_answer_is_visible(caplog: pytest.LogCaptureFixture, http2: bool) -> None:
    """Connection or stream breaks instead of ending well, and the log has one warning without a traceback of ours."""

    async def handler(request: Request, response: Response) -> None:
        await response.write("half")
        raise RuntimeError("no more")

    async with handler_on_port(handler) as port, client_of(port, http2=http2) as client:
        with pytest.raises(httpx.RemoteProtocolError):
            await client.get("/plugins/p/")
    assert [record.levelname for record in caplog.records if record.name.startswith("mm_plugin.host")] == ["WARNING"]


async def test_a_truncated_answer_is_an_error_for_any_server() -> None:
    """Whatever ASGI server runs the gateway, it hears that the answer must not end well."""
    sent: list[object] = []

    async def handler(request: Request, response: Response) -> None:
        await response.write("half")
        raise RuntimeError("no more")

    async def receive() -> MutableMapping[str, object]:
        await anyio.sleep_forever()
        raise AssertionError("it never ends")

    async def send(message: MutableMapping[str, object]) -> None:
        sent.append(message["type"])

    scope: Scope = {
        "type": "http",
        "http_version": "1.1",
        "method": "GET",
        "path": "/plugins/p/ü",  # some servers give no raw_path
        "query_string": b"",
        "headers": [(b"x-latin", b"\xfc")],  # not UTF-8
        "client": ("::1", 1),
    }
    async with served(handler) as link:
        with pytest.raises(PluginResponseError, match="plugin p: the handler did not finish"):
            await Gateway({"p": link}.get, find_session)(scope, receive, send)
    assert sent == ["http.response.start", "http.response.body"]


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
