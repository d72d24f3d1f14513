"""Starlette and Django behind a plugin, through the real wire and the gateway; and raw WSGI."""

from __future__ import annotations

import wsgiref.types
from collections.abc import AsyncGenerator, Iterable, Iterator
from typing import Any

import anyio
import httpx
import pytest
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.requests import Request as StarletteRequest
from starlette.responses import JSONResponse, RedirectResponse, Response as StarletteResponse, StreamingResponse
from starlette.routing import Mount as StarletteMount, Route

from mm_plugin.plugin.plugin import Plugin
from mm_plugin.serve_http.mounts import mount_asgi, mount_wsgi
from mm_plugin.transport.link import RequestHead
from tests.host.http_client import raw_client
from tests.serve_http.plugins import active, browsing, on_port
from tests.serve_http.served import get, read_answer

TOKEN = {"Authorization": "Bearer token1"}  # of user1


# -- Starlette


class Events:
    """What tests of Starlette wait for."""

    def __init__(self) -> None:
        self.step = anyio.Event()
        self.background = anyio.Event()
        self.closed = anyio.Event()


def starlette(events: Events) -> Starlette:
    """An app that uses what people use."""

    async def who(request: StarletteRequest) -> StarletteResponse:
        plugin = request.scope["mattermost"]["plugin"]
        user = request.scope["mattermost"]["user_id"]
        return JSONResponse({"user": user, "plugin": plugin.plugin_id, "url": request.url_for("who").path})

    async def echo(request: StarletteRequest) -> StarletteResponse:
        return StreamingResponse(request.stream())

    async def form(request: StarletteRequest) -> StarletteResponse:
        async with request.form() as fields:
            file: Any = fields["f"]
            return JSONResponse({"a": fields["a"], "f": (await file.read()).decode()})

    async def ticks(request: StarletteRequest) -> StarletteResponse:
        async def pieces() -> AsyncGenerator[str]:
            try:
                yield "data: 1\n\n"
                await events.step.wait()
                yield "data: 2\n\n"
                await anyio.sleep_forever()
            finally:
                events.closed.set()

        return StreamingResponse(pieces(), media_type="text/event-stream")

    async def later(request: StarletteRequest) -> StarletteResponse:
        async def work() -> None:
            events.background.set()

        return RedirectResponse(request.url_for("who"), background=BackgroundTask(work))

    routes = [
        Route("/who", who),
        Route("/echo", echo, methods=["POST"]),
        Route("/form", form, methods=["POST"]),
        Route("/ticks", ticks),
        StarletteMount("/sub", routes=[Route("/later", later)]),
    ]
    return Starlette(routes=routes)


def plugin_with(app: object, at: str = "/") -> Plugin:
    """A plugin with an ASGI app."""

    class Mounting(Plugin):
        web = mount_asgi(app, at=at)

    return Mounting()


@pytest.mark.parametrize("at", ["/", "/web"])
@pytest.mark.parametrize("http2", [False, True], ids=["http1", "http2"])
async def test_starlette_runs_behind_a_plugin(http2: bool, at: str) -> None:
    """Routing below the mount, its urls, forms, streams and background tasks; the signed-in user is in the scope."""
    events = Events()
    prefix = at.rstrip("/")
    async with browsing(plugin_with(starlette(events), at), http2=http2) as client:
        answer = await client.get(f"{prefix}/who", headers=TOKEN)
        assert answer.json() == {"user": "user1", "plugin": "p", "url": f"/plugins/p{prefix}/who"}
        assert (await client.get(f"{prefix}/who", headers={"Mattermost-User-Id": "me"})).json()["user"] == ""
        body = bytes(range(256)) * 4096
        assert (await client.post(f"{prefix}/echo", content=body)).content == body
        files = {"f": b"x" * 5}
        assert (await client.post(f"{prefix}/form", data={"a": "1"}, files=files)).json() == {"a": "1", "f": "xxxxx"}
        answer = await client.get(f"{prefix}/sub/later")
        assert (answer.status_code, answer.headers["location"][-len(prefix) - 14 :]) == (307, f"/plugins/p{prefix}/who")
        await events.background.wait()
        assert (await client.get(f"{prefix}/none")).status_code == 404


async def test_starlette_streams_events_until_the_client_goes() -> None:
    """Each event arrives at once; the generator's cleanup runs when the client has gone."""
    events = Events()
    async with on_port(plugin_with(starlette(events))) as port:
        async with raw_client(port) as client:
            await client.send(b"GET /plugins/p/ticks HTTP/1.1\r\nHost: x\r\n\r\n")
            assert b"data: 2" not in await client.read_until(b"data: 1\n\n")
            events.step.set()
            await client.read_until(b"data: 2\n\n")
        await events.closed.wait()


