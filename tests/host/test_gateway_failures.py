"""The gateway's pages for plugins that give no answer, and answers that break off."""

from __future__ import annotations

from collections.abc import MutableMapping

import anyio
import httpx
import pytest

from mm_plugin.exceptions import StatusCode
from mm_plugin.host.gateway import Gateway, PluginResponseError
from mm_plugin.host.http_server import Scope
from mm_plugin.serve_http import Request, Response
from mm_plugin.transport.link import (
    CallFailure,
    HostLink,
    ResponseHead,
)
from tests.host.http_client import (
    PROTOCOLS,
    client_of,
    echo,
    find_session,
    handler_on_port,
    link_on_port,
)
from tests.host.scripted_link import LOST, NO_STATUS, REFUSED, UNREACHABLE, ScriptedLink
from tests.serve_http.served import served


@pytest.mark.parametrize("path", ["/plugins/other/", "/plugins/", "/elsewhere", "/x/plugins/p/"])
async def test_no_plugin_is_404(path: str) -> None:
    """An unknown id and a path outside have a page, even for an upload that nobody reads."""
    async with handler_on_port(echo) as port, client_of(port) as client:
        answer = await client.post(path, content=bytes(1_000))
        assert (answer.status_code, answer.text) == (404, "Not Found\n")


async def test_a_plugin_without_http_is_404() -> None:
    """Where the plugin says 404 by itself, that passes."""
    async with handler_on_port(None) as port, client_of(port) as client:
        assert (await client.get("/plugins/p/")).status_code == 404


async def test_a_crashing_plugin_is_500() -> None:
    """The page gives nothing away."""

    async def handler(request: Request, response: Response) -> None:
        raise RuntimeError("swordfish")

    async with handler_on_port(handler) as port, client_of(port) as client:
        answer = await client.get("/plugins/p/")
        assert (answer.status_code, answer.text) == (500, "Internal Server Error\n")


@pytest.mark.parametrize(
    ("link", "status"),
    [
        (ScriptedLink(UNREACHABLE, opens=False), 503),
        (ScriptedLink(UNREACHABLE), 503),
        (ScriptedLink(REFUSED), 503),
        (ScriptedLink(LOST), 502),
        (ScriptedLink(CallFailure("crashed", code=StatusCode.INTERNAL)), 502),
        (ScriptedLink(NO_STATUS), 500),
        (ScriptedLink(ResponseHead(status=42)), 500),
        (ScriptedLink(ResponseHead(status=1000)), 500),
        (ScriptedLink(ResponseHead(status=103)), 200),
        (ScriptedLink(ResponseHead(status=200, headers=(("Connection", "close"), ("Upgrade", "x")))), 200),
    ],
    ids=lambda value: str(value) if isinstance(value, int) else "",
)
async def test_every_failure_has_its_page(link: HostLink, status: int) -> None:
    """What keeps a head from coming decides the page; an upload under way does not hold it back."""
    async with link_on_port(link) as port, client_of(port) as client:
        answer = await client.post("/plugins/p/", content=bytes(1_000))
        assert answer.status_code == status
        assert not {"connection", "upgrade"} & set(answer.headers) or status != 200
        if status >= 500:
            assert answer.headers["content-type"] == "text/plain; charset=utf-8"


@PROTOCOLS
async def test_a_truncated_answer_is_visible(caplog: pytest.LogCaptureFixture, http2: bool) -> None:
    """Connection or stream breaks instead of ending well, and the log has one warning without a traceback of ours."""

    async def handler(request: Request, response: Response) -> None:
        await response.write("half")
        raise RuntimeError("no more")

    async with handler_on_port(handler) as port, client_of(port, http2=http2) as client:
        with pytest.raises(httpx.RemoteProtocolError):
            await client.get("/plugins/p/")
    assert [record.levelname for record in caplog.records if record.name.startswith("mm_plugin.host")] == ["WARNING"]


async def test_a_truncated_answer_is_an_error_for_any_server() -> None:
    """Whatever ASGI server runs the gateway, it hears that the answer must not end well."""
    sent: list[object] = []

    async def handler(request: Request, response: Response) -> None:
        await response.write("half")
        raise RuntimeError("no more")

    async def receive() -> MutableMapping[str, object]:
        await anyio.sleep_forever()
        raise AssertionError("it never ends")

    async def send(message: MutableMapping[str, object]) -> None:
        sent.append(message["type"])

    scope: Scope = {
        "type": "http",
        "http_version": "1.1",
        "method": "GET",
        "path": "/plugins/p/ü",  # some servers give no raw_path
        "query_string": b"",
        "headers": [(b"x-latin", b"\xfc")],  # not UTF-8
        "client": ("::1", 1),
    }
    async with served(handler) as link:
        with pytest.raises(PluginResponseError, match="plugin p: the handler did not finish"):
            await Gateway({"p": link}.get, find_session)(scope, receive, send)
    assert sent == ["http.response.start", "http.response.body"]
