"""API calls that are over before they begin, over every link: nothing reaches the server."""

from __future__ import annotations

import anyio
import pytest

from mm_plugin._proto import api_user_pb2
from mm_plugin.transport.link import CallFailure, FailureKind
from tests.contract.conftest import OpenPair
from tests.contract.links import Plugin, Server

REQUEST = api_user_pb2.GetUserRequest(user_id="never")
WITNESS = api_user_pb2.GetUserRequest(user_id="asked afterwards")


async def test_a_call_in_a_cancelled_scope_is_not_sent(open_link: OpenPair) -> None:
    """A caller that is cancelled already gets its cancellation; a server would carry out what nobody waits for."""
    server = Server()
    async with open_link(Plugin(), server) as (plugin, _):
        await plugin.call_api("GetUser", WITNESS)  # there is a connection
        with anyio.CancelScope() as scope:
            scope.cancel()
            await plugin.call_api("GetUser", REQUEST)
        assert scope.cancelled_caught
        await plugin.call_api("GetUser", WITNESS)
    assert [request for _, request, _ in server.calls] == [WITNESS, WITNESS]


@pytest.mark.parametrize("connected", [True, False])
async def test_a_call_whose_deadline_has_passed_is_not_sent(open_link: OpenPair, connected: bool) -> None:
    """It fails as DEADLINE at once, whether or not there is a connection."""
    server = Server()
    async with open_link(Plugin(), server) as (plugin, _):
        if connected:
            await plugin.call_api("GetUser", WITNESS)
        with pytest.raises(CallFailure) as caught:
            await plugin.call_api("GetUser", REQUEST, deadline=anyio.current_time() - 0.001)
        assert caught.value.kind is FailureKind.DEADLINE
        await plugin.call_api("GetUser", WITNESS)
    assert REQUEST not in [request for _, request, _ in server.calls]
