"""grpcio as a host that closes its channel as soon as it has asked for the stop, which resets what is under way."""

from __future__ import annotations

from typing import Any

import anyio
import grpc

from mm_plugin._proto.grpc_controller_pb2 import Empty
from mm_plugin._proto.services import hook_methods
from mm_plugin.transport.grpc.api_end import open_api_server
from tests.supervisor.test_process import COOKIE, started
from tests.supervisor.test_process_lost_connection import KV, heard

from .conftest import in_thread


async def test_a_blocking_hook_under_way_finishes_although_its_call_was_reset(anyio_backend: str) -> None:
    """OnDeactivate, Shutdown, close: the hook goes on with the API to its end, and the exit code is 0."""
    async with open_api_server(kv := KV()) as target:
        env = {**COOKIE, "MATTERMOST_PLUGIN_API_TARGET": target}
        async with started(anyio_backend, env=env) as plugin:
            channel = grpc.insecure_channel(plugin.handshake.address)

            def call(name: str) -> Any:  # grpcio has no types
                method = hook_methods()[name]
                unary = channel.unary_unary(
                    method.path,
                    request_serializer=method.request.SerializeToString,
                    response_deserializer=method.response.FromString,
                )
                return unary.future(method.request(), timeout=20)

            def stop() -> None:
                call("OnDeactivate").result()
                shutdown = channel.unary_unary(
                    "/plugin.GRPCController/Shutdown",
                    request_serializer=Empty.SerializeToString,
                    response_deserializer=Empty.FromString,
                )
                shutdown(Empty(), timeout=5)
                channel.close()

            await in_thread(lambda: call("OnActivate").result())
            under_way = call("MessageHasBeenPosted")  # one that nobody holds is cancelled
            await heard(plugin, b"hook begun")
            await in_thread(stop)
            with anyio.fail_after(5):
                assert await plugin.process.wait() == 0
    assert under_way.code() is grpc.StatusCode.CANCELLED
    assert kv.values == [b"0", b"1", b"2"]
    assert "hook done" in plugin.messages()
    assert b"left a thread behind" not in plugin.stderr
