"""What a call says whose time ends while the connection is still being made."""

from __future__ import annotations

import anyio
import pytest
from anyio.abc import ByteStream

from mm_plugin.transport.grpc.channel import GRPCChannel
from mm_plugin.transport.grpc.errors import GRPCStatusError
from mm_plugin.transport.link import FailureKind


async def never() -> ByteStream:
    await anyio.sleep_forever()
    raise AssertionError("it went on")


async def test_a_call_that_waits_for_the_connection_says_so() -> None:
    """The text speaks of connecting, not of a connection that is full."""
    async with GRPCChannel(never) as channel:
        with pytest.raises(GRPCStatusError, match=r"cannot be reached: .* attempt to connect") as caught:
            await channel.unary("/t.T/Call", b"", bytes, deadline=anyio.current_time() + 0.01)
    assert caught.value.kind is FailureKind.UNREACHABLE
