"""What ServeHTTP costs and holds: many octets each way, and uploads that nobody reads."""

from __future__ import annotations

import statistics
import time

import anyio

from benchmarks.process import Running, running_plugin
from benchmarks.table import Row
from mm_plugin._proto.hooks_message_pb2 import MessageHasBeenPostedRequest
from mm_plugin._proto.post_pb2 import Post
from mm_plugin.transport.link import RequestHead

MEGABYTE = 1_000_000
CHUNK = bytes(65_536)


async def streaming(backend: str, *, octets: int = 100 * MEGABYTE) -> list[Row]:
    """Measure throughput and memory growth of the plugin in each direction."""
    rows = []
    for name, measure in (("upload", _upload), ("download", _download)):
        async with running_plugin(backend) as plugin:
            await measure(plugin, 4 * len(CHUNK))
            before = plugin.memory_octets()
            begun = time.perf_counter()
            await measure(plugin, octets)
            taken = time.perf_counter() - begun
            grown = plugin.memory_octets("VmHWM") - before
        megabytes = octets // MEGABYTE
        rows += [
            Row(f"{name} of {megabytes} MB through ServeHTTP", "MB/s", octets / MEGABYTE / taken, "at least 150 MB/s"),
            Row(f"memory growth of the plugin during that {name}", "MB", grown / MEGABYTE, "under 16 MB"),
        ]
    return rows


async def unread_uploads(backend: str, *, uploads: int = 200, hooks: int = 200) -> list[Row]:
    """Measure a hook's latency while uploads that nobody reads hold all they can."""
    post = MessageHasBeenPostedRequest(post=Post(message="x" * 300))
    async with running_plugin(backend) as plugin, anyio.create_task_group() as tasks:
        held = 0

        async def upload() -> None:
            nonlocal held
            async with plugin.link.open_http(RequestHead(method="POST", url="/hang")) as call:
                while True:
                    await call.send(CHUNK)
                    held += len(CHUNK)

        for _ in range(uploads):
            tasks.start_soon(upload)
        before = -1
        while held != before:  # until every upload is held back
            before = held
            await anyio.sleep(0.2)
        times = []
        for _ in range(hooks):
            begun = time.perf_counter()
            await plugin.link.call_hook("MessageHasBeenPosted", post)
            times.append(time.perf_counter() - begun)
        tasks.cancel_scope.cancel()
    times.sort()
    return [
        Row(f"hook beside {uploads} unread uploads, median", "ms", statistics.median(times) * 1000, "under 50 ms"),
        Row(f"hook beside {uploads} unread uploads, slowest of {hooks}", "ms", times[-1] * 1000, "under 50 ms"),
        Row("octets that those uploads had sent", "MB", held / MEGABYTE, ""),
    ]


async def _upload(plugin: Running, octets: int) -> None:
    async with plugin.link.open_http(RequestHead(method="POST", url="/upload")) as call:
        for _ in range(octets // len(CHUNK)):
            await call.send(CHUNK)
        await call.finish()
        await call.receive_head()
        part = await call.receive()
        assert part is not None
        assert int(part.data) == octets // len(CHUNK) * len(CHUNK), "octets were lost"


async def _download(plugin: Running, octets: int) -> None:
    async with plugin.link.open_http(RequestHead(method="GET", url=f"/download?octets={octets}")) as call:
        await call.finish()
        await call.receive_head()
        received = 0
        while (part := await call.receive()) is not None:
            received += len(part.data)
        assert received == octets // len(CHUNK) * len(CHUNK), "octets were lost"
