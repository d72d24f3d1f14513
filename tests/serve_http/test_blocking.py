"""Blocking handlers: a worker thread that reads and writes the same streams."""

from __future__ import annotations

import threading
from pathlib import Path

import anyio
import httpx
import pytest

from mm_plugin.plugin.plugin import Plugin
from mm_plugin.serve_http.request import Request
from mm_plugin.serve_http.response import Response
from mm_plugin.serve_http.routing import route
from tests.serve_http.plugins import active, browsing
from tests.serve_http.served import ask, get, read_answer


class Blocking(Plugin):
    """Everything a thread can do."""

    def __init__(self) -> None:
        self.threads: set[int] = set()
        self.failed = threading.Event()
        self.hanging = threading.Semaphore(0)
        self.go_on = threading.Event()

    def serve_http(self, request: Request, response: Response) -> None:
        self.threads.add(threading.get_ident())
        sync, body = response.sync, request.sync
        match request.path:
            case "/echo":
                for piece in body:
                    sync.write(piece, flush=True)
                assert body.receive() == b""
            case "/json":
                sync.json(body.json(), status=202)
            case "/form":
                sync.text(body.form()["a"])
            case "/read":
                sync.write(body.read())
                sync.flush()
                sync.finish()
            case "/upload":
                with body.multipart() as form:
                    (file,) = form.files
                    sync.text(f"{form.get('a')} {file.file.read().decode()}")
            case "/file":
                sync.send_file(__file__)
            case "/away":
                sync.redirect("/elsewhere", status=307)
            case "/events":
                with sync.events() as events:
                    events.send("one", id="1")
                    events.comment("two")
            case "/hang":
                sync.flush()
                self.hanging.release()
                self.go_on.wait(20)
                try:
                    while True:
                        sync.write(b"x" * 65_536)
                except BaseException:
                    self.failed.set()
                    raise
            case _:
                raise ValueError("secret")


async def test_a_thread_reads_and_writes() -> None:
    """Each helper has a twin; the body streams both ways."""
    plugin = Blocking()
    async with browsing(plugin) as client:
        assert (await client.post("/echo", content=b"x" * 300_000)).content == b"x" * 300_000
        answer = await client.post("/json", json={"a": 1})
        assert (answer.status_code, answer.json()) == (202, {"a": 1})
        assert (await client.post("/form", data={"a": "ü"})).text == "ü"
        assert (await client.post("/read", content=b"abc")).content == b"abc"
        upload = await client.post("/upload", data={"a": "1"}, files={"f": b"content"})
        assert upload.text == "1 content"
        assert (await client.get("/file")).content == Path(__file__).read_bytes()
        assert (await client.get("/away")).headers["location"] == "/elsewhere"
        assert (await client.get("/events")).text == "id: 1\ndata: one\n\n: two\n\n"
        assert (await client.get("/crash")).status_code == 500
        assert (await client.post("/json", content=b"{")).status_code == 400
    assert threading.get_ident() not in plugin.threads


async def test_a_thread_whose_client_has_gone_is_told_at_its_next_write() -> None:
    """The call ends at once; the thread's next write raises, and other calls go on."""
    plugin = Blocking()
    async with active(plugin) as link:
        async with link.open_http(get("/hang")) as call:
            await call.finish()
            await call.receive_head()
        plugin.go_on.set()
        assert await anyio.to_thread.run_sync(plugin.failed.wait, 20)
        async with link.open_http(get("/away")) as call:
            await call.finish()
            assert (await read_answer(call)).head.status == 307


async def test_slow_clients_of_threads_do_not_keep_hooks_waiting() -> None:
    """Blocking handlers have threads of their own."""

    class Both(Blocking):
        def execute_command(self, context: object, args: object) -> None:
            """Blocking, too."""

    from mm_plugin import limits
    from mm_plugin._proto.hooks_command_pb2 import ExecuteCommandRequest

    plugin = Both()
    async with active(plugin) as link, anyio.create_task_group() as tasks:

        async def hang() -> None:
            async with link.open_http(get("/hang")) as call:
                await call.finish()
                await call.receive_head()
                await anyio.sleep_forever()

        for _ in range(limits.hook_threads + 1):
            tasks.start_soon(hang)
        for _ in range(limits.hook_threads + 1):
            await anyio.to_thread.run_sync(plugin.hanging.acquire)
        await link.call_hook("ExecuteCommand", ExecuteCommandRequest())
        plugin.go_on.set()
        tasks.cancel_scope.cancel()


async def test_a_coroutine_from_a_plain_function_is_an_error(caplog: pytest.LogCaptureFixture) -> None:
    """A lambda around an async function would never be awaited; it is said, not lost."""

    async def inner(request: Request, response: Response) -> None: ...

    def outer(request: Request, response: Response) -> object:
        return inner(request, response)

    answer = await ask(outer)  # type: ignore[arg-type]
    assert answer.head.status == 500
    assert "make it one" in caplog.text


class Returning(Plugin):
    """Handlers that return their answer, as in frameworks; nothing of it would be sent."""

    @route("GET", "/dict")
    async def as_dict(self, request: Request, response: Response) -> dict[str, int]:
        return {"a": 1}

    @route("GET", "/thread")
    def in_a_thread(self, request: Request, response: Response) -> str:
        return "text"

    @route("GET", "/wrapped")
    def wrapped(self, request: Request, response: Response) -> object:
        return self.as_dict(request, response)

    @route("GET", "/late")
    async def late(self, request: Request, response: Response) -> bool:
        await response.text("sent")
        return True

    async def serve_http(self, request: Request, response: Response) -> None:
        return b"octets"  # type: ignore[return-value]


class ReturningAlone(Plugin):
    """The same without any route."""

    def serve_http(self, request: Request, response: Response) -> None:
        return "text"  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("plugin", "path", "status", "said"),
    [
        (Returning, "/dict", 500, "Returning.as_dict returned a value of type dict"),
        (Returning, "/thread", 500, "Returning.in_a_thread returned a value of type str"),
        (Returning, "/wrapped", 500, "Returning.wrapped is no `async def` but returned a coroutine"),
        (Returning, "/late", 200, "Returning.late returned a value of type bool"),
        (Returning, "/", 500, "Returning.serve_http returned a value of type bytes"),
        (ReturningAlone, "/", 500, "ReturningAlone.serve_http returned a value of type str"),
    ],
)
async def test_a_returned_answer_is_an_error_that_says_what_to_do(
    plugin: type[Plugin], path: str, status: int, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    """What a handler returns would be lost: it is logged by the method's name, and no empty 200 goes out."""
    async with browsing(plugin()) as client:
        assert (await client.get(path)).status_code == status
    (record,) = [record for record in caplog.records if record.exc_info]
    assert said in str(record.exc_info)
    assert "coroutine" in said or "response.json" in str(record.exc_info)


async def test_a_client_error_is_none_of_ours() -> None:
    """A client that breaks its upload off meets no hanging thread."""
    async with browsing(Blocking()) as client:

        async def broken() -> object:
            yield b"half"
            raise RuntimeError("the client breaks off")

        with pytest.raises((RuntimeError, httpx.HTTPError)):
            await client.post("/read", content=broken())  # type: ignore[arg-type]
        assert (await client.post("/read", content=b"abc")).content == b"abc"
