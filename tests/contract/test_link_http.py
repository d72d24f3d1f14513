"""HTTP exchanges over every link: both ways at once, early answers, aborts."""

from __future__ import annotations

import anyio
import pytest

from mm_plugin.exceptions import RequestBodyAbortedError, ResponseStateError
from mm_plugin.transport.link import (
    CallFailure,
    HTTPCall,
    HTTPExchange,
    RequestContextFields,
    RequestHead,
    ResponseHead,
)
from tests.contract.conftest import OpenPair
from tests.contract.links import Plugin, Server

HEAD = RequestHead(
    method="POST",
    url="/a?b=c",
    headers=(("X-One", "1"), ("X-Two", "2"), ("X-One", "3")),
    host="example.org",
    remote_addr="1.2.3.4:5",
    request_uri="/plugins/x/a?b=c",
    content_length=-1,
    context=RequestContextFields(session_id="s", request_id="r", ip_address="i", accept_language="l", user_agent="u"),
)


async def body_of(call: HTTPCall) -> bytes:
    pieces = bytearray()
    while (part := await call.receive()) is not None:
        pieces += part.data
    return bytes(pieces)


async def test_head_and_bodies_cross_both_ways(open_link: OpenPair) -> None:
    """An echo of several pieces arrives whole, with the heads as given (fields grouped by name at most)."""
    heads: list[RequestHead] = []

    async def echo(exchange: HTTPExchange) -> None:
        heads.append(exchange.head)
        await exchange.respond(ResponseHead(status=201, headers=(("X-A", "1"), ("X-A", "2"))))
        while piece := await exchange.receive():
            await exchange.write(piece)
        assert await exchange.receive() == b""
        await exchange.finish()

    async with open_link(Plugin(on_http=echo), Server()) as (_, host):
        with anyio.fail_after(10):
            async with host.open_http(HEAD) as call, anyio.create_task_group() as tasks:

                async def upload() -> None:
                    for piece in (b"one ", b"", b"two ", b"x" * 200_000):
                        await call.send(piece)
                    await call.finish()

                tasks.start_soon(upload)
                response = await call.receive_head()
                assert response == ResponseHead(status=201, headers=(("X-A", "1"), ("X-A", "2")))
                assert await body_of(call) == b"one two " + b"x" * 200_000
                assert await call.receive() is None
    (head,) = heads
    assert sorted(head.headers) == sorted(HEAD.headers)
    assert [value for name, value in head.headers if name == "X-One"] == ["1", "3"]
    for field in ("method", "url", "host", "remote_addr", "request_uri", "content_length", "context"):
        assert getattr(head, field) == getattr(HEAD, field), field


async def test_pieces_arrive_before_the_end_and_flushes_are_told(open_link: OpenPair) -> None:
    """A stream of events reaches the host piece by piece while the handler still runs."""
    go_on = anyio.Event()

    async def events(exchange: HTTPExchange) -> None:
        await exchange.respond(ResponseHead())
        await exchange.write(b"first", flush=True)
        await go_on.wait()
        await exchange.flush()
        await exchange.finish()

    async with open_link(Plugin(on_http=events), Server()) as (_, host):
        with anyio.fail_after(10):
            async with host.open_http(HEAD) as call:
                await call.finish()
                await call.receive_head()
                part = await call.receive()
                assert part is not None
                assert (part.data, part.flush) == (b"first", True)
                go_on.set()
                part = await call.receive()
                assert part is not None
                assert (part.data, part.flush) == (b"", True)
                assert await call.receive() is None


async def test_an_answer_without_a_body_is_complete(open_link: OpenPair) -> None:
    """A head and an end are a whole response."""
    async with open_link(Plugin(), Server()) as (_, host):
        with anyio.fail_after(10):
            async with host.open_http(HEAD) as call:
                await call.finish()
                assert (await call.receive_head()).status == 404
                assert await call.receive() is None


