"""A request cancelled at each await point of the gateway's two tasks: nothing is left, the next request works."""

from __future__ import annotations

from collections.abc import MutableMapping

import anyio
import pytest

from mm_plugin.host import gateway as gateway_module
from mm_plugin.host.gateway import Gateway
from mm_plugin.host.http_server import Receive
from mm_plugin.serve_http import Request, Response, run_http
from mm_plugin.transport.link import HostLink, HTTPExchange
from tests.contract.links import LINKS, Plugin, Server, open_pair
from tests.contract.stepping import PIECE, Counting, stepped, until_past_the_end, until_tasks_are_gone
from tests.host.http_client import find_session

SCOPE = {
    "type": "http",
    "http_version": "1.1",
    "method": "POST",
    "path": "/plugins/p/",
    "raw_path": b"/plugins/p/",
    "query_string": b"",
    "headers": [(b"transfer-encoding", b"chunked"), (b"cookie", b"MMAUTHTOKEN=token1")],
    "client": ("127.0.0.1", 1),
}


class Browser:
    """A client that sends three pieces and stays; what it has received."""

    def __init__(self) -> None:
        self._left = 3
        self.body = b""
        self.ended = False

    async def receive(self) -> MutableMapping[str, object]:
        await anyio.lowlevel.checkpoint()
        if not self._left:
            await anyio.sleep_forever()
        self._left -= 1
        return {"type": "http.request", "body": PIECE, "more_body": self._left > 0}

    async def send(self, message: MutableMapping[str, object]) -> None:
        await anyio.lowlevel.checkpoint()
        if message["type"] == "http.response.body":
            octets = message["body"]
            assert isinstance(octets, bytes)
            self.body += octets
            self.ended = not message["more_body"]


async def ask(link: HostLink, browser: Browser) -> None:
    """Send one whole request through a gateway."""
    await Gateway({"p": link}.get, find_session)(dict(SCOPE), browser.receive, browser.send)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("where", ["answer", "upload"])
@pytest.mark.parametrize("kind", LINKS)
async def test_the_gateways_tasks_can_be_cancelled_at_every_step(
    kind: str, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever the server ends the request, the handler ends and no task stays; what was cut off has no end."""
    counting = Counting()
    step_of_run = 0
    request_scope = anyio.CancelScope()
    real_upload = gateway_module._Exchange.upload

    async def upload(self: object, receive: Receive, both: anyio.CancelScope) -> None:
        await stepped(real_upload(self, receive, both), request_scope, step_of_run)  # type: ignore[arg-type]

    async def echo(request: Request, response: Response) -> None:
        with counting.counted():
            async for piece in request.body:
                await response.write(piece, flush=True)

    async def serve(exchange: HTTPExchange) -> None:
        await run_http(exchange, echo)

    if where == "upload":
        monkeypatch.setattr(gateway_module._Exchange, "upload", upload)
    async with open_pair(kind, Plugin(on_http=serve), Server()) as (_, link):
        await ask(link, Browser())
        await counting.wait_idle()
        await anyio.wait_all_tasks_blocked()
        tasks = len(anyio.get_running_tasks())

        async def run(step: int) -> bool:
            nonlocal step_of_run, request_scope
            step_of_run = step
            cut_off = Browser()
            with anyio.fail_after(10):
                with anyio.CancelScope() as request_scope:
                    if where == "answer":
                        await stepped(ask(link, cut_off), request_scope, step)
                    else:
                        await ask(link, cut_off)
                await counting.wait_idle()
                step_of_run = 0
                whole = Browser()
                await ask(link, whole)
                assert (whole.ended, len(whole.body)) == (True, 3 * len(PIECE))
                assert not cut_off.ended or len(cut_off.body) == 3 * len(PIECE)
                await counting.wait_idle()
                await until_tasks_are_gone(tasks)
            return request_scope.cancel_called

        assert await until_past_the_end(run) >= 5
