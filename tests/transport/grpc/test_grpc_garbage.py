"""What calls leave behind at the channel: nothing that only the collector of cycles would free."""

from __future__ import annotations

import gc

import anyio
import pytest

from mm_plugin.exceptions import StatusCode
from mm_plugin.transport.grpc.client_calls import UnaryClientCall
from mm_plugin.transport.grpc.errors import GRPCStatusError
from mm_plugin.transport.grpc.handlers import CallInfo, Unary

from .conftest import Serve

CALL = "/t.T/Call"


@pytest.mark.parametrize("outcome", ["answered", "refused", "late"])
async def test_a_unary_call_leaves_no_cycle(serve: Serve, outcome: str) -> None:
    """However it ends; its frames hold the request, which may be as long as the limit."""

    async def answer(request: bytes, info: CallInfo) -> bytes:
        if outcome == "refused":
            raise GRPCStatusError(StatusCode.NOT_FOUND, "no")
        if outcome == "late":
            await anyio.sleep_forever()
        return request

    failures = 0
    async with serve({CALL: Unary(answer, bytes, bytes)}) as served, served.channel() as channel:
        gc.collect()
        gc.disable()
        try:
            for _ in range(3):
                deadline = anyio.current_time() + 0.02 if outcome == "late" else None
                try:
                    await channel.unary(CALL, b"x", bytes, deadline=deadline)
                except GRPCStatusError:
                    failures += 1
            left = sum(type(found) is UnaryClientCall for found in gc.get_objects())
        finally:
            gc.enable()
    assert failures == (0 if outcome == "answered" else 3)
    assert left == 0
