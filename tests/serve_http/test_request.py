"""What a handler sees of a request."""

import anyio
import pytest

from mm_plugin import limits
from mm_plugin.exceptions import RequestBodyAbortedError, RequestTooLargeError
from mm_plugin.serve_http import Request, Response
from mm_plugin.transport.link import RequestContextFields, RequestHead
from tests.serve_http.served import ask, get, read_answer, served


async def test_the_head_is_there_as_values() -> None:
    """Every part of the head reaches the handler."""
    seen: list[Request] = []

    async def handler(request: Request, response: Response) -> None:
        seen.append(request)

    context = RequestContextFields(session_id="s", request_id="r")
    head = RequestHead(
        method="POST",
        url="/a%20b?x=1&x=2",
        headers=(("Mattermost-User-Id", "u1"), ("X-Y", "z")),
        host="example.com",
        remote_addr="127.0.0.1:1",
        request_uri="/plugins/p/a%20b?x=1&x=2",
        content_length=0,
        context=context,
    )
    await ask(handler, head)
    (request,) = seen
    assert (request.method, request.url, request.path) == ("POST", "/a%20b?x=1&x=2", "/a b")
    assert request.request_uri == "/plugins/p/a%20b?x=1&x=2"
    assert (request.query_string, request.query.get_all("x")) == ("x=1&x=2", ["1", "2"])
    assert (request.host, request.remote_addr, request.content_length) == ("example.com", "127.0.0.1:1", 0)
    assert (request.user_id, request.headers["x-y"], request.context) == ("u1", "z", context)
    assert repr(request) == "<Request POST /a b>"


async def test_nobody_signed_in_is_an_empty_user_id() -> None:
    """The server sets the user's header only for a valid session."""
    seen: list[str] = []

    async def handler(request: Request, response: Response) -> None:
        seen.append(request.user_id)

    await ask(handler)
    assert seen == [""]


async def test_the_body_can_be_iterated_or_read() -> None:
    """Pieces come in order; read gives what is left; after the end there is nothing."""
    seen: list[object] = []

    async def handler(request: Request, response: Response) -> None:
        async for piece in request.body:
            seen.append(piece)
            break
        seen.append(await request.read())
        seen.append(await request.read())
        seen.append([piece async for piece in request.body])

    await ask(handler, get(method="POST"), b"one", b"two", b"three")
    assert seen == [b"one", b"twothree", b"", []]


async def test_a_body_that_breaks_off_raises() -> None:
    """What was read of a truncated upload is never taken for the whole, however often it is tried."""
    caught: list[str] = []

    async def handler(request: Request, response: Response) -> None:
        for _ in range(2):
            try:
                await request.read()
            except RequestBodyAbortedError as error:
                caught.append(str(error))
        response.status = 400

    async with served(handler) as host, host.open_http(get(method="POST")) as call:
        await call.send(b"part")
        await call.abort()
        answer = await read_answer(call)
    assert caught == ["the request body ended before it was complete"] * 2
    assert answer.head.status == 400


@pytest.mark.parametrize("content_length", [-1, 6])
async def test_a_limit_stops_reading(content_length: int) -> None:
    """A body over the handler's limit is refused, from its declared length or as soon as it shows."""
    caught: list[str] = []

    async def handler(request: Request, response: Response) -> None:
        try:
            await request.read(limit_octets=5)
        except RequestTooLargeError as error:
            caught.append(str(error))

    await ask(handler, RequestHead(method="POST", url="/up", content_length=content_length), b"abc", b"def")
    assert caught == ["the body of POST /up is longer than 5 octets"]


async def test_a_body_within_the_limit_is_read() -> None:
    """The limit itself is allowed."""
    seen: list[bytes] = []

    async def handler(request: Request, response: Response) -> None:
        seen.append(await request.read(limit_octets=6))

    await ask(handler, get(method="POST"), b"abc", b"def")
    assert seen == [b"abcdef"]


async def test_an_unread_body_is_held_back_at_its_sender() -> None:
    """The pump stays a few pieces ahead of the handler and no more."""
    read_on = anyio.Event()

    async def handler(request: Request, response: Response) -> None:
        await read_on.wait()
        await response.write(str(len(await request.read())))

    sent = 0
    async with served(handler) as host, host.open_http(get(method="POST")) as call:
        with anyio.move_on_after(0.3):
            while True:
                await call.send(b"x")
                sent += 1
        # The memory link holds as many pieces again.
        assert sent <= 2 * limits.http_body_pieces + 1
        read_on.set()
        await call.finish()
        answer = await read_answer(call)
    assert int(answer.body) in (sent, sent + 1)
