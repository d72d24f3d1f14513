"""Raw ASGI apps mounted in a plugin: scope, both streams, disconnect, lifespan; and what an app does wrong."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import anyio
import httpx
import pytest

from mm_plugin import limits
from mm_plugin.exceptions import HookRegistrationError
from mm_plugin.plugin.plugin import Plugin
from mm_plugin.serve_http.asgi import Receive, Scope, Send
from mm_plugin.serve_http.mounts import mount_asgi
from mm_plugin.transport.link import RequestContextFields, RequestHead
from tests.serve_http.plugins import active, browsing
from tests.serve_http.served import get, read_answer

START = {"type": "http.response.start", "status": 200, "headers": []}
END = {"type": "http.response.body", "body": b"", "more_body": False}


class App:
    """An app without a lifespan whose requests go to one function."""

    def __init__(self, serve: Callable[[Scope, Receive, Send], Awaitable[None]]) -> None:
        self._serve = serve

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["type"] == "http", "this app knows no lifespan"
        await self._serve(scope, receive, send)


def plugin_of(serve: Callable[[Scope, Receive, Send], Awaitable[None]], at: str = "/") -> Plugin:
    """A plugin with this app."""

    class Mounting(Plugin):
        web = mount_asgi(App(serve), at=at)

    return Mounting()


async def test_the_scope_says_where_and_who() -> None:
    """Everything ASGI demands, the mount as root_path, and Mattermost's own: user, context, plugin."""
    scopes: list[Scope] = []

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        scopes.append(scope)
        await send(dict(START))
        await send(dict(END))

    plugin = plugin_of(serve, at="/api/")
    context = RequestContextFields(request_id="r")
    head = RequestHead(
        method="PUT",
        url="/api/a%20b?x=%C3%BC",
        request_uri="/plugins/p/api/a%20b?x=%C3%BC",
        headers=(("Mattermost-User-Id", "u1"), ("X-A", "1"), ("X-A", "2")),
        host="example.com",
        remote_addr="[::1]:99",
        proto="HTTP/2.0",
        context=context,
    )
    async with active(plugin) as link:
        async with link.open_http(head) as call:
            await call.finish()
            assert (await read_answer(call)).head.status == 200
        for outside in ("/", "/apix"):
            async with link.open_http(get(outside)) as call:
                await call.finish()
                assert (await read_answer(call)).head.status == 404
    (scope,) = scopes
    assert scope["mattermost"] == {"user_id": "u1", "context": context, "plugin": plugin}
    expected: dict[str, object] = {
        "type": "http",
        "method": "PUT",
        "http_version": "2",
        "scheme": "http",
        "path": "/plugins/p/api/a b",
        "raw_path": b"/plugins/p/api/a%20b",
        "root_path": "/plugins/p/api",
        "query_string": b"x=%C3%BC",
        "client": ("::1", 99),
        "server": None,
        "state": {},
    }
    assert {name: scope[name] for name in expected} == expected
    headers = scope["headers"]
    assert isinstance(headers, list)
    assert headers[0] == (b"host", b"example.com")
    assert [value for name, value in headers if name == b"x-a"] == [b"1", b"2"]


@pytest.mark.parametrize(
    ("proto", "version"), [("HTTP/1.0", "1.0"), ("HTTP/1.1", "1.1"), ("HTTP/2.0", "2"), ("HTTP/3.0", "3"), ("", "1.1")]
)
async def test_versions_are_spelled_as_asgi_has_them(proto: str, version: str) -> None:
    """1.0 keeps its zero, 2 and 3 have none."""
    versions: list[object] = []

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        versions.append(scope["http_version"])
        headers = [(b"X-New", "\u00fc".encode()), (b"X-Old", b"\xfc")]
        await send({**START, "headers": headers})
        await send(dict(END))

    head = RequestHead(method="GET", url="/", proto=proto)
    async with active(plugin_of(serve)) as link, link.open_http(head) as call:
        await call.finish()
        answer = await read_answer(call)
    assert versions == [version]
    # Octets of a header arrive as the app meant them, UTF-8 or Latin-1.
    assert answer.head.headers == (("X-New", "\u00fc"), ("X-Old", "\u00fc"))