async def test_an_early_answer_does_not_wait_for_the_upload(open_link: OpenPair) -> None:
    """The handler answers and ends while the body still comes; the uploader is released."""

    async def early(exchange: HTTPExchange) -> None:
        assert await exchange.receive()
        await exchange.respond(ResponseHead(status=413))
        await exchange.write(b"too much")
        await exchange.finish()

    async with open_link(Plugin(on_http=early), Server()) as (_, host):
        with anyio.fail_after(10):
            async with host.open_http(HEAD) as call, anyio.create_task_group() as tasks:
                uploading = anyio.CancelScope()

                async def upload() -> None:
                    with uploading:
                        while True:
                            await call.send(b"x" * 65_536)
                            await anyio.lowlevel.checkpoint()

                tasks.start_soon(upload)
                assert (await call.receive_head()).status == 413
                assert await body_of(call) == b"too much"
                uploading.cancel()


async def test_a_blocked_upload_does_not_hold_the_response_back(open_link: OpenPair) -> None:
    """The head arrives although the body's sender waits for a reader that never comes."""

    async def answer(exchange: HTTPExchange) -> None:
        await exchange.respond(ResponseHead(status=202))
        await exchange.write(b"early", flush=True)
        await anyio.sleep_forever()

    async with open_link(Plugin(on_http=answer), Server()) as (_, host):
        with anyio.fail_after(10):
            async with host.open_http(HEAD) as call, anyio.create_task_group() as tasks:

                async def upload() -> None:
                    while True:
                        await call.send(b"x" * 65_536)

                tasks.start_soon(upload)
                await anyio.wait_all_tasks_blocked()
                assert (await call.receive_head()).status == 202
                part = await call.receive()
                assert part is not None
                assert part.data == b"early"
                tasks.cancel_scope.cancel()


async def test_an_aborted_request_body_raises_in_the_handler(open_link: OpenPair) -> None:
    """A body that ends without being complete is never taken for a whole one."""
    seen: list[bytes] = []
    errors: list[Exception] = []

    async def read(exchange: HTTPExchange) -> None:
        try:
            while piece := await exchange.receive():
                seen.append(piece)
        except RequestBodyAbortedError as error:
            errors.append(error)
        await exchange.respond(ResponseHead(status=400))
        await exchange.finish()

    async with open_link(Plugin(on_http=read), Server()) as (_, host):
        with anyio.fail_after(10):
            async with host.open_http(HEAD) as call:
                await call.send(b"half")
                await call.abort()
                assert (await call.receive_head()).status == 400
    assert b"".join(seen) == b"half"
    assert len(errors) == 1


