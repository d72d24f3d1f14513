"""Real clients against a plugin's event stream behind the gateway: httpx, curl, a browser's EventSource."""

from __future__ import annotations

import resource
import shutil
import signal
import subprocess
from pathlib import Path

import anyio
import pytest

from mm_plugin.serve_http import Request, Response
from tests.host.http_client import handler_on_port, raw_client

PAGE = """<!doctype html><title>waiting</title><script>
const seen = [];
const source = new EventSource("events");
source.addEventListener("tick", event => {
  seen.push(event.lastEventId + ":" + event.data);
  if (seen.length == 4) { source.close(); document.title = seen.join(" "); fetch("done?" + seen.join(",")); }
});
</script>"""


#: A page without a window, as any user, and no word to anybody else.
BROWSER_OPTIONS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--remote-debugging-port=0",  # else it prints the page and ends
)


async def test_a_browsers_event_source_reads_and_connects_again(tmp_path: Path) -> None:
    """A browser shows each event at once, and says where it was when the stream breaks."""
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)
    if browser is None:
        pytest.skip("no Chromium is installed")
    done: list[str] = []
    ended = anyio.Event()

    async def handler(request: Request, response: Response) -> None:
        match request.path:
            case "/":
                response.headers["content-type"] = "text/html"
                await response.write(PAGE)
            case "/events":
                first = int(request.headers.get("Last-Event-ID", "0")) + 1
                async with response.events() as events:
                    for number in (first, first + 1):
                        await events.send(f"n{number}", event="tick", id=str(number), retry_ms=10)
            case "/done":
                done.append(request.query_string)
                ended.set()
            case _:  # such as an icon
                response.status = 404

    async with (
        handler_on_port(handler) as port,
        await anyio.open_process(
            [browser, *BROWSER_OPTIONS, f"--user-data-dir={tmp_path}", f"http://127.0.0.1:{port}/plugins/p/"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        ) as process,
    ):
        await ended.wait()
        process.send_signal(signal.SIGTERM)
    assert done == ["1:n1,2:n2,3:n3,4:n4"]


async def test_curl_prints_each_event_when_it_is_sent() -> None:
    """Curl without its buffer gets an event while the handler waits for the next."""
    curl = shutil.which("curl")
    if curl is None:
        pytest.skip("curl is not installed")
    step = anyio.Event()

    async def handler(request: Request, response: Response) -> None:
        async with response.events() as events:
            await events.send("one", id="1")
            await step.wait()
            await events.send("two", id="2")

    async with (
        handler_on_port(handler) as port,
        await anyio.open_process(
            [curl, "-sSN", f"http://127.0.0.1:{port}/plugins/p/"], stderr=subprocess.DEVNULL
        ) as process,
    ):
        assert process.stdout is not None
        assert await process.stdout.receive() == b"id: 1\ndata: one\n\n"
        step.set()
        assert await process.stdout.receive() == b"id: 2\ndata: two\n\n"
        assert await process.wait() == 0


@pytest.mark.parametrize("options", [["--http1.1"], ["--http2-prior-knowledge"]])
async def test_curl_sees_a_broken_answer(options: list[str]) -> None:
    """Curl ends with an error over both protocols: 18 for a partial body, 92 for a reset stream."""
    curl = shutil.which("curl")
    if curl is None:
        pytest.skip("curl is not installed")

    async def handler(request: Request, response: Response) -> None:
        await response.write("half", flush=True)
        raise RuntimeError("no more")

    async with handler_on_port(handler) as port:
        ran = await anyio.run_process(
            [curl, "-sS", *options, f"http://127.0.0.1:{port}/plugins/p/"], check=False, stderr=subprocess.PIPE
        )
    if b"does not support" in ran.stderr:
        pytest.skip("this curl has no HTTP/2")
    assert ran.returncode in (18, 92), ran.stderr
    # Over HTTP/2 curl drops data that it reads together with the reset.
    assert ran.stdout == b"half" or (ran.stdout == b"" and ran.returncode == 92)


@pytest.mark.timeout(120)
async def test_many_idle_event_streams_on_one_plugin() -> None:
    """A thousand connections of browsers stay open beside each other, each gets its event."""
    descriptors, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    count = min(1_000, (descriptors - 200) // 2)  # both ends of each are ours
    waiting = 0
    everyone, step = anyio.Event(), anyio.Event()

    async def handler(request: Request, response: Response) -> None:
        nonlocal waiting
        async with response.events() as events:
            waiting += 1
            if waiting == count:
                everyone.set()
            await step.wait()
            await events.send("now")

    got = 0

    async with handler_on_port(handler, limit_s=100) as port, anyio.create_task_group() as tasks:

        async def listen() -> None:
            nonlocal got
            async with raw_client(port) as client:
                await client.send(b"GET /plugins/p/ HTTP/1.1\r\nHost: x\r\n\r\n")
                await client.read_until(b"data: now\n\n")
                got += 1

        for _ in range(count):
            tasks.start_soon(listen)
        await everyone.wait()
        step.set()
    assert got == count
