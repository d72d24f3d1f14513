"""Bodies read as a whole: JSON, forms, cookies, declared limits."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import anyio
import pytest

from mm_plugin import limits
from mm_plugin.exceptions import RequestBodyAbortedError, RequestFormatError, RequestTooLargeError
from mm_plugin.serve_http import Request, Response, run_http
from mm_plugin.transport.link import HTTPExchange, RequestHead
from tests.serve_http.served import ask, get, read_answer, served

FORM = (("Content-Type", "application/x-www-form-urlencoded; charset=utf-8"),)


async def told(read: Callable[[Request], Awaitable[object]], head: RequestHead, *pieces: bytes) -> object:
    """What a read gives, or how it fails."""
    seen: list[object] = []

    async def handler(request: Request, response: Response) -> None:
        try:
            seen.append(await read(request))
        except (RequestFormatError, RequestTooLargeError) as error:
            seen.append(error)

    await ask(handler, head, *pieces)
    return seen[0]


async def test_json_is_parsed_however_it_is_cut() -> None:
    """A value in UTF-8 that arrives in pieces, even within a character."""
    assert await told(Request.json, get(method="POST"), b'{"a": [1, "\xc3', b'\xbc"]}') == {"a": [1, "ü"]}


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[" * 100_000])
async def test_what_is_no_json_is_said(body: bytes) -> None:
    """The error names the request, without its query."""
    error = await told(Request.json, get("/a?token=hush", "POST"), *([body] if body else []))
    assert isinstance(error, RequestFormatError)
    assert str(error).startswith("the body of POST /a is no JSON: ")


async def test_a_wrong_body_that_nobody_catches_is_400() -> None:
    """The client's mistake is answered as such, with what is wrong in one line of plain text."""

    async def handler(request: Request, response: Response) -> None:
        await request.json()

    answer = await ask(handler, get("/a?token=hush", "POST"), b"{")
    reason = b"Expecting property name enclosed in double quotes: line 1 column 2 (char 1)"
    page = b"Bad Request: the body of POST /a is no JSON: " + reason + b"\n"
    assert (answer.head.status, answer.body) == (400, page)
    headers = dict(answer.head.headers)
    assert headers["Content-Type"] == "text/plain; charset=utf-8"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Content-Length"] == str(len(answer.body))


async def test_the_reason_of_a_400_is_bounded() -> None:
    """A client that sends a long path does not get all of it back; a lone surrogate in it does no harm."""

    async def handler(request: Request, response: Response) -> None:
        raise RequestFormatError("\ud800\n" + "x" * 100_000)

    answer = await ask(handler, get(method="POST"))
    assert answer.head.status == 400
    assert answer.body.startswith(b"Bad Request: ? xxx")
    assert len(answer.body) < 2 * limits.http_error_reason_characters


async def test_a_body_nested_without_end_tells_nothing_of_python() -> None:
    """What the client reads says what is wrong with its body alone."""

    async def handler(request: Request, response: Response) -> None:
        await request.json()

    answer = await ask(handler, get("/a", "POST"), b"[" * 100_000)
    assert answer.body == b"Bad Request: the body of POST /a is no JSON: it is nested too deeply\n"


async def test_a_parsed_body_has_a_limit() -> None:
    """What is held in memory is bounded unless the handler says otherwise."""
    body = [b" " * 65_536] * (limits.http_parsed_body_octets // 65_536) + [b"1"]
    assert isinstance(await told(Request.json, get(method="POST"), *body), RequestTooLargeError)

    async def read(request: Request) -> object:
        return await request.json(limit_octets=limits.http_parsed_body_octets + 1)

    assert await told(read, get(method="POST"), *body) == 1


async def test_a_form_is_parsed() -> None:
    """Names may repeat, values may be empty."""
    form = await told(Request.form, get(method="POST", headers=FORM), b"a=1&b=&a=2+3", b"%C3%BC")
    assert form == {"a": "1", "b": ""}
    assert form.get_all("a") == ["1", "2 3ü"]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("content_type", "body", "text"),
    [
        ("application/json", b"{}", "is application/json, not a form"),
        (FORM[0][1], b"\xff", "is no form"),
        (FORM[0][1], b"a=1&" * (limits.http_parameters + 1), "is no form"),
    ],
)
async def test_what_is_no_form_is_said(content_type: str, body: bytes, text: str) -> None:
    """Another type, other octets, or fields without end."""
    error = await told(Request.form, get(method="POST", headers=(("content-type", content_type),)), body)
    assert isinstance(error, RequestFormatError)
    assert text in str(error)