# -- Django


def django_apps() -> tuple[object, object]:
    """Django's ASGI and WSGI handlers over one set of views, configured once for the process."""
    import django
    from django.conf import settings
    from django.core.handlers.asgi import ASGIHandler
    from django.core.handlers.wsgi import WSGIHandler
    from django.http import HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse
    from django.urls import path

    def who(request: HttpRequest) -> HttpResponse:
        meta = request.META
        user = meta.get("mattermost.user_id") or meta.get("HTTP_MATTERMOST_USER_ID", "")
        return JsonResponse({"user": user, "path": request.path, "info": request.path_info})

    def echo(request: HttpRequest) -> HttpResponse:
        return HttpResponse(request.body)

    def form(request: HttpRequest) -> HttpResponse:
        (file,) = request.FILES.values()
        return JsonResponse({"a": request.POST["a"], "f": file.read().decode()})

    def pieces(request: HttpRequest) -> StreamingHttpResponse:
        if hasattr(request, "scope"):

            async def each() -> AsyncGenerator[bytes]:
                for number in range(3):
                    yield str(number).encode()

            return StreamingHttpResponse(each())
        return StreamingHttpResponse(str(number).encode() for number in range(3))

    if not settings.configured:
        urls = type("urls", (), {})
        settings.configure(ROOT_URLCONF=urls, ALLOWED_HOSTS=["*"], SECRET_KEY="x", USE_TZ=True)
        django.setup()
        urls.urlpatterns = [  # type: ignore[attr-defined]
            path(name, view) for name, view in (("who", who), ("echo", echo), ("form", form), ("pieces", pieces))
        ]
    return ASGIHandler(), WSGIHandler()


async def check_django(client: httpx.AsyncClient, prefix: str) -> None:
    answer = await client.get(f"{prefix}/who", headers=TOKEN)
    assert answer.json() == {"user": "user1", "path": f"/plugins/p{prefix}/who", "info": "/who"}
    body = bytes(range(256)) * 4096
    assert (await client.post(f"{prefix}/echo", content=body)).content == body
    answer = await client.post(f"{prefix}/form", data={"a": "1"}, files={"f": b"xxx"})
    assert answer.json() == {"a": "1", "f": "xxx"}
    assert (await client.get(f"{prefix}/pieces")).text == "012"
    assert (await client.get(f"{prefix}/none")).status_code == 404


@pytest.mark.filterwarnings("ignore:.*iscoroutinefunction.*:DeprecationWarning")
async def test_django_runs_as_an_asgi_app(anyio_backend_name: str) -> None:
    """On asyncio, which Django's handler needs."""
    if anyio_backend_name != "asyncio":
        pytest.skip("Django's ASGI handler needs asyncio; on Trio mount its WSGI handler")
    asgi, _ = django_apps()
    async with browsing(plugin_with(asgi, "/dj")) as client:
        await check_django(client, "/dj")


async def test_django_runs_as_a_wsgi_app() -> None:
    """On both backends, in worker threads."""
    _, wsgi = django_apps()

    class Mounting(Plugin):
        web = mount_wsgi(wsgi, at="/dj")

    async with browsing(Mounting()) as client:
        await check_django(client, "/dj")


# -- WSGI


def wsgi_app(environ: dict[str, Any], start_response: wsgiref.types.StartResponse) -> Iterable[bytes]:
    """One of everything that PEP 3333 allows."""
    match environ["PATH_INFO"]:
        case "/environ":
            start_response("200 OK", [("Content-Type", "text/plain")])
            names = (
                "SCRIPT_NAME",
                "PATH_INFO",
                "QUERY_STRING",
                "HTTP_X_A",
                "CONTENT_LENGTH",
                "CONTENT_TYPE",
                "REMOTE_ADDR",
            )
            return ["|".join(str(environ.get(name)) for name in names).encode("latin-1")]
        case "/echo":
            start_response("200 OK", [])
            return iter(lambda: environ["wsgi.input"].read(1000), b"")
        case "/write":
            write = start_response("201 Made", [("X-Old", "1")])
            write(b"old ")
            return [b"and new"]
        case "/changed":
            start_response("200 OK", [("X-First", "1")])
            try:
                raise ValueError("no")
            except ValueError:
                import sys

                start_response("418 Teapot", [("X-Second", "1")], sys.exc_info())
            return []
        case "/late":
            return Late(start_response)
        case "/headless":
            return [b"no head"]
        case "/named":
            start_response("200 OK", [("X-Name", "\u00fc".encode().decode("latin-1")), ("X-Old", "\xfc")])
            return [environ["SERVER_NAME"].encode(), b" ", environ["SERVER_PORT"].encode()]
        case "/read":
            try:
                environ["wsgi.input"].read()
            except Exception:  # noqa: BLE001 - as frameworks do
                start_response("500 Oops", [])
                return [b"oops"]
            start_response("200 OK", [])
            return [b"read"]
        case _:
            raise ValueError("secret")


