"""Cancel a call at each of its await points in turn, and see that nothing of it is left.

The steps are counted, not guessed: a wrapper drives a coroutine and cancels when it gives up control for the n-th time,
for n = 1, 2, 3 … until a run ends without having been cancelled.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Generator
from contextlib import contextmanager
from functools import partial
from types import coroutine
from typing import TypeVar

import anyio

from mm_plugin import limits
from mm_plugin.transport.link import HostLink, RequestHead

T = TypeVar("T")
AroundUpload = Callable[[Callable[[], Awaitable[None]]], Coroutine[object, object, None]]
PIECE = bytes(limits.http_chunk_octets)


@coroutine
def stepped(call: Awaitable[T], scope: anyio.CancelScope, step: int) -> Generator[object, object, T]:
    """Await ``call``; cancel ``scope`` when it gives up control for the ``step``-th time."""
    inner = call.__await__()
    count = 0
    value: object = None
    error: BaseException | None = None
    while True:
        try:
            waits_for = inner.send(value) if error is None else inner.throw(error)
        except StopIteration as stop:
            return stop.value  # type: ignore[no-any-return]
        count += 1
        if count == step:
            scope.cancel()
        value = error = None
        try:
            value = yield waits_for
        except BaseException as caught:  # noqa: BLE001 - passed on to the call as it is
            error = caught


async def until_past_the_end(run: Callable[[int], Awaitable[bool]]) -> int:
    """Cancel at step 1, 2, 3 … until a run was not cancelled; gives the number of steps."""
    step = 1
    while await run(step):
        step += 1
        assert step < 2_000, "the call never ends"
    return step - 1


class Counting:
    """Counts what runs, so that a leak shows."""

    def __init__(self) -> None:
        self.running = 0
        self.idle = anyio.Event()

    @contextmanager
    def counted(self) -> Generator[None]:
        """Count what runs within."""
        self.running += 1
        try:
            yield
        finally:
            self.running -= 1
            self.idle.set()

    async def wait_idle(self) -> None:
        """Wait until no handler is left."""
        while self.running:
            self.idle = anyio.Event()
            await self.idle.wait()


async def whole_call(host: HostLink, around_upload: AroundUpload | None = None) -> bytes:
    """Upload three pieces while the answer is read: every await point a call has at the host."""
    body = b""
    async with (
        host.open_http(RequestHead(method="POST", url="/echo")) as call,
        anyio.create_task_group() as tasks,
    ):

        async def upload() -> None:
            for _ in range(3):
                await call.send(PIECE)
            await call.finish()

        tasks.start_soon(upload if around_upload is None else partial(around_upload, upload))
        await call.receive_head()
        while (part := await call.receive()) is not None:
            body += part.data
    return body


async def until_tasks_are_gone(before: int) -> None:
    """Wait until no more tasks run than before; a task that is left over makes the test's own time limit end it."""
    while len(anyio.get_running_tasks()) > before:
        await anyio.lowlevel.checkpoint()
