"""A grpcio client calls our server (the cases of the gRPC interop suite)."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from queue import Queue
from typing import Any

import anyio
import grpc
import pytest

from .conftest import SPECIAL_TEXT, OurService, in_thread, our_server


async def test_unary(service: OurService, tmp_path: Path, carrier: str) -> None:
    """empty_unary, large_unary: exact sizes over each kind of socket."""
    async with our_server(service, tmp_path, carrier) as channel:
        echo = channel.unary_unary("/t.Test/Echo")
        for octets in (0, 1, 20_000, 10_000_000):
            assert await in_thread(partial(echo, bytes(octets), timeout=20)) == bytes(octets)
        sized = channel.unary_unary("/t.Test/Sized")
        assert len(await in_thread(lambda: sized(bytes(271_828), timeout=20))) == 314_159


async def test_client_streaming(service: OurService, tmp_path: Path) -> None:
    """client_streaming: four sizes, their sum."""
    async with our_server(service, tmp_path, "tcp") as channel:
        total = channel.stream_unary("/t.Test/Total")
        sizes = (27_182, 8, 1_828, 45_904)
        assert await in_thread(lambda: total(iter([bytes(size) for size in sizes]), timeout=20)) == b"74922"


async def test_server_streaming(service: OurService, tmp_path: Path) -> None:
    """server_streaming: four sizes, in order."""
    async with our_server(service, tmp_path, "tcp") as channel:
        spell = channel.unary_stream("/t.Test/Spell")
        found = await in_thread(lambda: [len(reply) for reply in spell(b"31415,9,2653,58979", timeout=20)])
        assert found == [31_415, 9, 2_653, 58_979]


async def test_ping_pong(service: OurService, tmp_path: Path, carrier: str) -> None:
    """ping_pong and empty_stream: each message is answered before the next is sent."""
    async with our_server(service, tmp_path, carrier) as channel:
        ping_pong = channel.stream_stream("/t.Test/PingPong")

        def play() -> list[int]:
            requests: Queue[bytes | None] = Queue()
            replies = ping_pong(iter(requests.get, None), timeout=20)
            found: list[int] = []
            for size in (27_182, 8, 1_828, 45_904):
                requests.put(bytes(size))
                found.append(len(next(replies)))
            requests.put(None)
            assert list(replies) == []
            return found

        assert await in_thread(play) == [27_182, 8, 1_828, 45_904]
        assert await in_thread(lambda: list(ping_pong(iter(()), timeout=20))) == []


async def test_streams_of_megabytes(service: OurService, tmp_path: Path) -> None:
    """30 MB go through a stream both ways."""
    async with our_server(service, tmp_path, "tcp") as channel:
        ping_pong = channel.stream_stream("/t.Test/PingPong")

        def requests() -> Iterator[bytes]:
            for _ in range(480):
                yield bytes(65_536)

        assert await in_thread(lambda: sum(map(len, ping_pong(requests(), timeout=30)))) == 480 * 65_536


async def test_custom_metadata(service: OurService, tmp_path: Path) -> None:
    """custom_metadata: text comes back with the head, octets with the status."""
    async with our_server(service, tmp_path, "tcp") as channel:
        method = channel.stream_stream("/t.Test/Metadata")

        def call() -> tuple[dict[str, str | bytes], dict[str, str | bytes]]:
            metadata = (("initial", "test_initial_metadata_value"), ("trailing-bin", b"\xab\xab\xab"))
            replies = method(iter((b"x",)), metadata=metadata, timeout=20)
            assert list(replies) == [b"x"]
            return dict(replies.initial_metadata()), dict(replies.trailing_metadata())

        initial, trailing = await in_thread(call)
        assert initial["initial"] == "test_initial_metadata_value"
        assert trailing["trailing-bin"] == b"\xab\xab\xab"


@pytest.mark.parametrize("text", ["test status message", SPECIAL_TEXT, ""])
async def test_status_and_message(service: OurService, tmp_path: Path, text: str) -> None:
    """status_code_and_message, special_status_message: code, text and metadata unchanged."""
    async with our_server(service, tmp_path, "tcp") as channel:
        method = channel.unary_unary("/t.Test/Status")
        with pytest.raises(grpc.RpcError) as caught:
            await in_thread(lambda: method(text.encode(), timeout=20))
        assert caught.value.code() is grpc.StatusCode.UNKNOWN
        assert caught.value.details() == text
        metadata: Any = caught.value.trailing_metadata()
        assert dict(metadata) == {"why-bin": b"\0\1"}


async def test_unimplemented(service: OurService, tmp_path: Path) -> None:
    """unimplemented_method, unimplemented_service: UNIMPLEMENTED, for unary and streaming calls."""
    async with our_server(service, tmp_path, "tcp") as channel:
        for path in ("/t.Test/Nothing", "/no.Service/Echo"):
            with pytest.raises(grpc.RpcError) as caught:
                await in_thread(partial(channel.unary_unary(path), b"x", timeout=20))
            assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
            with pytest.raises(grpc.RpcError) as caught:
                await in_thread(partial(next, channel.stream_stream(path)(iter((b"x",)), timeout=20)))
            assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_cancel_after_begin(service: OurService, tmp_path: Path) -> None:
    """cancel_after_begin: CANCELLED there, the handler's scope cancelled here."""
    async with our_server(service, tmp_path, "tcp") as channel:
        call = channel.unary_unary("/t.Test/Hang").future(b"", timeout=30)
        await service.started.wait()
        call.cancel()
        with anyio.fail_after(10):
            await service.cancelled.wait()
        assert call.cancelled()