@pytest.mark.parametrize("how", ["abort", "return", "raise"])
async def test_a_response_that_breaks_off_is_visible(
    open_link: OpenPair, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    """What the handler did not finish never looks complete to the host."""

    async def broken(exchange: HTTPExchange) -> None:
        await exchange.respond(ResponseHead())
        await exchange.write(b"half", flush=True)
        if how == "abort":
            await exchange.abort("no more")
        if how == "raise":
            raise ValueError("secret")

    async with open_link(Plugin(on_http=broken), Server()) as (_, host):
        with anyio.fail_after(10):
            async with host.open_http(HEAD) as call:
                await call.finish()
                await call.receive_head()
                with pytest.raises(CallFailure) as caught:
                    await body_of(call)
                with pytest.raises(CallFailure):  # and it stays broken for whoever asks again
                    await call.receive()
    assert "secret" not in str(caught.value)


async def test_no_head_at_all_is_a_failure(open_link: OpenPair) -> None:
    """A handler that aborts before the head leaves the host without one, clearly."""

    async def refuse(exchange: HTTPExchange) -> None:
        await exchange.abort()

    async with open_link(Plugin(on_http=refuse), Server()) as (_, host):
        with anyio.fail_after(10):
            async with host.open_http(HEAD) as call:
                await call.finish()
                with pytest.raises(CallFailure):
                    await call.receive_head()


async def test_a_client_that_leaves_cancels_the_handler(open_link: OpenPair) -> None:
    """Leaving the call before its end cancels the handler, and the link stays usable."""
    started, cancelled = anyio.Event(), anyio.Event()

    async def hang(exchange: HTTPExchange) -> None:
        if exchange.head.method == "GET":
            await exchange.respond(ResponseHead(status=204))
            await exchange.finish()
            return
        started.set()
        try:
            await anyio.sleep_forever()
        finally:
            cancelled.set()

    async with open_link(Plugin(on_http=hang), Server()) as (_, host):
        with anyio.fail_after(10):
            async with host.open_http(HEAD) as call, anyio.create_task_group() as tasks:
                tasks.start_soon(call.receive_head)
                await started.wait()
                tasks.cancel_scope.cancel()
            await cancelled.wait()
            async with host.open_http(RequestHead(method="GET", url="/")) as call:
                await call.finish()
                assert (await call.receive_head()).status == 204


async def test_a_response_out_of_order_is_refused_locally(open_link: OpenPair) -> None:
    """A write before the head, a second head and anything after the end raise; the response stays whole."""
    errors: list[str] = []

    async def wrong(exchange: HTTPExchange) -> None:
        try:
            await exchange.write(b"too early")
        except ResponseStateError:
            errors.append("write before head")
        await exchange.respond(ResponseHead(status=202))
        try:
            await exchange.respond(ResponseHead())
        except ResponseStateError:
            errors.append("second head")
        await exchange.finish()
        for attempt in (exchange.write(b"late"), exchange.flush(), exchange.finish()):
            try:
                await attempt
            except ResponseStateError:
                errors.append("after the end")

    async with open_link(Plugin(on_http=wrong), Server()) as (_, host):
        with anyio.fail_after(10):
            async with host.open_http(HEAD) as call:
                await call.finish()
                assert (await call.receive_head()).status == 202
                assert await call.receive() is None
            while len(errors) < 5:
                await anyio.lowlevel.checkpoint()
    assert errors == ["write before head", "second head", *["after the end"] * 3]


async def test_a_slow_client_holds_the_handler_back(open_link: OpenPair) -> None:
    """Nobody reads: the handler's writes stop after a bounded number of octets."""
    written = 0
    blocked = anyio.Event()

    async def flood(exchange: HTTPExchange) -> None:
        nonlocal written
        await exchange.respond(ResponseHead())
        while True:
            with anyio.move_on_after(0.3) as scope:
                await exchange.write(b"x" * 65_536)
                written += 65_536
            if scope.cancelled_caught:
                blocked.set()
                await anyio.sleep_forever()

    async with open_link(Plugin(on_http=flood), Server()) as (_, host):
        with anyio.fail_after(30):
            async with host.open_http(HEAD) as call:
                await call.finish()
                await blocked.wait()
    assert written <= 8 * 1024 * 1024


async def test_unread_uploads_do_not_hold_up_other_calls(open_link: OpenPair) -> None:
    """Many uploads that nobody reads leave the link free for everybody else."""
    started = 0
    everyone = anyio.Event()

    async def ignore(exchange: HTTPExchange) -> None:
        nonlocal started
        if exchange.head.method == "GET":
            await exchange.respond(ResponseHead(status=200))
            await exchange.finish()
            return
        started += 1
        if started == 50:
            everyone.set()
        await anyio.sleep_forever()

    async with open_link(Plugin(on_http=ignore), Server()) as (_, host):

        async def upload() -> None:
            async with host.open_http(HEAD) as call:
                while True:
                    await call.send(b"x" * 65_536)

        with anyio.fail_after(30):
            async with anyio.create_task_group() as tasks:
                for _ in range(50):
                    tasks.start_soon(upload)
                await everyone.wait()
                async with host.open_http(RequestHead(method="GET", url="/")) as call:
                    await call.finish()
                    assert (await call.receive_head()).status == 200
                tasks.cancel_scope.cancel()
