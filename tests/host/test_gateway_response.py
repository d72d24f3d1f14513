"""Answers that no server may send as they are: plugins of other languages can make them."""

from __future__ import annotations

import httpx
import pytest

from mm_plugin.serve_http import Request, Response
from mm_plugin.transport.link import (
    ResponseHead,
)
from tests.host.http_client import (
    PROTOCOLS,
    client_of,
    handler_on_port,
    link_on_port,
)
from tests.host.scripted_link import scripted


def fields(*pairs: tuple[str, str], status: int = 200) -> ResponseHead:
    """A head with these fields."""
    return ResponseHead(status=status, headers=pairs)


@PROTOCOLS
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("X-A", "a\r\nSet-Cookie: stolen=1"),
        ("X-A", "a\nb"),
        ("X-A", "a\0b"),
        ("X A", "b"),
        ("X-A\r\nX-B", "b"),
        ("X-\u2603", "b"),
        ("", "b"),
        (":status", "404"),
        ("Content-Length", "two"),
        ("Content-Length", "9" * 40),
        ("Content-Length", "-1"),
    ],
)
async def test_a_field_that_would_break_the_head_is_left_out(
    http2: bool, name: str, value: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The rest of the answer is as it was, and the log says which field it was."""
    link = scripted(fields(("X-Good", " \u00fc\t"), (name, value)), b"hi")
    async with link_on_port(link) as port, client_of(port, http2=http2) as client:
        answer = await client.get("/plugins/p/")
        assert (answer.status_code, answer.content) == (200, b"hi")
        assert set(answer.headers) <= {"date", "x-good", "transfer-encoding"}
        assert (b"x-good", "\u00fc".encode()) in [(field.lower(), value) for field, value in answer.headers.raw]
    (record,) = caplog.records
    assert "plugin p: a field of its response is left out" in record.getMessage()


@PROTOCOLS
@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("GET", 204), ("GET", 304), ("HEAD", 404)])
async def test_a_body_where_none_may_be_is_left_out(http2: bool, method: str, status: int) -> None:
    """The connection stays usable: not an octet too many is on it."""
    link = scripted(fields(("Content-Length", "2"), status=status), b"hi")
    async with link_on_port(link) as port, client_of(port, http2=http2) as client:
        for _ in range(2):
            answer = await client.request(method, "/plugins/p/")
            assert (answer.status_code, answer.content) == (status, b"")
            assert answer.headers.get("content-length") == ("2" if method == "HEAD" else None)


@PROTOCOLS
@pytest.mark.parametrize(
    ("length", "pieces", "text"),
    [("5", (b"hi",), "3 octets short"), ("1", (b"hi",), "longer than"), ("3", (b"hi", b"ho"), "longer than")],
)
async def test_a_body_that_is_not_as_long_as_said_is_visibly_broken(
    http2: bool, length: str, pieces: tuple[bytes, ...], text: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Too short or too long: the client gets an error and the log one warning."""
    link = scripted(fields(("Content-Length", length)), *pieces)
    async with link_on_port(link) as port, client_of(port, http2=http2) as client:
        with pytest.raises(httpx.RemoteProtocolError):
            await client.get("/plugins/p/")
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert text in record.getMessage()


@PROTOCOLS
async def test_one_length_said_twice_is_said_once(http2: bool) -> None:
    """Equal lengths are one; different ones are none."""
    for second, seen in (("2", "2"), ("3", None)):
        link = scripted(fields(("Content-Length", "2"), ("content-length", second)), b"hi")
        async with link_on_port(link) as port, client_of(port, http2=http2) as client:
            answer = await client.get("/plugins/p/")
            assert (answer.headers.get("content-length"), answer.content) == (seen, b"hi")


@PROTOCOLS
@pytest.mark.parametrize("length", [None, "100"], ids=["no length", "length"])
async def test_a_handler_that_fails_halfway_is_seen_by_every_kind_of_client(http2: bool, length: str | None) -> None:
    """Chunked, with a length, or a stream of HTTP/2: none of them takes the half for the whole."""

    async def handler(request: Request, response: Response) -> None:
        if length is not None:
            response.headers["Content-Length"] = length
        await response.write("half", flush=True)
        raise RuntimeError("no more")

    async with handler_on_port(handler) as port, client_of(port, http2=http2) as client:
        with pytest.raises(httpx.RemoteProtocolError):
            await client.get("/plugins/p/")


@PROTOCOLS
async def test_what_the_server_says_itself_is_said_once(http2: bool) -> None:
    """The date and what belongs to one connection are the server's; everything else is the plugin's."""
    head = fields(("Date", "Thu, 01 Jan 1970 00:00:00 GMT"), ("Keep-Alive", "timeout=5"), ("Server", "mine"))
    async with link_on_port(scripted(head)) as port, client_of(port, http2=http2) as client:
        answer = await client.get("/plugins/p/")
    assert len(answer.headers.get_list("date")) == 1
    assert "1970" not in answer.headers["date"]
    assert (answer.headers["server"], "keep-alive" in answer.headers) == ("mine", False)
