"""Unary calls from our channel to our server."""

from __future__ import annotations

import logging

import anyio
import pytest

from mm_plugin.exceptions import LocalProtocolError, StatusCode
from mm_plugin.transport.grpc.channel import GRPCChannel
from mm_plugin.transport.grpc.errors import GRPCStatusError
from mm_plugin.transport.grpc.handlers import CallInfo, Streaming, Unary
from mm_plugin.transport.link import CallFault, FailureKind

from .conftest import PATH, BytesStream, Serve

ECHO = "/test.Echo/Unary"


async def echo(request: bytes, info: CallInfo) -> bytes:
    return request


def handlers() -> dict[str, Unary[bytes, bytes]]:
    return {ECHO: Unary(echo, bytes, bytes)}


async def test_echo_over_each_byte_stream(serve_everywhere: Serve) -> None:
    """A unary call gives its response over TCP, unix sockets and in memory alike."""
    async with serve_everywhere(handlers()) as served, served.channel() as channel:
        for message in (b"", b"x", b"\0" * 1000):
            assert await channel.unary(ECHO, message, bytes) == message


@pytest.mark.parametrize("octets", [16_384, 65_535, 262_144, 5_000_000])
async def test_large_messages(serve_everywhere: Serve, octets: int) -> None:
    """Messages far over frames and windows arrive whole, both ways."""
    message = bytes(range(256)) * (octets // 256) + b"tail"
    async with serve_everywhere(handlers()) as served, served.channel() as channel:
        assert await channel.unary(ECHO, message, bytes) == message


async def test_message_limit(serve: Serve) -> None:
    """A message of exactly the limit passes, one octet more is refused in both directions, and the channel lives."""
    async with serve(handlers(), message_limit_octets=1000) as served, served.channel() as channel:
        assert len(await channel.unary(ECHO, b"x" * 999, bytes)) == 999
        assert len(await channel.unary(ECHO, b"x" * 1000, bytes)) == 1000
        with pytest.raises(GRPCStatusError) as caught:
            await channel.unary(ECHO, b"x" * 1001, bytes)
        assert caught.value.code is StatusCode.RESOURCE_EXHAUSTED
        assert "1001" in caught.value.text
        with pytest.raises(GRPCStatusError) as caught:
            await channel.unary(ECHO, b"x" * 5_000_000, bytes)
        assert caught.value.code is StatusCode.RESOURCE_EXHAUSTED
        assert len(await channel.unary(ECHO, b"x", bytes)) == 1
    async with serve(handlers()) as served, served.channel(message_limit_octets=1000) as channel:
        assert len(await channel.unary(ECHO, b"x" * 1000, bytes)) == 1000
        with pytest.raises(GRPCStatusError) as caught:
            await channel.unary(ECHO, b"x" * 1001, bytes)
        assert caught.value.code is StatusCode.RESOURCE_EXHAUSTED


async def test_response_over_the_limit(serve: Serve) -> None:
    """A handler's response over the server's limit ends the call with RESOURCE_EXHAUSTED."""

    async def double(request: bytes, info: CallInfo) -> bytes:
        return request * 2

    async with (
        serve({ECHO: Unary(double, bytes, bytes)}, message_limit_octets=100) as served,
        served.channel() as channel,
    ):
        assert await channel.unary(ECHO, b"x" * 50, bytes) == b"x" * 100
        with pytest.raises(GRPCStatusError) as caught:
            await channel.unary(ECHO, b"x" * 51, bytes)
        assert caught.value.code is StatusCode.RESOURCE_EXHAUSTED


async def test_status_text_and_metadata(serve: Serve) -> None:
    """A status raised by a handler reaches the caller with its text and metadata, whatever characters it holds."""
    text = "\t\ntest with whitespace\r\nand Unicode BMP ☺ and non-BMP 😈\t\n 100%"

    async def fail(request: bytes, info: CallInfo) -> bytes:
        raise GRPCStatusError(StatusCode.NOT_FOUND, text, metadata=(("a", "b"), ("c-bin", b"\0\xff")))

    async with serve({ECHO: Unary(fail, bytes, bytes)}) as served, served.channel() as channel:
        with pytest.raises(GRPCStatusError) as caught:
            await channel.unary(ECHO, b"", bytes)
    assert caught.value.code is StatusCode.NOT_FOUND
    assert caught.value.text == text
    assert caught.value.kind is FailureKind.STATUS
    assert caught.value.metadata == (("a", "b"), ("c-bin", b"\0\xff"))


async def test_call_info(serve: Serve) -> None:
    """A handler learns path, metadata, octets, deadline and peer of its call."""
    seen: list[CallInfo] = []

    async def look(request: bytes, info: CallInfo) -> bytes:
        seen.append(info)
        return b""

    async with serve({ECHO: Unary(look, bytes, bytes)}) as served, served.channel() as channel:
        await channel.unary(ECHO, b"ab", bytes)
        deadline = anyio.current_time() + 60
        await channel.unary(ECHO, b"", bytes, deadline=deadline, metadata=(("k", "v"), ("o-bin", b"\1")))
    assert [info.path for info in seen] == [ECHO, ECHO]
    assert [info.octets for info in seen] == [b"ab", b""]
    assert seen[0].deadline is None
    assert seen[0].metadata == ()
    assert seen[1].deadline == pytest.approx(deadline, abs=5)
    assert seen[1].metadata == (("k", "v"), ("o-bin", b"\1"))
    assert seen[0].peer.startswith("127.0.0.1:")
    assert seen[0].user_agent


async def test_crash_of_a_handler(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    """A crash becomes INTERNAL without a word of the exception, which the log has once."""

    async def crash(request: bytes, info: CallInfo) -> bytes:
        raise ValueError("the secret")

    async with serve({ECHO: Unary(crash, bytes, bytes)}) as served, served.channel() as channel:
        with caplog.at_level(logging.ERROR), pytest.raises(GRPCStatusError) as caught:
            await channel.unary(ECHO, b"", bytes)
        assert caught.value.code is StatusCode.INTERNAL
        assert "secret" not in caught.value.text
        records = [record for record in caplog.records if record.exc_info]
        assert len(records) == 1
        assert "the secret" in caplog.text


async def test_crash_while_cancelled(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    """A task of a handler that crashes over its cancellation is logged; other calls of the connection go on."""
    begun = anyio.Event()

    async def crash(stream: BytesStream) -> None:
        try:
            await anyio.sleep_forever()
        finally:
            raise ValueError(7)

    async def work(stream: BytesStream) -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(crash, stream)
            await anyio.wait_all_tasks_blocked()
            begun.set()
            await anyio.sleep_forever()

    async with serve({**handlers(), PATH: Streaming(work, bytes, bytes)}) as served, served.channel() as channel:
        async with channel.open_stream(PATH, bytes, bytes):
            await begun.wait()
        with anyio.fail_after(5):
            while "crashed" not in caplog.text:
                await channel.unary(ECHO, b"", bytes)
            assert await channel.unary(ECHO, b"lives", bytes) == b"lives"
        assert f"{PATH} crashed" in caplog.text
        assert "fault of ours" not in caplog.text


async def test_wrong_response_type(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    """A handler that returns another type than its method has is INTERNAL, and the log names both."""

    async def wrong(request: bytes, info: CallInfo) -> bytes:
        return "text"  # type: ignore[return-value]

    async with serve({ECHO: Unary(wrong, bytes, bytes)}) as served, served.channel() as channel:
        with pytest.raises(GRPCStatusError) as caught:
            await channel.unary(ECHO, b"", bytes)
        assert caught.value.code is StatusCode.INTERNAL
        assert "str" in caplog.text


async def test_unknown_method(serve: Serve) -> None:
    """A path nobody handles is UNIMPLEMENTED, and the text has the path."""
    async with serve(handlers()) as served, served.channel() as channel:
        with pytest.raises(GRPCStatusError) as caught:
            await channel.unary("/no.Such/Method", b"x" * 100_000, bytes)
        assert caught.value.code is StatusCode.UNIMPLEMENTED
        assert "/no.Such/Method" in caught.value.text
        assert await channel.unary(ECHO, b"x", bytes) == b"x"


async def test_policy_answers_faults(serve: Serve) -> None:
    """Where a handler has a policy, calls that bring no request end with its response and status OK."""
    faults: list[tuple[CallFault, str]] = []

    class Picky:
        @classmethod
        def FromString(cls, data: bytes) -> Picky:  # noqa: N802 - the messages' own name
            raise ValueError("not mine")

    async def answer(request: Picky, info: CallInfo) -> bytes:
        return b"never"

    async def policy(fault: CallFault, text: str, info: CallInfo) -> bytes:
        faults.append((fault, text))
        return fault.name.encode()

    async with (
        serve({ECHO: Unary(answer, Picky, bytes, on_fault=policy)}, message_limit_octets=100) as served,
        served.channel() as channel,
    ):
        assert await channel.unary(ECHO, b"x", bytes) == b"UNDECODABLE"
        assert await channel.unary(ECHO, b"x" * 101, bytes) == b"TOO_LARGE"
        assert await channel.unary(ECHO, b"x" * 3_000_000, bytes) == b"TOO_LARGE"
        await served.server.drain(grace_s=5)
        with anyio.fail_after(5):
            assert await channel.unary(ECHO, b"x", bytes) == b"DRAINING"
    assert "not mine" in faults[0][1]
    assert "101" in faults[1][1]


async def test_deadline(serve_everywhere: Serve) -> None:
    """At the deadline the caller is told, and the handler's scope is cancelled."""
    cancelled = anyio.Event()

    async def hang(request: bytes, info: CallInfo) -> bytes:
        try:
            await anyio.sleep_forever()
        finally:
            cancelled.set()
        return b""

    async with serve_everywhere({ECHO: Unary(hang, bytes, bytes)}) as served, served.channel() as channel:
        with pytest.raises(GRPCStatusError) as caught:
            await channel.unary(ECHO, b"", bytes, deadline=anyio.current_time() + 0.05)
        assert caught.value.code is StatusCode.DEADLINE_EXCEEDED
        assert caught.value.kind is FailureKind.DEADLINE
        with anyio.fail_after(5):
            await cancelled.wait()


async def test_the_channels_metadata_goes_with_every_call(serve: Serve) -> None:
    """What the channel was given comes before each call's own; what cannot be sent is refused when it is given."""
    seen: list[CallInfo] = []

    async def look(request: bytes, info: CallInfo) -> bytes:
        seen.append(info)
        return b""

    async with serve({ECHO: Unary(look, bytes, bytes)}) as served:
        async with GRPCChannel(served.connect, metadata=(("who", "me"),)) as channel:
            await channel.unary(ECHO, b"", bytes, deadline=anyio.current_time() + 60)
            await channel.unary(ECHO, b"", bytes, metadata=(("k", "v"),))
        with pytest.raises(LocalProtocolError):
            GRPCChannel(served.connect, metadata=(("te", "x"),))
    assert [info.metadata for info in seen] == [(("who", "me"),), (("who", "me"), ("k", "v"))]


async def test_each_call_has_its_own_deadline(serve: Serve) -> None:
    """Deadlines pass in their order, whatever the calls' own; calls that end in time and later ones are not touched."""
    go = anyio.Event()
    late: list[int] = []

    async def wait(request: bytes, info: CallInfo) -> bytes:
        if request:
            await go.wait()
        return request

    async with serve({ECHO: Unary(wait, bytes, bytes)}) as served, served.channel() as channel:

        async def call(number: int, timeout_s: float) -> None:
            try:
                assert await channel.unary(ECHO, b"x", bytes, deadline=anyio.current_time() + timeout_s) == b"x"
            except GRPCStatusError as error:
                if error.kind is not FailureKind.DEADLINE:
                    raise
                late.append(number)

        with anyio.fail_after(15):
            await channel.unary(ECHO, b"", bytes, deadline=anyio.current_time() + 0.1)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(call, 9, 60)
                async with anyio.create_task_group() as first:
                    for number, timeout_s in ((4, 0.8), (2, 0.4), (3, 0.6), (1, 0.2), (0, -1)):
                        first.start_soon(call, number, timeout_s)
                async with anyio.create_task_group() as second:
                    second.start_soon(call, 6, 0.3)
                    second.start_soon(call, 5, 0.1)
                go.set()
    assert late == [0, 1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("timeout_s", [0.9, 1, 29.9995, 99_998.9, 99_999, 10**8])
async def test_server_learns_the_deadline(serve: Serve, timeout_s: float) -> None:
    """The server's deadline is the caller's, never earlier, in whatever unit it was told."""
    seen: list[float | None] = []

    async def note(request: bytes, info: CallInfo) -> bytes:
        seen.append(info.deadline)
        return request

    async with serve({ECHO: Unary(note, bytes, bytes)}) as served, served.channel() as channel:
        await channel.unary(ECHO, b"", bytes)
        deadline = anyio.current_time() + timeout_s
        await channel.unary(ECHO, b"", bytes, deadline=deadline)
    assert seen[0] is None
    assert seen[1] is not None
    assert deadline - 0.001 <= seen[1] <= deadline + 5 + timeout_s / 1_000


async def test_cancellation_reaches_the_handler(serve_everywhere: Serve) -> None:
    """A caller that is cancelled resets the call, and the handler's scope is cancelled."""
    started, cancelled = anyio.Event(), anyio.Event()

    async def hang(request: bytes, info: CallInfo) -> bytes:
        started.set()
        try:
            await anyio.sleep_forever()
        finally:
            cancelled.set()
        return b""

    async with serve_everywhere({ECHO: Unary(hang, bytes, bytes)}) as served, served.channel() as channel:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(channel.unary, ECHO, b"", bytes)
            await started.wait()
            tasks.cancel_scope.cancel()
        with anyio.fail_after(5):
            await cancelled.wait()
        while served.server.running:
            await anyio.lowlevel.checkpoint()


async def test_hundreds_in_flight(serve: Serve) -> None:
    """Hundreds of calls wait at once on one connection, and cancelling one touches no other."""
    count = 300
    waiting = 0
    all_wait, go = anyio.Event(), anyio.Event()
    cancelled: list[bytes] = []
    answers: dict[int, bytes] = {}
    scopes: dict[int, anyio.CancelScope] = {}

    async def wait(request: bytes, info: CallInfo) -> bytes:
        nonlocal waiting
        waiting += 1
        if waiting == count:
            all_wait.set()
        try:
            await go.wait()
        except anyio.get_cancelled_exc_class():
            cancelled.append(request)
            raise
        return request

    async with serve({ECHO: Unary(wait, bytes, bytes)}) as served, served.channel() as channel:

        async def call(number: int) -> None:
            with anyio.CancelScope() as scopes[number]:
                deadline = anyio.current_time() + 30
                answers[number] = await channel.unary(ECHO, b"%d" % number, bytes, deadline=deadline)

        async with anyio.create_task_group() as tasks:
            for number in range(count):
                tasks.start_soon(call, number)
            with anyio.fail_after(20):
                await all_wait.wait()
            assert served.server.running == count
            scopes[7].cancel()
            with anyio.fail_after(5):
                while served.server.running == count:
                    await anyio.lowlevel.checkpoint()
            go.set()
    assert cancelled == [b"7"]
    assert answers == {number: b"%d" % number for number in range(count) if number != 7}


async def test_more_calls_than_streams(serve: Serve) -> None:
    """Calls beyond the peer's stream limit wait for room instead of failing."""
    count = 2_500
    async with serve(handlers()) as served, served.channel() as channel:
        done = 0

        async def call() -> None:
            nonlocal done
            assert await channel.unary(ECHO, b"x", bytes) == b"x"
            done += 1

        async with anyio.create_task_group() as tasks:
            for _ in range(count):
                tasks.start_soon(call)
        assert done == count
