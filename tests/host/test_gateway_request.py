"""What a plugin gets to see of a browser's request."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import pytest

from mm_plugin.serve_http import Request, Response
from mm_plugin.transport.link import (
    HostLink,
    RequestHead,
)
from tests.host.http_client import (
    client_of,
    echo,
    handler_on_port,
    link_on_port,
    raw_client,
)
from tests.serve_http.served import served


async def seen_head(path: str, headers: list[tuple[str, str | bytes]], method: str = "GET") -> RequestHead:
    """What a link gets of one request."""
    heads: list[RequestHead] = []

    class Recording:
        def __init__(self, link: HostLink) -> None:
            self._link = link

        def open_http(self, head: RequestHead) -> object:
            heads.append(head)
            return self._link.open_http(head)

    async with served(echo) as link, link_on_port(Recording(link)) as port, client_of(port) as client:  # type: ignore[arg-type]
        raw = [(name.encode(), value if isinstance(value, bytes) else value.encode()) for name, value in headers]
        await client.request(method, path, headers=raw)
    (head,) = heads
    return head


async def test_the_plugin_sees_the_request_the_server_makes_of_it() -> None:
    """The prefix goes, the original target stays; what the client claims and the token are removed."""
    head = await seen_head(
        "/plugins/p/x/y%2Fz?a=1&access_token=token1&b=%20",
        [
            ("Mattermost-User-Id", "somebody"),
            ("Mattermost-Plugin-ID", "other"),
            ("Referer", "http://elsewhere/"),
            ("Cookie", "one=1; MMAUTHTOKEN=bad; two=2"),
            ("User-Agent", "test"),
            ("Accept-Language", "de"),
            ("X-Custom-Field", "ü".encode()),
            ("Authorization", "Basic abc"),
        ],
    )
    assert head.url == "/x/y%2Fz?a=1&b=%20"
    assert head.request_uri == "/plugins/p/x/y%2Fz?a=1&access_token=token1&b=%20"
    fields = dict(head.headers)
    assert not {"Mattermost-User-Id", "Mattermost-Plugin-Id", "Referer", "Host"} & set(fields)
    assert fields["Cookie"] == "one=1; two=2"
    assert fields["X-Custom-Field"] == "ü"
    assert fields["Authorization"] == "Basic abc"
    assert (head.proto, head.proto_major, head.proto_minor) == ("HTTP/1.1", 1, 1)
    assert head.host.startswith("127.0.0.1:")
    assert head.remote_addr.startswith("127.0.0.1:")
    assert head.content_length == 0
    assert head.context is not None
    assert (head.context.ip_address, head.context.user_agent, head.context.accept_language) == (
        "127.0.0.1",
        "test",
        "de",
    )
    assert len(head.context.request_id) == 26
    assert head.context.session_id == ""


@pytest.mark.parametrize(
    ("method", "path", "headers", "signed_in"),
    [
        ("GET", "/plugins/p/", [("Cookie", "MMAUTHTOKEN=token1")], True),
        ("GET", "/plugins/p/", [("Authorization", "Bearer token1")], True),
        ("GET", "/plugins/p/", [("Authorization", "token token1")], True),
        ("GET", "/plugins/p/?access_token=token1", [], True),
        ("GET", "/plugins/p/", [("Authorization", "Bearer wrong")], False),
        ("GET", "/plugins/p/", [("Authorization", "Basic token1")], False),
        ("GET", "/plugins/p/", [], False),
        ("POST", "/plugins/p/", [("Authorization", "Bearer token1")], True),
        ("POST", "/plugins/p/", [("Authorization", "Bearer token1"), ("Cookie", "MMAUTHTOKEN=token1")], True),
        ("GET", "/plugins/p/", [("Authorization", "Bearer token1"), ("Cookie", "MMAUTHTOKEN=old")], True),
        ("GET", "/plugins/p/", [("Authorization", "Bearer wrong"), ("Cookie", "MMAUTHTOKEN=token1")], False),
        ("GET", "/plugins/p/?access_token=token1", [("Cookie", "MMAUTHTOKEN=old")], False),
        ("GET", "/plugins/p/", [("Authorization", "Basic token1"), ("Cookie", "MMAUTHTOKEN=token1")], True),
        ("POST", "/plugins/p/", [("Cookie", "MMAUTHTOKEN=token1")], False),
        ("POST", "/plugins/p/", [("Cookie", "MMAUTHTOKEN=token1"), ("X-CSRF-Token", "wrong")], False),
        ("POST", "/plugins/p/", [("Cookie", "MMAUTHTOKEN=token1"), ("X-CSRF-Token", "csrf1")], True),
        ("POST", "/plugins/p/", [("Cookie", "MMAUTHTOKEN=token1"), ("X-Requested-With", "XMLHttpRequest")], True),
    ],
)
async def test_only_the_server_says_who_is_signed_in(
    method: str, path: str, headers: list[tuple[str, str]], signed_in: bool
) -> None:
    """A valid token sets the user and the session, and is not shown; a cookie alone may not change anything."""
    head = await seen_head(path, [*headers, ("Mattermost-User-Id", "claimed")], method)
    fields = dict(head.headers)
    assert fields.get("Mattermost-User-Id") == ("user1" if signed_in else None)
    assert head.context is not None
    assert head.context.session_id == ("session1" if signed_in else "")
    assert ("Authorization" in fields) is (not signed_in and any(name == "Authorization" for name, _ in headers))


async def test_an_unknown_length_is_minus_one() -> None:
    """A chunked upload has no length beforehand."""
    lengths: list[int] = []

    async def handler(request: Request, response: Response) -> None:
        lengths.append(request.content_length)
        assert "transfer-encoding" not in request.headers
        await request.read()

    async def pieces() -> AsyncGenerator[bytes]:
        yield b"a"

    async with handler_on_port(handler) as port, client_of(port) as client:
        await client.post("/plugins/p/", content=pieces())
        await client.post("/plugins/p/", content=b"abc")
        await client.get("/plugins/p/")
    assert lengths == [-1, 3, 0]


@pytest.mark.parametrize("length", [2**63 - 1, 2**63, 10**20 - 1])
async def test_a_length_that_fits_no_message_is_the_longest_that_does(length: int) -> None:
    """A client may claim it; it neither fails the gateway nor passes for a short body."""

    async def handler(request: Request, response: Response) -> None:
        await response.text(str(request.content_length))

    async with handler_on_port(handler) as port, raw_client(port) as client:
        await client.send(b"POST /plugins/p/ HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % length)
        assert (await client.read_until(b"807")).startswith(b"HTTP/1.1 200")
    assert client.seen.endswith(str(2**63 - 1).encode())


async def test_a_length_beside_chunks_means_nothing() -> None:
    """Two lengths of one body would be a way past whoever believes the other one (RFC 9112, section 6.3)."""

    async def handler(request: Request, response: Response) -> None:
        length = request.headers.get("Content-Length")
        await response.text(f"{request.content_length} {length} {(await request.read()).decode()}")

    async with handler_on_port(handler) as port, raw_client(port) as client:
        await client.send(
            b"POST /plugins/p/ HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n"
            b"5\r\nhello\r\n0\r\n\r\n"
        )
        assert (await client.read_until(b"hello")).endswith(b"-1 None hello")


async def test_an_absolute_target_is_taken() -> None:
    """As clients of proxies send it (RFC 9112, section 3.2.2); the plugin's path is the same."""

    async def handler(request: Request, response: Response) -> None:
        await response.text(f"<{request.url}>")

    async with handler_on_port(handler) as port, raw_client(port) as client:
        await client.send(b"GET http://chat.example/plugins/p/a%20b?c=d HTTP/1.1\r\nHost: chat.example\r\n\r\n")
        assert (await client.read_until(b">")).endswith(b"</a%20b?c=d>")


async def test_a_token_in_a_sloppy_cookie_is_not_shown() -> None:
    """Plugins trim the names of cookies, and so does what keeps the server's own back."""
    head = await seen_head("/plugins/p/", [("Cookie", "a=1; MMAUTHTOKEN =secret;\tMMAUTHTOKEN=secret; b=2")])
    assert dict(head.headers)["Cookie"] == "a=1; b=2"
