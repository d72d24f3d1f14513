"""What HTTP requests leave behind when their callers give up: nothing that only the collector of cycles would free."""

from __future__ import annotations

import gc

import anyio

from mm_plugin.serve_http import Request, Response

from .served import get, served


def requests() -> int:
    """Count the requests that are in memory."""
    return sum(type(found) is Request for found in gc.get_objects())


async def test_a_request_that_is_given_up_leaves_no_cycle() -> None:
    """A handler that was cancelled, with all that it held: a peer may open and reset for ever."""
    ended = anyio.Event()

    async def hang(request: Request, response: Response) -> None:
        try:
            await response.flush()
            await anyio.sleep_forever()
        finally:
            ended.set()

    async with served(hang) as host:
        gc.collect()
        known = requests()  # other tests may hold some
        gc.disable()
        try:
            for _ in range(3):
                ended = anyio.Event()
                async with host.open_http(get()) as call:
                    await call.receive_head()
                await ended.wait()
            await anyio.wait_all_tasks_blocked()
            left = requests()
        finally:
            gc.enable()
    assert left <= known
