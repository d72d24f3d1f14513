"""A server that answers that the time is over: the same on every link, and without waiting for anything more."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import anyio
import pytest

from mm_plugin.api.client import PluginAPIClient
from mm_plugin.exceptions import DeadlineError, StatusCode
from mm_plugin.transport.grpc.api_end import open_api_server
from mm_plugin.transport.link import CallFailure
from mm_plugin.transport.memory import memory_link

if TYPE_CHECKING:
    from google.protobuf.message import Message


class Late:
    """Answers every call at once: its own time is over."""

    def __init__(self, text: str) -> None:
        self.text = text

    async def handle_api(self, method: str, request: Message, *, deadline: float | None) -> Message:
        raise CallFailure(self.text, code=StatusCode.DEADLINE_EXCEEDED)


@asynccontextmanager
async def client_of(kind: str, text: str) -> AsyncGenerator[PluginAPIClient]:
    receiver = Late(text)
    if kind == "memory":
        yield PluginAPIClient.on_link(memory_link(receiver)[0])
    else:
        async with open_api_server(receiver) as target, PluginAPIClient(target) as api:
            yield api


@pytest.mark.parametrize("kind", ["memory", "tcp"])
async def test_an_answer_inside_a_scope_is_raised_at_once(kind: str) -> None:
    """A scope with time left is not slept through: the server's answer is a DeadlineError now."""
    async with client_of(kind, "too slow") as api:
        with anyio.fail_after(5), pytest.raises(DeadlineError, match="too slow") as caught:
            await api.get_user("id")
    assert (caught.value.code, caught.value.status_code) == (StatusCode.DEADLINE_EXCEEDED, 0)


@pytest.mark.parametrize("kind", ["memory", "tcp"])
async def test_an_answer_to_a_call_without_a_limit_is_raised(kind: str) -> None:
    """Where nothing limits the call, there is no end to wait for either."""
    errors: list[DeadlineError] = []

    async def call() -> None:
        with api.options(timeout_s=float("inf")), pytest.raises(DeadlineError) as caught:
            await api.get_user("id")
        errors.append(caught.value)
        done.set()

    done = anyio.Event()
    async with client_of(kind, "app.slow.app_error: too slow") as api, anyio.create_task_group() as tasks:
        tasks.start_soon(call)
        with anyio.move_on_after(5):
            await done.wait()
        tasks.cancel_scope.cancel()
    (error,) = errors
    assert (error.id, error.message, error.status_code) == ("app.slow.app_error", "too slow", 504)
