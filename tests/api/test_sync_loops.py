"""`api.sync` where several event loops run in one process: a client belongs to the one it was opened in."""

from __future__ import annotations

import threading

import anyio
import pytest
from anyio import to_thread

from mm_plugin._proto.user_pb2 import User
from mm_plugin.api.client import PluginAPIClient
from mm_plugin.host.api_receiver import HandlerAPI
from mm_plugin.transport.grpc.api_end import open_api_server
from mm_plugin.transport.memory import memory_link


class Server:
    """Answers with the id it is asked for."""

    async def get_user(self, user_id: str) -> User:
        return User(id=user_id)


def call_from_another_loop(api: PluginAPIClient, backend: str) -> str:
    """Call in a worker thread of an event loop begun here; return what came of it."""
    outcome: list[str] = []

    def work() -> None:
        try:
            outcome.append(api.sync.get_user("b").id)
        except RuntimeError as error:
            outcome.append(str(error))

    async def main() -> None:
        with anyio.move_on_after(3):
            await to_thread.run_sync(work, abandon_on_cancel=True)

    thread = threading.Thread(target=anyio.run, args=(main,), kwargs={"backend": backend}, daemon=True)
    thread.start()
    thread.join(10)
    return "".join(outcome)


@pytest.mark.parametrize("other", ["asyncio", "trio"])
@pytest.mark.parametrize("kind", ["memory", "tcp"])
async def test_a_thread_of_another_loop_is_refused_and_breaks_nothing(kind: str, other: str) -> None:
    """A worker thread of another loop gets a RuntimeError that says what to do; the client works on."""
    receiver = HandlerAPI(Server())
    async with open_api_server(receiver) as target, PluginAPIClient(target) as over_tcp:
        api = over_tcp if kind == "tcp" else PluginAPIClient.on_link(memory_link(receiver)[0])
        assert (await api.get_user("a")).id == "a"
        text = await to_thread.run_sync(call_from_another_loop, api, other)
        assert "api.sync.get_user was called in a worker thread of another event loop" in text
        assert "PluginAPIClient" in text
        with anyio.fail_after(5):
            assert (await api.get_user("c")).id == "c"
            assert (await to_thread.run_sync(api.sync.get_user, "d")).id == "d"
