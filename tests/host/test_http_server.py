"""The HTTP server around any ASGI app: the port, both protocols, and the stop."""

from __future__ import annotations

import logging
import socket

import anyio
import httpx
import pytest

from mm_plugin.host.http_server import Receive, Scope, Send, serve_http_app
from tests.host.http_client import app_on_port, raw_client


class App:
    """An app that answers with the protocol it was asked by, and can be told to hang or fail."""

    def __init__(self) -> None:
        self.lifespan: list[object] = []
        self.started = anyio.Event()
        self.ended = anyio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            while True:
                event = (await receive())["type"]
                self.lifespan.append(event)
                await send({"type": f"{event}.complete"})
                if event == "lifespan.shutdown":
                    return
        await send({"type": "http.response.start", "status": 200, "headers": []})
        if scope["path"] == "/fail":
            raise RuntimeError("the app fails")
        if scope["path"] == "/hang":
            self.started.set()
            try:
                await anyio.sleep_forever()
            finally:
                self.ended.set()
        await send({"type": "http.response.body", "body": str(scope["http_version"]).encode(), "more_body": False})


async def test_port_zero_takes_a_free_port_and_reports_it() -> None:
    """Clients can connect as soon as the port is known; the lifespan runs around everything."""
    app = App()
    async with app_on_port(app) as port, httpx.AsyncClient() as client:
        assert port > 0
        response = await client.get(f"http://127.0.0.1:{port}/")
        assert (response.status_code, response.text) == (200, "1.1")
        assert "server" not in response.headers
        assert app.lifespan == ["lifespan.startup"]
    assert app.lifespan == ["lifespan.startup", "lifespan.shutdown"]


async def test_http2_is_spoken_by_prior_knowledge() -> None:
    """A client that begins with the HTTP/2 preface gets HTTP/2, without TLS."""
    async with app_on_port(App()) as port, httpx.AsyncClient(http1=False, http2=True) as client:
        response = await client.get(f"http://127.0.0.1:{port}/")
        assert (response.http_version, response.text) == ("HTTP/2", "2")


async def test_a_taken_port_is_said_with_its_number() -> None:
    """The error names the address; nothing is left running."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(OSError, match=f"cannot listen on 127.0.0.1:{port}: "):
            await serve_http_app(App(), port=port)


async def test_ipv6_is_served() -> None:
    """An IPv6 address is taken as such."""
    if not socket.has_ipv6:
        pytest.skip("this machine has no IPv6")
    async with anyio.create_task_group() as tasks:

        async def run(*, task_status: anyio.abc.TaskStatus[int]) -> None:
            try:
                await serve_http_app(App(), host="::1", task_status=task_status)
            except OSError as error:
                pytest.skip(f"this machine has no ::1 ({error})")

        port = await tasks.start(run)
        async with httpx.AsyncClient() as client:
            assert (await client.get(f"http://[::1]:{port}/")).text == "1.1"
        tasks.cancel_scope.cancel()


async def test_a_stop_cancels_what_outlives_its_grace() -> None:
    """A stream that never ends does not hold the stop; its client sees it break."""
    app = App()
    with anyio.fail_after(10):
        async with app_on_port(app, grace_s=0.05) as port:
            client = raw_client(port)
            raw = await client.__aenter__()
            await raw.send(b"GET /hang HTTP/1.1\r\nHost: x\r\n\r\n")
            await app.started.wait()
    assert app.ended.is_set()
    assert not (await raw.read_to_end()).endswith(b"0\r\n\r\n")
    await client.__aexit__(None, None, None)


async def test_a_stop_lets_running_requests_end() -> None:
    """A request that ends within the grace gets its whole answer."""
    release = anyio.Event()
    began = anyio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await App()(scope, receive, send)
            return
        began.set()
        await release.wait()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok", "more_body": False})

    texts: list[str] = []

    async def ask(port: int) -> None:
        async with httpx.AsyncClient() as client:
            texts.append((await client.get(f"http://127.0.0.1:{port}/")).text)

    async with anyio.create_task_group() as tasks, app_on_port(app, grace_s=5) as port:
        tasks.start_soon(ask, port)
        await began.wait()

        async def release_soon() -> None:
            await anyio.wait_all_tasks_blocked()
            release.set()

        tasks.start_soon(release_soon)
    assert texts == ["ok"]


async def test_an_app_that_fails_is_logged_and_breaks_the_connection(caplog: pytest.LogCaptureFixture) -> None:
    """Half an answer never looks whole, and the greeting of the server is no news."""
    async with app_on_port(App()) as port, raw_client(port) as client:
        await client.send(b"GET /fail HTTP/1.1\r\nHost: x\r\n\r\n")
        answer = await client.read_to_end()
    assert answer.startswith(b"HTTP/1.1 200")
    assert not answer.endswith(b"0\r\n\r\n")
    (record,) = [record for record in caplog.records if record.name.startswith("mm_plugin.host")]
    assert record.levelno == logging.ERROR
    assert "the app fails" in (record.exc_text or str(record.exc_info))
