"""The lifespan of a mounted ASGI app: the plugin's activation."""

from __future__ import annotations

import pytest

from mm_plugin.plugin.plugin import Plugin
from mm_plugin.serve_http.asgi import Receive, Scope, Send
from mm_plugin.serve_http.mounts import mount_asgi
from tests.serve_http.plugins import active, browsing
from tests.serve_http.served import get, read_answer

START = {"type": "http.response.start", "status": 200, "headers": []}


class Living:
    """An app with a lifespan."""

    def __init__(self, *, startup: str = "lifespan.startup.complete", shutdown: str = "complete") -> None:
        self.events: list[object] = []
        self._startup, self._shutdown = startup, shutdown

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            self.events.append((await receive())["type"])
            state = scope["state"]
            assert isinstance(state, dict)
            state["pool"] = "open"
            await send({"type": self._startup, "message": "no database"})
            self.events.append((await receive())["type"])
            if self._shutdown == "raise":
                raise ValueError("shutdown failed")
            await send({"type": f"lifespan.shutdown.{self._shutdown}", "message": "why"})
            return
        state = scope["state"]
        assert isinstance(state, dict)
        await send(dict(START))
        await send({"type": "http.response.body", "body": state["pool"].encode()})
        state["pool"] = "mine alone"


@pytest.mark.parametrize("shutdown", ["complete", "failed", "raise"])
async def test_the_lifespan_is_the_plugins_activation(shutdown: str, caplog: pytest.LogCaptureFixture) -> None:
    """Startup before on_activate, shutdown with deactivation; its state is in each request's scope."""
    app = Living(shutdown=shutdown)
    seen: list[object] = []

    class Mounting(Plugin):
        web = mount_asgi(app)

        async def on_activate(self) -> None:
            seen.extend(app.events)

    async with browsing(Mounting()) as client:
        for _ in range(2):
            assert (await client.get("/")).text == "open"
    assert seen == ["lifespan.startup"]
    assert app.events == ["lifespan.startup", "lifespan.shutdown"]
    assert bool(caplog.records) is (shutdown != "complete")


async def test_an_app_that_refuses_to_start_fails_the_activation() -> None:
    """The host is told why; requests get 503 meanwhile."""
    from mm_plugin._proto.hooks_lifecycle_pb2 import OnActivateRequest, OnActivateResponse

    class Mounting(Plugin):
        web = mount_asgi(Living(startup="lifespan.startup.failed"))

    async with active(Mounting(), activate=False) as link:
        async with link.open_http(get()) as call:
            await call.finish()
            assert (await read_answer(call)).head.status == 503
        answer = await link.call_hook("OnActivate", OnActivateRequest())
        assert isinstance(answer, OnActivateResponse)
        assert answer.HasField("error")


async def test_a_plugin_can_be_activated_again() -> None:
    """Each activation has a lifespan of its own."""
    from mm_plugin._proto.hooks_lifecycle_pb2 import OnActivateRequest, OnDeactivateRequest

    app = Living()

    class Mounting(Plugin):
        web = mount_asgi(app)

    async with active(Mounting(), activate=False) as link:
        for _ in range(2):
            await link.call_hook("OnActivate", OnActivateRequest())
            await link.call_hook("OnDeactivate", OnDeactivateRequest())
    assert app.events == ["lifespan.startup", "lifespan.shutdown"] * 2