async def test_an_app_that_reads_on_after_its_limit_is_cancelled(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that takes no notice neither holds the answer up for ever nor goes on."""
    monkeypatch.setattr(limits, "cleanup_s", 0.05)
    ended = anyio.Event()

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            while True:
                await receive()
                await anyio.lowlevel.checkpoint()
        finally:
            ended.set()

    plugin = plugin_of(serve)
    plugin.max_body_octets = 5
    async with active(plugin) as link:
        async with link.open_http(get(method="POST")) as call:
            await call.send(b"123456")
            await call.finish()
            assert (await read_answer(call)).head.status == 413
        await ended.wait()


async def test_both_streams_flow_at_once() -> None:
    """Each piece comes back before the next one is sent, flushed."""

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        await send(dict(START))
        while True:
            message = await receive()
            await send({"type": "http.response.body", "body": message["body"], "more_body": message["more_body"]})
            if not message["more_body"]:
                return

    async with active(plugin_of(serve)) as link, link.open_http(get(method="POST")) as call:
        for piece in (b"one", b"two"):
            await call.send(piece)
            if piece == b"one":
                await call.receive_head()
            part = await call.receive()
            assert part is not None
            assert (part.data, part.flush) == (piece, True)
        await call.finish()
        assert await call.receive() is None


async def test_a_client_that_goes_is_a_disconnect() -> None:
    """The app hears of it from receive, then send raises OSError; it is not cancelled while it tidies up."""
    told: list[object] = []
    ended = anyio.Event()

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        await send(dict(START))
        await send({"type": "http.response.body", "body": b"x", "more_body": True})
        assert (await receive())["more_body"] is False
        told.append((await receive())["type"])
        try:
            await send({"type": "http.response.body", "body": b"y", "more_body": True})
        except OSError as error:
            told.append(str(error))
        await anyio.lowlevel.checkpoint()
        ended.set()

    async with active(plugin_of(serve)) as link:
        async with link.open_http(get()) as call:
            await call.finish()
            await call.receive_head()
            await call.receive()
        await ended.wait()
    assert told == ["http.disconnect", "the client has gone"]


async def test_a_disconnect_ends_a_read_and_a_write_under_way() -> None:
    """An app that waits for the client, either way, is told at once."""
    told: list[object] = []
    ended = anyio.Event()

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        await send(dict(START))
        if scope["method"] == "POST":
            await send({"type": "http.response.body", "body": b"x", "more_body": True})
            await receive()
            told.append((await receive())["type"])
        else:
            try:
                while True:
                    await send({"type": "http.response.body", "body": bytes(65_536), "more_body": True})
            except OSError:
                told.append("OSError")
        ended.set()

    async with active(plugin_of(serve)) as link:
        for method in ("POST", "GET"):
            async with link.open_http(get(method=method)) as call:
                await call.send(b"half")
                await call.receive_head()
                await call.receive()
                await anyio.wait_all_tasks_blocked()
            await ended.wait()
            ended = anyio.Event()
    assert told == ["http.disconnect", "OSError"]


async def test_an_app_that_ignores_a_disconnect_is_cancelled() -> None:
    """It has the budget of a cleanup, no more."""
    cancelled = anyio.Event()

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        await send(dict(START))
        await send({"type": "http.response.body", "body": b"x", "more_body": True})
        try:
            await anyio.sleep_forever()
        finally:
            cancelled.set()

    async with active(plugin_of(serve)) as link:
        async with link.open_http(get()) as call:
            await call.finish()
            await call.receive_head()
        await cancelled.wait()


async def test_work_after_the_response_goes_on() -> None:
    """A background task of the app outlives its request, and ends with the plugin's activation at the latest."""
    go_on, done, cancelled = anyio.Event(), anyio.Event(), anyio.Event()

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        await send(dict(START))
        await send(dict(END))
        assert (await receive())["type"] == "http.disconnect"
        if scope["method"] == "POST":
            await go_on.wait()
            done.set()
            return
        try:
            await anyio.sleep_forever()
        finally:
            cancelled.set()

    async with active(plugin_of(serve)) as link:
        for method in ("GET", "POST"):
            async with link.open_http(get(method=method)) as call:
                assert (await read_answer(call)).head.status == 200
        go_on.set()
        await done.wait()
        assert not cancelled.is_set()
    assert cancelled.is_set()


@pytest.mark.parametrize(
    ("steps", "status", "broken", "logged"),
    [
        ([], 500, False, "ended without finishing"),
        ([START], 500, False, "ended without finishing"),
        ([START, {"type": "http.response.body", "body": b"x", "more_body": True}], 200, True, "without finishing"),
        ([END], 500, False, "came before http.response.start"),
        ([START, START], 500, False, "came twice"),
        ([{"type": "websocket.accept"}], 500, False, "not supported"),
        ([{**START, "headers": [(b"x", b"a\r\nb")]}], 500, False, "line breaks"),
        ([{**START, "status": 99}], 500, False, "final status"),
        ([START, END, ValueError("late")], 200, False, "failed after its response"),
        ([ValueError("early")], 500, False, "early"),
    ],
)
async def test_what_an_app_does_wrong_is_answered_and_logged(
    steps: list[dict[str, object] | Exception],
    status: int,
    broken: bool,
    logged: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Never a whole answer that is none; the plugin goes on."""

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        for step in steps:
            if isinstance(step, Exception):
                raise step
            await send(dict(step))

    async with active(plugin_of(serve)) as link:
        for _ in range(2):
            async with link.open_http(get()) as call:
                await call.finish()
                answer = await read_answer(call)
                assert (answer.head.status, answer.broken) == (status, broken)
        await anyio.wait_all_tasks_blocked()
    assert logged in caplog.text


def test_wrong_mounts_fail_at_the_class_statement() -> None:
    """A place that is none, an app that is none, two apps at one place."""
    with pytest.raises(HookRegistrationError, match="begins with '/'"):
        mount_asgi(App, at="api")
    with pytest.raises(HookRegistrationError, match="this is a str"):
        mount_asgi("app:app")
    with pytest.raises(HookRegistrationError, match="two apps are mounted at '/a'"):

        class Wrong(Plugin):
            one = mount_asgi(App, at="/a")
            two = mount_asgi(App, at="/a/")


async def test_head_requests_and_bodyless_statuses_are_kept() -> None:
    """What an app writes where no body may be is left out."""

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        status = 304 if scope["path"] == "/plugins/p/same" else 200
        await send({**START, "status": status, "headers": [(b"content-length", b"5")]})
        await send({"type": "http.response.body", "body": b"hello"})

    async with browsing(plugin_of(serve)) as client:
        for method, path in (("HEAD", "/"), ("GET", "/same")):
            answer = await client.request(method, path)
            assert answer.content == b""
        assert (await client.get("/")).text == "hello"
        assert isinstance(client, httpx.AsyncClient)
