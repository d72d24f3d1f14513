"""One channel under load, and a real server that dies in mid-call and comes back."""

from __future__ import annotations

import sys
import threading
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import cast

import anyio
import anyio.lowlevel
import pytest
from anyio import to_thread
from anyio.abc import Process, SocketAttribute, SocketListener
from anyio.streams.text import TextReceiveStream

from mm_plugin.api.client import PluginAPIClient
from mm_plugin.exceptions import ConnectionLostError, DeadlineError, UnavailableError
from mm_plugin.host.api_receiver import HandlerAPI
from mm_plugin.transport.grpc.api_end import open_api_server
from mm_plugin.transport.memory import memory_link

SERVER = Path(__file__).with_name("api_server_process.py")
TASKS, CALLS = 100, 100
#: A RST_STREAM frame of stream 1, up to its error code (RFC 9113, section 6.4).
RESET_HEAD = bytes([0, 0, 4, 3, 0, 0, 0, 0, 1])
SETTINGS = bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])


class Echo:
    """Answers a key with itself, out of order."""

    def __init__(self) -> None:
        self.calls = 0

    async def kv_get(self, key: str) -> bytes:
        self.calls += 1
        for _ in range(hash(key) % 4):
            await anyio.lowlevel.checkpoint()
        return key.encode()


@asynccontextmanager
async def client_of(kind: str, echo: Echo) -> AsyncGenerator[PluginAPIClient]:
    if kind == "memory":
        yield PluginAPIClient.on_link(memory_link(HandlerAPI(echo))[0])
    else:
        async with open_api_server(HandlerAPI(echo)) as target, PluginAPIClient(target) as api:
            yield api


@pytest.mark.parametrize("kind", ["memory", "tcp"])
async def test_ten_thousand_calls_from_a_hundred_tasks(kind: str) -> None:
    """Each of 10,000 calls through one channel gets its own answer; the server sees each once."""
    echo = Echo()
    answered = 0

    async def work(api: PluginAPIClient, task: int) -> None:
        nonlocal answered
        for call in range(CALLS):
            key = f"{task}/{call}"
            assert await api.kv_get(key) == key.encode()
            answered += 1

    async with client_of(kind, echo) as api, anyio.create_task_group() as tasks:
        for task in range(TASKS):
            tasks.start_soon(work, api, task)
    assert (answered, echo.calls) == (TASKS * CALLS, TASKS * CALLS)


@pytest.mark.parametrize("kind", ["memory", "tcp"])
async def test_ten_thousand_blocking_calls_from_a_hundred_threads(kind: str) -> None:
    """The same by api.sync: a hundred worker threads share the channel, and each gets its own answers."""
    echo = Echo()
    answered: list[str] = []
    threads = anyio.CapacityLimiter(TASKS)

    def work(api: PluginAPIClient, task: int) -> None:
        for call in range(CALLS):
            key = f"{task}/{call}"
            assert api.sync.kv_get(key) == key.encode()
            answered.append(key)

    async with client_of(kind, echo) as api, anyio.create_task_group() as tasks:
        for task in range(TASKS):
            tasks.start_soon(partial(to_thread.run_sync, work, api, task, limiter=threads))
    assert (len(set(answered)), echo.calls) == (TASKS * CALLS, TASKS * CALLS)


class RunningServer:
    """The server's process, and the lines it writes."""

    def __init__(self, process: Process) -> None:
        self.process = process
        assert process.stdout is not None
        self._text = TextReceiveStream(process.stdout)
        self._rest = ""

    async def line(self) -> str:
        while "\n" not in self._rest:
            self._rest += await self._text.receive()
        line, _, self._rest = self._rest.partition("\n")
        return line

    async def kill(self) -> None:
        self.process.kill()
        await self.process.wait()


@asynccontextmanager
async def serving(port: int) -> AsyncGenerator[RunningServer]:
    async with await anyio.open_process([sys.executable, str(SERVER), str(port)], stderr=None) as process:
        try:
            yield RunningServer(process)
        finally:
            if process.returncode is None:
                process.kill()


