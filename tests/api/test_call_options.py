"""`api.options` and code that leaves it in unusual order: generators, context managers, tasks, other contexts."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from contextvars import copy_context

import anyio
import pytest
from anyio import to_thread

from mm_plugin.api import options
from mm_plugin.api.client import PluginAPIClient
from mm_plugin.api.options import timeout_of
from mm_plugin.host.api_receiver import HandlerAPI
from tests.api.api_samples import DirectCaller


class Server:
    """Answers with the key."""

    async def kv_get(self, key: str) -> bytes:
        return key.encode()


class Timed(DirectCaller):
    """Keeps how long each call might take."""

    def __init__(self) -> None:
        super().__init__(HandlerAPI(Server()))
        self.api = PluginAPIClient.on_link(self, api_timeout_s=30)

    async def seconds(self) -> int:
        """Make a call; return the seconds it had."""
        await self.api.kv_get("key")
        assert self.deadline is not None
        return round(self.deadline - anyio.current_time())


async def seconds_of(caller: Timed, timeout_s: float) -> AsyncGenerator[int]:
    """Yield inside of options, as no code should that wants them for itself alone."""
    with caller.api.options(timeout_s=timeout_s):
        yield await caller.seconds()
        yield await caller.seconds()
    yield await caller.seconds()


async def test_options_of_an_async_generator_do_not_leak_to_its_consumer() -> None:
    """They hold inside the generator; between its items the consumer has its own, before and after as well."""
    caller = Timed()
    seen: list[int] = []
    with caller.api.options(timeout_s=50):
        async for seconds in seconds_of(caller, 100):
            seen += [seconds, await caller.seconds()]
        assert await caller.seconds() == 50
    assert seen == [100, 50, 100, 50, 50, 50]
    assert await caller.seconds() == 30


async def test_two_generators_and_their_consumer_keep_apart() -> None:
    """Settings that end in another order than they began take nothing of each other away."""
    caller = Timed()
    one, two = seconds_of(caller, 100), seconds_of(caller, 200)
    assert [await anext(one), await anext(two)] == [100, 200]
    with caller.api.options(timeout_s=50):
        assert [await anext(one), await anext(one)] == [50, 50]  # begun last, it counts; then one's options end
        assert await anext(one, None) is None
        assert await caller.seconds() == 50
    assert [await anext(two), await caller.seconds()] == [200, 30]
    await two.aclose()
    assert await caller.seconds() == 30


async def test_a_generator_that_is_left_early_leaves_nothing_behind() -> None:
    """Closed between its items, in its own task or in another one, its options end; closing raises nothing."""
    caller = Timed()
    for close_elsewhere in (False, True):
        generator = seconds_of(caller, 100)
        assert await anext(generator) == 100
        if close_elsewhere:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(generator.aclose)
        else:
            await generator.aclose()
        assert await caller.seconds() == 30


async def test_a_plain_generator_keeps_its_options_to_itself() -> None:
    """So does one without async, while it waits at its yield."""
    caller = Timed()

    def numbers() -> Generator[float | None]:
        with caller.api.options(timeout_s=100):
            yield timeout_of(caller.api)

    for timeout_s in numbers():
        assert timeout_s == 100
        assert await caller.seconds() == 30


async def test_a_context_manager_written_as_a_generator_passes_its_options_on() -> None:
    """Its yield is the code inside the with: that is what it sets the options for. An ExitStack does as well."""
    caller = Timed()

    @asynccontextmanager
    async def patient() -> AsyncGenerator[None]:
        with caller.api.options(timeout_s=100):
            yield

    @contextmanager
    def hasty() -> Generator[None]:
        with ExitStack() as stack:
            stack.enter_context(caller.api.options(timeout_s=5))
            yield

    async with patient():
        assert await caller.seconds() == 100
        with hasty():
            assert await caller.seconds() == 5
        assert await caller.seconds() == 100
    with ExitStack() as stack:
        stack.enter_context(caller.api.options(timeout_s=7))
        assert await caller.seconds() == 7
    assert await caller.seconds() == 30


async def test_tasks_and_threads_begun_inside_keep_the_options() -> None:
    """A task started inside keeps them after the end of the context, and so does a context copied there."""
    caller = Timed()
    seen: list[int] = []
    go = anyio.Event()

    async def late() -> None:
        await go.wait()
        seen.append(await caller.seconds())

    async with anyio.create_task_group() as tasks:
        with caller.api.options(timeout_s=100):
            tasks.start_soon(late)
            context = copy_context()
            await anyio.wait_all_tasks_blocked()
            assert await to_thread.run_sync(timeout_of, caller.api) == 100
        go.set()
        assert await caller.seconds() == 30
    assert seen == [100]
    assert await to_thread.run_sync(context.run, timeout_of, caller.api) == 100


async def test_options_are_used_once() -> None:
    """The same options a second time, or inside of themselves, are a RuntimeError."""
    options = Timed().api.options(timeout_s=1)
    with options, pytest.raises(RuntimeError, match="call options"):
        options.__enter__()
    with pytest.raises(RuntimeError, match="call options"):
        options.__enter__()


async def test_settings_that_end_out_of_order_do_not_pile_up() -> None:
    """However often a generator ends within what was set after it, at most the last setting is kept."""
    caller = Timed()
    for _ in range(5):
        generator = seconds_of(caller, 100)
        assert await anext(generator) == 100
        with caller.api.options(timeout_s=50):
            await generator.aclose()
        assert await caller.seconds() == 30
    setting, kept = options._INNERMOST.get(), 0
    while setting is not None:
        setting, kept = setting.around(), kept + 1
    assert kept <= 1