async def test_a_query_without_end_is_the_clients_mistake(caplog: pytest.LogCaptureFixture) -> None:
    """Parsing it would cost far more than sending it: 400, and no error of the plugin's."""

    async def handler(request: Request, response: Response) -> None:
        await response.text(str(len(request.query.get_all("a"))))

    assert (await ask(handler, get("/?" + "a&" * (limits.http_parameters - 1) + "a"))).head.status == 200
    assert (await ask(handler, get("/?" + "a&" * limits.http_parameters + "a"))).head.status == 400
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


async def test_cookies_have_names() -> None:
    """Fields may be split as HTTP/2 does; the first of equal names counts; quotes go, nonsense is left out."""
    seen: list[dict[str, str]] = []

    async def handler(request: Request, response: Response) -> None:
        seen.append(dict(request.cookies))

    await ask(handler, get(headers=(("Cookie", 'a=1; b="two"; a=3; nonsense; =x'), ("cookie", "c=x=y;d="))))
    assert seen == [{"a": "1", "b": "two", "c": "x=y", "d": ""}]


@pytest.mark.parametrize(
    ("request_uri", "url", "prefix"),
    [
        ("/plugins/p/a%20b?x", "/a%20b?x", "/plugins/p"),
        ("/sub/plugins/p/", "/", "/sub/plugins/p"),
        ("", "/a", ""),
        ("/elsewhere", "/a", ""),
    ],
)
async def test_the_prefix_is_what_the_server_took_off(request_uri: str, url: str, prefix: str) -> None:
    """Links of a page begin with it, also where the server lives below a path."""
    seen: list[str] = []

    async def handler(request: Request, response: Response) -> None:
        seen.append(request.prefix)

    await ask(handler, RequestHead(method="GET", url=url, request_uri=request_uri))
    assert seen == [prefix]


class Limited:
    """A plugin's side whose bodies have a declared limit."""

    def __init__(self) -> None:
        self.ran = False
        self.caught: list[Exception] = []

    async def handler(self, request: Request, response: Response) -> None:
        self.ran = True
        await request.read()

    async def __call__(self, exchange: HTTPExchange) -> None:
        await run_http(exchange, self.handler, max_body_octets=5)


async def test_a_declared_length_over_the_limit_is_413_before_anything_runs() -> None:
    """Neither the handler nor a read is needed for the refusal."""
    limited = Limited()
    async with (
        served(None, on_http=limited) as host,
        host.open_http(RequestHead(method="POST", url="/", content_length=6)) as call,
    ):
        answer = await read_answer(call)
    assert (answer.head.status, answer.body, limited.ran) == (413, b"Content Too Large\n", False)


async def test_an_undeclared_length_over_the_limit_is_413_as_soon_as_it_shows() -> None:
    """The body never ends, the answer comes all the same."""
    limited = Limited()
    async with served(None, on_http=limited) as host, host.open_http(get(method="POST")) as call:
        await call.send(b"12345")
        await call.send(b"6")
        answer = await read_answer(call)
    assert (answer.head.status, limited.ran) == (413, True)


async def test_a_body_of_just_the_limit_passes() -> None:
    """The limit itself is allowed."""
    async with (
        served(None, on_http=Limited()) as host,
        host.open_http(RequestHead(method="POST", url="/", content_length=5)) as call,
    ):
        await call.send(b"12345")
        await call.finish()
        assert (await read_answer(call)).head.status == 200


async def test_a_body_given_up_never_looks_whole() -> None:
    """A shielded reader sees the pump's end as a break, not as the end of the body."""
    caught: list[str] = []
    reading = anyio.Event()

    async def handler(request: Request, response: Response) -> None:
        with anyio.CancelScope(shield=True):
            try:
                async for _ in request.body:
                    reading.set()
            except RequestBodyAbortedError as error:
                caught.append(str(error))

    async with served(handler) as host, host.open_http(get(method="POST")) as call:
        await call.send(b"half")
        await reading.wait()
    assert len(caught) == 1