class Late:
    """Fails after its first piece, and wants to be closed."""

    closed = False

    def __init__(self, start_response: wsgiref.types.StartResponse) -> None:
        start_response("200 OK", [])
        type(self).closed = False

    def __iter__(self) -> Iterator[bytes]:
        yield b"half"
        raise ValueError("late")

    def close(self) -> None:
        type(self).closed = True


class WSGIPlugin(Plugin):
    """A plugin with a WSGI app."""

    old = mount_wsgi(wsgi_app, at="/old")


async def test_wsgi_apps_get_their_environ_and_stream() -> None:
    """Paths as PEP 3333 spells them, the body as a file, pieces as they come."""
    async with browsing(WSGIPlugin()) as client:
        answer = await client.post(
            "/old/environ?x=%20",
            content=b"abc",
            headers=[("X-A", "1"), ("X_A", "0"), ("X-A", "2"), ("Content_Type", "text/html")],
        )
        assert answer.text == "/plugins/p/old|/environ|x=%20|1, 2|3|None|127.0.0.1"
        body = bytes(range(256)) * 2048
        assert (await client.post("/old/echo", content=body)).content == body
        answer = await client.get("/old/write")
        assert (answer.status_code, answer.headers["x-old"], answer.text) == (201, "1", "old and new")
        answer = await client.get("/old/changed")
        assert (answer.status_code, answer.headers.get("x-first"), answer.headers["x-second"]) == (418, None, "1")


async def test_what_a_wsgi_app_does_wrong_is_seen() -> None:
    """500 before the head, a broken answer after it; close is called."""
    async with active(WSGIPlugin()) as link:
        async with link.open_http(get("/old/crash")) as call:
            await call.finish()
            assert (await read_answer(call)).head.status == 500
        async with link.open_http(get("/old/late")) as call:
            await call.finish()
            answer = await read_answer(call)
            assert (answer.body, answer.broken) == (b"half", True)
        assert Late.closed


@pytest.mark.parametrize(
    ("host", "seen"),
    [("[::1]:8065", "[::1] 8065"), ("[::1]", "[::1] 80"), ("a.example", "a.example 80"), ("", "localhost 80")],
)
async def test_wsgi_names_and_headers_are_what_the_client_sees(host: str, seen: str) -> None:
    """The server's name may be an IPv6 address; octets of a header arrive as the app meant them, UTF-8 or Latin-1."""
    async with (
        active(WSGIPlugin()) as link,
        link.open_http(RequestHead(method="GET", url="/old/named", host=host)) as call,
    ):
        await call.finish()
        answer = await read_answer(call)
    assert answer.body.decode() == seen
    assert answer.head.headers == (("X-Name", "\u00fc"), ("X-Old", "\u00fc"))


async def test_a_wsgi_app_without_a_head_is_an_error(caplog: pytest.LogCaptureFixture) -> None:
    """No empty 200 for an app that has forgotten start_response."""
    async with browsing(WSGIPlugin()) as client:
        assert (await client.get("/old/headless")).status_code == 500
    assert "without calling start_response" in caplog.text


async def read(request: StarletteRequest) -> StarletteResponse:
    await request.body()
    return StarletteResponse("read")


class Limited(Plugin):
    """Apps that make a 500 of whatever reading raises, behind a limit."""

    max_body_octets = 10
    new = mount_asgi(Starlette(routes=[Route("/new/read", read, methods=["POST"])]))
    old = mount_wsgi(wsgi_app, at="/old")


@pytest.mark.parametrize("where", ["new", "old"])
async def test_a_mounted_apps_body_over_the_limit_is_413(where: str, caplog: pytest.LogCaptureFixture) -> None:
    """Declared or not, whatever the framework makes of it; and it is no error of the plugin."""

    async def pieces() -> AsyncGenerator[bytes]:
        for _ in range(3):
            yield b"12345"

    async with browsing(Limited()) as client:
        assert (await client.post(f"/{where}/read", content=b"1234567890")).text == "read"
        assert (await client.post(f"/{where}/read", content=b"12345678901")).status_code == 413
        assert (await client.post(f"/{where}/read", content=pieces())).status_code == 413
    assert not [record for record in caplog.records if record.levelname == "ERROR"]
