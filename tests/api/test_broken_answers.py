"""Answers that are none: whether the server carried the call out is unknown, and no HTTP status is made up."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial

import anyio
import pytest
from anyio.abc import ByteStream, SocketAttribute

from mm_plugin.api.client import PluginAPIClient
from mm_plugin.exceptions import ConnectionLostError, PluginAPIError, StatusCode, TooLargeError
from mm_plugin.host.api_receiver import HandlerAPI
from mm_plugin.transport.grpc.api_end import open_api_server
from mm_plugin.wire.grpc import frame as message
from mm_plugin.wire.http2 import encode
from tests.transport.grpc.fake_servers import FakeServer
from tests.wire.http2.raw_frames import (
    DATA,
    END_HEADERS,
    END_STREAM,
    HEADERS,
    RESPONSE_BLOCK,
    TRAILERS_BLOCK,
    frame,
    rst_stream,
)

Answer = Callable[[FakeServer, int], Awaitable[None]]


def reset(code: int) -> Answer:
    return lambda server, stream: server.send(rst_stream(stream, code))


def head_only(*fields: tuple[bytes, bytes]) -> Answer:
    block = encode(list(fields))
    return lambda server, stream: server.send(frame(HEADERS, END_HEADERS | END_STREAM, stream, block))


def body(octets: bytes, *, status: bool = True) -> Answer:
    def frames(stream: int) -> bytes:
        data = frame(DATA, 0 if status else END_STREAM, stream, octets)
        trailers = frame(HEADERS, END_HEADERS | END_STREAM, stream, TRAILERS_BLOCK) if status else b""
        return frame(HEADERS, END_HEADERS, stream, RESPONSE_BLOCK) + data + trailers

    return lambda server, stream: server.send(frames(stream))


async def error_after(answer: Answer) -> PluginAPIError:
    """Call a server that answers so, and return the error of the call."""
    errors: list[PluginAPIError] = []

    async def handle(byte_stream: ByteStream) -> None:
        server = FakeServer(byte_stream, greet=True)
        async with byte_stream:
            with suppress(anyio.EndOfStream, anyio.BrokenResourceError):
                await server.begin()
                await answer(server, await server.request())
                while True:
                    await server.read()

    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener:
        port: int = listener.extra(SocketAttribute.local_port)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(partial(listener.serve, handle))
            async with PluginAPIClient(f"127.0.0.1:{port}", message_limit_octets=1000) as api:
                with anyio.fail_after(10), pytest.raises(PluginAPIError) as caught:
                    await api.get_user("id")
                errors.append(caught.value)
            tasks.cancel_scope.cancel()
    return errors[0]


@pytest.mark.parametrize(
    "answer",
    [
        reset(2),
        reset(8),
        reset(11),
        head_only((b":status", b"502"), (b"content-type", b"text/html")),
        head_only((b":status", b"404"), (b"content-type", b"text/plain")),
        head_only((b":status", b"200"), (b"content-type", b"text/html")),
        head_only((b":status", b"200"), (b"content-type", b"application/grpc")),
        body(message(b"\xff\xff\xff")),
        body(message(b""), status=False),
        body(b"\0\0"),
        body(b""),
        body(message(b"") * 2),
    ],
    ids=["internal", "cancel", "calm", "502", "404", "html", "bare", "garbage", "open", "cut", "none", "two"],
)
async def test_no_answer_is_a_lost_connection(answer: Answer) -> None:
    """A reset, an answer that is no gRPC, and one that cannot be decoded are ConnectionLostError without a status."""
    error = await error_after(answer)
    assert type(error) is ConnectionLostError
    assert error.status_code == 0


async def test_an_answer_over_the_limit_may_have_been_carried_out() -> None:
    """An oversized answer is TooLargeError without a status; the text says that the call may have had its effect."""
    error = await error_after(body(message(b"x" * 1001)))
    assert (type(error), error.status_code, error.code) == (TooLargeError, 0, StatusCode.RESOURCE_EXHAUSTED)
    assert "the server may have carried the call out" in str(error)


class Failing:
    """Refuses every user."""

    async def get_user(self, user_id: str) -> None:
        raise TooLargeError("that is much", id=user_id)


@pytest.mark.parametrize(
    ("error_id", "name", "status"),
    [
        ("app.x.app_error", "TooLargeError", 0),
        ("api.rate_limit", "RateLimitedError", 429),
        ("api.context.too_many_requests.app_error", "RateLimitedError", 429),
        ("api.file.upload_file.too_large.app_error", "TooLargeError", 413),
        ("store.sql_post.save.exceeded_limit", "TooLargeError", 413),
        ("", "TooLargeError", 0),
    ],
)
async def test_resource_exhausted_is_413_or_429_only_where_the_id_says_so(
    error_id: str, name: str, status: int
) -> None:
    """RESOURCE_EXHAUSTED may have been 413 or 429: the server's id tells where it can, and else no status is told."""
    async with open_api_server(HandlerAPI(Failing())) as target, PluginAPIClient(target) as api:
        with pytest.raises(PluginAPIError) as caught:
            await api.get_user(error_id)
    assert (type(caught.value).__name__, caught.value.status_code) == (name, status)


async def test_a_request_over_the_limit_is_refused_at_once() -> None:
    """It is TooLargeError without a connection even; the text names size, limit and setting."""
    async with PluginAPIClient("127.0.0.1:1", message_limit_octets=1000) as api:
        with pytest.raises(TooLargeError) as caught:
            await api.kv_set("key", b"x" * 1000)
    assert str(caught.value) == (
        "KVSet: the request has 1008 octets, more than message_limit_octets = 1000; nothing was sent"
    )
    assert caught.value.status_code == 0
