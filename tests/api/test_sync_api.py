"""The blocking door, `api.sync`: the same client from worker threads, and clear words everywhere else."""

from __future__ import annotations

import inspect
import threading
from typing import Any

import anyio
import pytest
from anyio import to_thread

from mm_plugin._proto.user_pb2 import User
from mm_plugin.api.client import PluginAPIClient
from mm_plugin.api.sync.methods import SyncAPIMethods
from mm_plugin.api.table import api_table
from mm_plugin.exceptions import DeadlineError, NotFoundError
from mm_plugin.host.api_receiver import HandlerAPI
from mm_plugin.transport.grpc.api_end import open_api_server
from tests.api.api_samples import DirectCaller


class Server:
    """Answers, refuses, or never comes back, by the user's id."""

    def __init__(self) -> None:
        self.left: list[str] = []

    async def get_user(self, user_id: str) -> User:
        if user_id == "nobody":
            raise NotFoundError("no such user", id="app.user.missing")
        if user_id == "never":
            try:
                await anyio.sleep_forever()
            finally:
                self.left.append(user_id)
        return User(id=user_id)


def client() -> PluginAPIClient:
    return PluginAPIClient.on_link(DirectCaller(HandlerAPI(Server())))


async def test_a_worker_thread_calls_and_waits() -> None:
    """In a worker thread a call returns its result or raises its error, over a real connection too."""

    def work(api: PluginAPIClient) -> str:
        with pytest.raises(NotFoundError, match="no such user"):
            api.sync.get_user("nobody")
        return api.sync.get_user("alice").id

    async with open_api_server(HandlerAPI(Server())) as target, PluginAPIClient(target) as api:
        assert await to_thread.run_sync(work, api) == "alice"
    assert await to_thread.run_sync(work, client(), abandon_on_cancel=True) == "alice"


async def test_threads_call_at_the_same_time() -> None:
    """Many threads share one client; each gets its own answer."""
    api = client()
    answers: dict[int, str] = {}

    async def ask(number: int) -> None:
        answers[number] = (await to_thread.run_sync(api.sync.get_user, f"user {number}")).id

    async with anyio.create_task_group() as tasks:
        for number in range(50):
            tasks.start_soon(ask, number)
    assert answers == {number: f"user {number}" for number in range(50)}


async def test_the_event_loops_own_thread_is_refused() -> None:
    """On the event loop's thread the call would block everything: RuntimeError says what to write instead."""
    with pytest.raises(RuntimeError, match=r"would block the event loop.*await api\.get_user") as caught:
        client().sync.get_user("alice")
    assert "worker thread" in str(caught.value)


async def test_a_thread_of_unknown_origin_is_refused() -> None:
    """A thread that AnyIO did not start cannot reach the loop: RuntimeError says how to start it."""
    api, errors = client(), list[RuntimeError]()

    def work() -> None:
        try:
            api.sync.get_user("alice")
        except RuntimeError as error:
            errors.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    await to_thread.run_sync(thread.join)
    assert "api.sync.get_user was called in a thread that the event loop does not know" in str(errors[0])
    assert "anyio.to_thread.run_sync" in str(errors[0])


async def test_options_reach_calls_from_threads() -> None:
    """A timeout set around a thread, or inside it, ends its calls."""
    server = Server()
    api = PluginAPIClient.on_link(DirectCaller(HandlerAPI(server)))

    def work() -> None:
        with pytest.raises(DeadlineError):
            api.sync.get_user("never")

    def work_with_options() -> None:
        with api.sync.options(timeout_s=0.01):
            work()

    with api.options(timeout_s=0.01):
        await to_thread.run_sync(work)
    await to_thread.run_sync(work_with_options)
    assert server.left == ["never", "never"]


async def test_the_deadline_of_the_waiting_task_counts() -> None:
    """A scope around the thread, which cannot interrupt it, ends the call that the thread waits for."""
    api = client()

    def work() -> str:
        try:
            return api.sync.get_user("never").id
        except BaseException as error:  # noqa: BLE001 - each backend has its own
            return type(error).__name__

    with anyio.move_on_after(0.01):
        name = await to_thread.run_sync(work)
        assert name in {"Cancelled", "CancelledError"}


def test_signatures_are_those_of_the_client() -> None:
    """Every method takes and returns what the client's does, and says what it is for."""
    for row in api_table().values():
        method: Any = getattr(SyncAPIMethods, row.name)
        assert inspect.signature(method) == inspect.signature(getattr(PluginAPIClient, row.name)), row.rpc
        assert not inspect.iscoroutinefunction(method), row.rpc
        assert inspect.getdoc(method), row.rpc


def test_the_door_is_made_once() -> None:
    """`api.sync` is one object for each client."""
    api = client()
    assert api.sync is api.sync
