"""The rules of a ServeHTTP call as a state machine over every link: see ``http_machine``."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import anyio
import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from mm_plugin.transport.link import HTTPExchange
from tests.contract.http_machine import Call, Ground, LinkMachine
from tests.contract.links import LINKS, Plugin, Server, open_pair

SETTINGS = settings(max_examples=40, stateful_step_count=25, suppress_health_check=[HealthCheck.too_slow])


@asynccontextmanager
async def open_ground(portal: BlockingPortal, kind: str) -> AsyncGenerator[Ground]:
    """Open one link; each machine has a call of its own on it, so that each call is also the next call."""
    calls: dict[str, Call] = {}

    async def serve(exchange: HTTPExchange) -> None:
        await calls[exchange.head.url].handle(exchange)

    async with open_pair(kind, Plugin(on_http=serve), Server()) as (_, host), anyio.create_task_group() as tasks:
        yield Ground(portal, host, tasks, is_chunked=kind == "grpc", calls=calls)
        with anyio.fail_after(10):  # every client has ended; nothing may be left that waits
            while any(not call.client_over.is_set() for call in calls.values()):
                await anyio.lowlevel.checkpoint()
        tasks.cancel_scope.cancel()


@pytest.mark.timeout(120)
@pytest.mark.parametrize("kind", LINKS)
def test_every_order_of_wishes_holds_over_the_link(anyio_backend: str, kind: str) -> None:
    """Bodies are prefixes, whole means whole, chunks and memory are bounded, both sides end, the next call works."""
    with (
        start_blocking_portal(anyio_backend) as portal,
        portal.wrap_async_context_manager(open_ground(portal, kind)) as ground,
    ):
        machine = type("Machine", (LinkMachine,), {"ground": ground})
        run_state_machine_as_test(machine, settings=SETTINGS)