async def test_a_server_that_dies_gives_each_call_one_error_and_is_found_again() -> None:
    """Killed in mid-call, every waiting call raises ConnectionLostError; after its return the next call works."""
    waiting, errors = 20, list[Exception]()

    async def wait(api: PluginAPIClient, number: int) -> None:
        try:
            await api.kv_get(f"wait {number}")
        except ConnectionLostError as error:
            errors.append(error)

    async with serving(0) as first:
        port = int(await first.line())
        async with PluginAPIClient(f"127.0.0.1:{port}") as api:
            async with anyio.create_task_group() as tasks:
                for number in range(waiting):
                    tasks.start_soon(wait, api, number)
                seen = {await first.line() for _ in range(waiting)}
                await first.kill()
            assert seen == {f"wait {number}" for number in range(waiting)}  # each was seen once: nothing was repeated
            assert len(errors) == waiting
            assert all("connection" in str(error) for error in errors), errors[0]
            with api.options(timeout_s=0.2), pytest.raises(UnavailableError, match="cannot be reached") as caught:
                await api.kv_get("nobody is there")
            assert not isinstance(caught.value, ConnectionLostError | DeadlineError)
            async with anyio.create_task_group() as tasks, serving(port) as second:
                answers: list[bytes] = []

                async def ask() -> None:
                    answers.append(await api.kv_get("again"))  # begun before the server is back

                tasks.start_soon(ask)
                assert int(await second.line()) == port
                assert await api.kv_get("back") == b"back"
                while not answers:
                    await anyio.lowlevel.checkpoint()
            assert answers == [b"again"]


async def test_a_server_that_dies_gives_each_blocking_call_one_error_and_is_found_again() -> None:
    """The same by api.sync: each waiting thread gets one ConnectionLostError; after the return its next call works."""
    waiting = 8
    errors: list[Exception] = []
    answers: list[bytes] = []
    back = threading.Event()

    def work(api: PluginAPIClient, number: int) -> None:
        try:
            api.sync.kv_get(f"wait {number}")
        except ConnectionLostError as error:
            errors.append(error)
        back.wait(60)
        answers.append(api.sync.kv_get(f"again {number}"))

    async with serving(0) as first:
        port = int(await first.line())
        async with PluginAPIClient(f"127.0.0.1:{port}") as api, anyio.create_task_group() as tasks:
            for number in range(waiting):
                tasks.start_soon(to_thread.run_sync, work, api, number)
            assert {await first.line() for _ in range(waiting)} == {f"wait {number}" for number in range(waiting)}
            await first.kill()
            try:
                with anyio.fail_after(30):
                    while len(errors) < waiting:
                        await anyio.lowlevel.checkpoint()
                async with serving(port) as second:
                    assert int(await second.line()) == port
                    back.set()
                    with anyio.fail_after(30):
                        while len(answers) < waiting:
                            await anyio.lowlevel.checkpoint()
            finally:
                back.set()
    assert sorted(answers) == [b"again %d" % number for number in range(waiting)]


async def test_an_idle_connection_is_left_alone() -> None:
    """Between calls nothing is sent: no keepalive pings that a host would count against us."""
    received = bytearray()
    reset = anyio.Event()

    async with await anyio.create_tcp_listener(local_host="127.0.0.1", local_port=0) as listener:
        port: int = listener.extra(SocketAttribute.local_port)
        async with anyio.create_task_group() as tasks, PluginAPIClient(f"127.0.0.1:{port}") as api:

            async def take() -> None:
                async with await cast("SocketListener", listener.listeners[0]).accept() as stream:
                    await stream.send(SETTINGS)  # no call is sent before that
                    async for data in stream:
                        received.extend(data)
                        if received[-13:-4] == RESET_HEAD:
                            reset.set()

            tasks.start_soon(take)
            with pytest.raises(DeadlineError), api.options(timeout_s=0.05):
                await api.kv_get("key")
            await reset.wait()
            before = len(received)
            with anyio.move_on_after(0.5):
                await anyio.sleep_forever()
            assert len(received) == before
            tasks.cancel_scope.cancel()