async def test_cancel_after_first_response(service: OurService, tmp_path: Path) -> None:
    """cancel_after_first_response: a stream that has spoken can be cancelled, too."""
    async with our_server(service, tmp_path, "tcp") as channel:
        requests: Queue[bytes | None] = Queue()
        requests.put(b"x")
        replies = channel.stream_stream("/t.Test/PingPong")(iter(requests.get, None), timeout=30)
        assert await in_thread(lambda: next(replies)) == b"x"
        replies.cancel()
        requests.put(None)
        with anyio.fail_after(10):
            await service.cancelled.wait()
        assert replies.code() is grpc.StatusCode.CANCELLED


async def test_timeout_on_sleeping_server(service: OurService, tmp_path: Path) -> None:
    """timeout_on_sleeping_server: DEADLINE_EXCEEDED there, the handler's scope cancelled here."""
    async with our_server(service, tmp_path, "tcp") as channel:
        with pytest.raises(grpc.RpcError) as caught:
            await in_thread(lambda: channel.unary_unary("/t.Test/Hang")(b"", timeout=0.1))
        assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        with anyio.fail_after(10):
            await service.cancelled.wait()


async def test_many_calls_at_once(service: OurService, tmp_path: Path) -> None:
    """A thousand calls, a hundred of them at a time, on one connection."""
    async with our_server(service, tmp_path, "tcp") as channel:
        echo = channel.unary_unary("/t.Test/Echo")

        def play() -> int:
            good = 0
            for start in range(0, 1_000, 100):
                calls = [(number, echo.future(b"%d" % number, timeout=20)) for number in range(start, start + 100)]
                good += sum(call.result() == b"%d" % number for number, call in calls)
            return good

        assert await in_thread(play) == 1_000


async def test_compressed_requests(service: OurService, tmp_path: Path) -> None:
    """client_compressed_unary, client_compressed_streaming: gzip and identity are taken."""
    async with our_server(service, tmp_path, "tcp") as channel:
        echo = channel.unary_unary("/t.Test/Echo")
        total = channel.stream_unary("/t.Test/Total")
        for compression in (grpc.Compression.Gzip, grpc.Compression.NoCompression):
            reply = await in_thread(partial(echo, bytes(271_828), timeout=20, compression=compression))
            assert reply == bytes(271_828)
            requests = iter([bytes(27_182), bytes(45_904)])
            assert await in_thread(partial(total, requests, timeout=20, compression=compression)) == b"73086"


async def test_compression_probes(service: OurService, tmp_path: Path) -> None:
    """client_compressed_unary, client_compressed_streaming: INVALID_ARGUMENT where it is not compressed."""
    async with our_server(service, tmp_path, "tcp") as channel:
        unary = channel.unary_unary("/t.Test/ExpectPacked")
        total = channel.stream_unary("/t.Test/ExpectPackedTotal")
        for call in (partial(unary, bytes(271_828)), partial(total, iter([bytes(27_182)]))):
            with pytest.raises(grpc.RpcError) as caught:
                await in_thread(partial(call, timeout=20))
            assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        gzip = grpc.Compression.Gzip
        assert await in_thread(partial(unary, bytes(271_828), timeout=20, compression=gzip)) == bytes(271_828)
        requests = iter([bytes(27_182), bytes(45_904)])
        assert await in_thread(partial(total, requests, timeout=20, compression=gzip)) == b"73086"


async def test_unknown_compression(service: OurService, tmp_path: Path) -> None:
    """An encoding we do not take is UNIMPLEMENTED."""
    async with our_server(service, tmp_path, "tcp") as channel:
        echo = channel.unary_unary("/t.Test/Echo")
        with pytest.raises(grpc.RpcError) as caught:
            await in_thread(lambda: echo(b"x" * 1_000, timeout=20, compression=grpc.Compression.Deflate))
        assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_compressed_responses(service: OurService, tmp_path: Path) -> None:
    """server_compressed_unary, server_compressed_streaming: one message compressed, the next not, both arrive."""
    async with our_server(service, tmp_path, "tcp") as channel:
        packed = channel.unary_unary("/t.Test/Packed")
        reply = await in_thread(lambda: packed(bytes(100_000), timeout=20))
        assert reply == bytes(100_000)
        spell = channel.unary_stream("/t.Test/PackedSpell")
        assert await in_thread(lambda: [len(reply) for reply in spell(b"31415,92653", timeout=20)]) == [31_415, 92_653]


async def test_large_calls_at_once(service: OurService, tmp_path: Path) -> None:
    """Sixty large_unary calls at a time on one connection, five times."""
    async with our_server(service, tmp_path, "tcp") as channel:
        sized = channel.unary_unary("/t.Test/Sized")

        def play() -> int:
            good = 0
            for _ in range(5):
                calls = [sized.future(bytes(271_828), timeout=20) for _ in range(60)]
                good += sum(len(call.result()) == 314_159 for call in calls)
            return good

        assert await in_thread(play) == 300
