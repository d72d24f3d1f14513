"""What the gateway costs and holds: octets each way through real HTTP, and the first octet of an event stream."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
from anyio.abc import SocketStream

from benchmarks.process import Running, running_plugin
from benchmarks.table import Row
from mm_plugin.host.gateway import Gateway, Session
from mm_plugin.host.http_server import Receive, Scope, Send, serve_http_app

MEGABYTE = 1_000_000
CHUNK = bytes(65_536)


async def gateway(backend: str, *, octets: int = 100 * MEGABYTE) -> list[Row]:
    """Measure throughput and memory growth of plugin and gateway in each direction, over HTTP/1.1."""
    rows = []
    megabytes = octets // MEGABYTE
    for name, measure in (("upload", _upload), ("download", _download)):
        async with running_plugin(backend) as plugin, gateway_of(plugin) as port:
            await measure(port, 16 * len(CHUNK))
            plugin_before, own_before = plugin.memory_octets(), _own_memory_octets()
            begun = time.perf_counter()
            own_highest = await _watched(measure, port, octets)
            taken = time.perf_counter() - begun
            rows += [
                Row(f"{name} of {megabytes} MB through the gateway", "MB/s", octets / MEGABYTE / taken),
                Row(
                    f"memory growth of the plugin during that {name}",
                    "MB",
                    (plugin.memory_octets("VmHWM") - plugin_before) / MEGABYTE,
                    "under 16 MB",
                ),
                Row(
                    f"memory growth of the gateway during that {name}",
                    "MB",
                    (own_highest - own_before) / MEGABYTE,
                    "under 16 MB",
                ),
            ]
    return rows


async def event_streams(backend: str, *, idle: int = 1_000, rounds: int = 50) -> list[Row]:
    """Measure the first octet of an event stream against a direct server's, and a thousand idle streams."""
    async with running_plugin(backend) as plugin, gateway_of(plugin) as port, _direct_server() as direct:
        through = await _first_octets_ms(port, rounds)
        alone = await _first_octets_ms(direct, rounds)
        before = plugin.memory_octets()
        async with anyio.create_task_group() as tasks:
            opened = 0

            async def hold() -> None:
                nonlocal opened
                async with await _ask(port, "GET", "/hang") as stream:
                    await _read_head(stream)
                    opened += 1
                    await anyio.sleep_forever()

            begun = time.perf_counter()
            for _ in range(idle):
                tasks.start_soon(hold)
            while opened < idle:  # noqa: ASYNC110 - an event would have to be counted too
                await anyio.sleep(0.01)
            taken = time.perf_counter() - begun
            grown = plugin.memory_octets() - before
            beside = await _first_octets_ms(port, rounds)
            tasks.cancel_scope.cancel()
    return [
        Row("first octet of an event stream, direct server", "ms", alone),
        Row("first octet of an event stream, plugin and gateway", "ms", through, "within a few ms"),
        Row(f"opening {idle} event streams on one plugin", "s", taken),
        Row("first octet of one more beside them", "ms", beside, "within a few ms"),
        Row("memory of the plugin for each of them", "kB", grown / 1000 / idle),
    ]


@asynccontextmanager
async def gateway_of(plugin: Running) -> AsyncGenerator[int]:
    """Serve a plugin as ``p`` behind the gateway; gives the port."""

    async def nobody(_token: str) -> Session | None:
        return None

    async with anyio.create_task_group() as tasks:
        app = Gateway({"p": plugin.link}.get, nobody)

        async def run(*, task_status: anyio.abc.TaskStatus[int]) -> None:
            await serve_http_app(app, grace_s=0, task_status=task_status)

        yield await tasks.start(run)
        tasks.cancel_scope.cancel()


@asynccontextmanager
async def _direct_server() -> AsyncGenerator[int]:
    """The same HTTP server around the smallest app there is."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            while True:
                event = (await receive())["type"]
                await send({"type": f"{event}.complete"})
                if event == "lifespan.shutdown":
                    return
        headers = [(b"content-type", b"text/event-stream")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"data: 1\n\n", "more_body": True})
        while (await receive())["type"] != "http.disconnect":
            pass

    async with anyio.create_task_group() as tasks:

        async def run(*, task_status: anyio.abc.TaskStatus[int]) -> None:
            await serve_http_app(app, grace_s=0, task_status=task_status)

        yield await tasks.start(run)
        tasks.cancel_scope.cancel()


async def _ask(port: int, method: str, path: str, fields: str = "") -> SocketStream:
    stream = await anyio.connect_tcp("127.0.0.1", port)
    await stream.send(f"{method} /plugins/p{path} HTTP/1.1\r\nHost: x\r\n{fields}\r\n".encode())
    return stream


async def _read_head(stream: SocketStream) -> bytes:
    seen = b""
    while b"\r\n\r\n" not in seen:
        seen += await stream.receive()
    return seen


async def _first_octets_ms(port: int, rounds: int) -> float:
    times = []
    for _ in range(rounds):
        begun = time.perf_counter()
        async with await _ask(port, "GET", "/event") as stream:
            seen = b""
            while b"data: 1\n\n" not in seen:
                seen += await stream.receive()
            times.append(time.perf_counter() - begun)
    return statistics.median(times) * 1000


async def _upload(port: int, octets: int) -> None:
    count = octets // len(CHUNK)
    async with await _ask(port, "POST", "/upload", f"Content-Length: {count * len(CHUNK)}\r\n") as stream:
        for _ in range(count):
            await stream.send(CHUNK)
        seen = await _read_head(stream)
        while str(count * len(CHUNK)).encode() not in seen:
            seen += await stream.receive()


async def _download(port: int, octets: int) -> None:
    count = octets // len(CHUNK)
    async with await _ask(port, "GET", f"/download?octets={octets}") as stream:
        received, end = 0, b""
        while not end.endswith(b"\r\n0\r\n\r\n"):
            piece = await stream.receive(1 << 18)
            received += len(piece)
            end = (end + piece)[-7:]
    assert received > count * len(CHUNK), "octets were lost"


async def _watched(measure: object, port: int, octets: int) -> int:
    """Run a measurement while the highest memory of this process is looked for; it has client and gateway in it."""
    highest = 0

    async def watch() -> None:
        nonlocal highest
        while True:
            highest = max(highest, _own_memory_octets())
            await anyio.sleep(0.05)

    assert callable(measure)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(watch)
        await measure(port, octets)
        tasks.cancel_scope.cancel()
    return highest


def _own_memory_octets() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGESIZE")
