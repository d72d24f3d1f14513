"""HTTP between plugins: the path, the caller's id, the answer, and what goes wrong."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from mm_plugin._proto.api_misc_pb2 import PluginHTTPRequest, PluginHTTPResponse
from mm_plugin._proto.command_pb2 import CommandArgs
from mm_plugin.exceptions import StatusCode
from mm_plugin.host.plugin_http import PluginHTTP
from mm_plugin.transport.link import CallFailure, HostLink, HTTPExchange, ResponseHead
from tests.host.guard_plugin import OpenHost
from tests.host.stubs import NoAPI, StubPlugin, joined, write_bundle

TALKING = """
    from mm_plugin import CommandResponse, Plugin, run_plugin

    class Talking(Plugin):
        async def execute_command(self, context, args):
            headers = {"X-Word": "a", "Mattermost-Plugin-ID": "liar"}
            answer = await self.api.plugin_http("POST", args.command, headers, b"x" * 2_000_000)
            return CommandResponse(text=f"{answer.status_code} {answer.headers.get('X-Said', '')} {len(answer.body)}")

        async def serve_http(self, request, response):
            response.status = 201
            caller = request.headers["mattermost-plugin-id"]
            word = request.headers["x-word"]
            response.headers["X-Said"] = f"{self.plugin_id} {caller} {request.method} {request.url} {word}"
            async for chunk in request.body:
                await response.write(chunk)

    run_plugin(Talking)
"""


async def test_two_plugins(open_a_host: OpenHost, tmp_path: Path) -> None:
    """One plugin's request reaches the other with the caller's true id; two megabytes go through both ways at once."""
    async with open_a_host() as host:
        plugins = await host.start_all(
            write_bundle(tmp_path / name, textwrap.dedent(TALKING), plugin_id=name) for name in ("one", "two")
        )
        hooks = plugins[0].hooks
        assert hooks is not None
        for url, said in (
            ("/two/path/x?q=1", "201 two one POST /path/x?q=1 a 2000000"),
            ("/one/", "201 one one POST / a 2000000"),
            ("/three/x", "404  "),
        ):
            response = await hooks.execute_command(CommandArgs(command=url))
            assert response is not None
            assert response.text.startswith(said)


class _Answering(StubPlugin):
    """Answers HTTP with a status and pieces of a body, or breaks off."""

    def __init__(self, *pieces: bytes, breaks: bool = False) -> None:
        super().__init__()
        self.pieces = pieces
        self.breaks = breaks

    async def handle_http(self, exchange: HTTPExchange) -> None:
        await exchange.respond(ResponseHead(status=200, headers=(("Via", "a"), ("Via", "b"))))
        for piece in self.pieces:
            await exchange.write(piece)
        if self.breaks:
            await exchange.abort("on purpose")
        else:
            await exchange.finish()


async def ask(link: HostLink | None, url: str = "/other/x", limit: int = 1_000) -> PluginHTTPResponse:
    api = PluginHTTP(NoAPI(), caller="me", find_link=lambda _: link, answer_limit_octets=limit)
    response = await api.handle_api("PluginHTTP", PluginHTTPRequest(url=url), deadline=None)
    assert isinstance(response, PluginHTTPResponse)
    return response


async def test_answer() -> None:
    """Status, joined headers, the whole body."""
    async with joined(_Answering(b"ab", b"c")) as link:
        answer = await ask(link)
    assert (answer.status_code, answer.headers["Via"], answer.body) == (200, "a, b", b"abc")


@pytest.mark.parametrize("url", ["", "/", "other", "/other", "//x", "http://[x/y"])
async def test_no_such_url(url: str) -> None:
    """A URL without a plugin's id and a path is a 400."""
    answer = await ask(None, url)
    assert answer.status_code == 400
    assert answer.body.startswith(b"expected the URL /<plugin id>/<path>, found ")


async def test_no_plugin() -> None:
    """A plugin that does not run or serves no HTTP is a 404."""
    answer = await ask(None)
    assert (answer.status_code, answer.body) == (404, b"no plugin 'other' runs and serves HTTP\n")


@pytest.mark.parametrize(("pieces", "breaks"), [((b"ab",), True), ((b"a" * 900, b"b" * 101), False)])
async def test_broken_answer(pieces: tuple[bytes, ...], breaks: bool) -> None:
    """An answer that breaks off or is too long is a 502, never a part of it."""
    async with joined(_Answering(*pieces, breaks=breaks)) as link:
        answer = await ask(link)
    assert answer.status_code == 502
    assert answer.body.startswith(b"the plugin other gave no response: ")


async def test_gone() -> None:
    """A plugin that has just gone is a 503 or a 502."""
    async with joined(_Answering(b"x")) as link:
        await link.aclose()
        assert (await ask(link)).status_code in {502, 503}


async def test_everything_else_passes() -> None:
    """Other methods reach the real receiver."""
    with pytest.raises(CallFailure) as raised:
        await PluginHTTP(NoAPI(), caller="me", find_link=lambda _: None).handle_api(
            "GetUser", PluginHTTPRequest(), deadline=None
        )
    assert raised.value.code is StatusCode.UNIMPLEMENTED
