"""Peers that let the server wait, or hold: slow ones, deaf ones, silent ones, those that will not leave."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack

import pytest

from mm_plugin import limits
from mm_plugin.wire.http2 import ErrorCode
from tests.attacks.peers import GREETING, WHOLE, WIDE_GREETING, Peer, ServerProcess, call, head
from tests.wire.http2.raw_frames import (
    CONTINUATION,
    DATA,
    END_HEADERS,
    HEADERS,
    PING,
    PREFACE,
    RST_STREAM,
    frame,
    request,
    settings,
    window_update,
)

MEGABYTE = 1_000_000


def wait_until(condition: Callable[[], bool], time_s: float = 5.0) -> bool:
    """Look again and again; whether it came true in time."""
    end = time.monotonic() + time_s
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)  # the server is another process: there is no event to wait for
    return True


@pytest.mark.parametrize(
    "begun",
    [
        b"",
        PREFACE[:10],
        PREFACE,
        GREETING + bytes(5),
        GREETING + frame(HEADERS, WHOLE, 1, head("/t.T/Echo"))[:-1],
        GREETING + frame(HEADERS, 0, 1, head("/t.T/Echo")),
        GREETING + frame(HEADERS, 0, 1, head("/t.T/Echo")) + frame(CONTINUATION, 0, 1),
        GREETING + request(1, END_HEADERS, head("/t.T/Echo")) + frame(DATA, 0, 1, bytes(100))[:-1],
    ],
    ids=["silence", "half a preface", "no SETTINGS", "half a frame head", "half a frame", "half a header block",
         "half a header block in two frames", "half of some data"],
)  # fmt: skip
def test_what_is_begun_has_to_be_finished(hasty_server: ServerProcess, begun: bytes) -> None:
    """A greeting, a frame or a header block that does not end in time ends the connection, with a word."""
    with Peer(hasty_server.port, begun) as peer:
        assert peer.read_to_the_end(3.0)
        assert peer.goaway() is ErrorCode.ENHANCE_YOUR_CALM
    assert hasty_server.healthy()


def test_one_octet_at_a_time(hasty_server: ServerProcess) -> None:
    """Dribbling does not help: the time is for the whole."""
    octets = GREETING + frame(HEADERS, 0, 1, head("/t.T/Echo")) + frame(CONTINUATION, 0, 1, bytes(10_000))
    with Peer(hasty_server.port, b"") as peer:
        for at in range(len(octets)):
            if not peer.send(octets[at : at + 1]):
                break
            peer.read_until(-1, time_s=0.02)
        else:
            pytest.fail("all of it was taken")
        assert peer.goaway() is ErrorCode.ENHANCE_YOUR_CALM


def test_half_a_request(hasty_server: ServerProcess) -> None:
    """A unary request that does not end is given up; its connection lives."""
    with Peer(hasty_server.port) as peer:
        peer.send(request(1, END_HEADERS, head("/t.T/Echo")) + frame(DATA, 0, 1, b"\0\0\0\0\x09half"))
        assert peer.read_until(RST_STREAM, 1, 3.0)
        peer.send(call(3, "/t.T/Echo", b"alive"))
        assert peer.answer(3) == b"\0\0\0\0\x05alive"


def test_streams_may_rest(hasty_server: ServerProcess) -> None:
    """A stream of requests that rests for a while is in order: it is the application's turn to say how long."""
    with Peer(hasty_server.port) as peer:
        peer.send(request(1, END_HEADERS, head("/t.T/Collect")) + frame(DATA, 0, 1, b"\0\0\0\0\x01x"))
        assert peer.read_until(RST_STREAM, 1, 1.0) is None
        assert not peer.closed


@pytest.mark.parametrize("method", ["Stream", "Big"])
def test_response_without_credit(hasty_server: ServerProcess, method: str) -> None:
    """A response whose peer gives no credit is dropped after a while, and all it held; the connection lives."""
    memory = hasty_server.memory_octets
    with Peer(hasty_server.port) as peer:
        peer.send(call(1, f"/t.T/{method}", b"1024" if method == "Stream" else b"67108864"))
        if method == "Stream":
            assert peer.read_until(DATA, 1)
            assert hasty_server.memory_octets - memory < 16 * MEGABYTE
        assert peer.read_until(RST_STREAM, 1, 5.0)
        peer.send(window_update(0, 100_000) + call(3, "/t.T/Echo", b"alive"))
        assert peer.answer(3) == b"\0\0\0\0\x05alive"
        assert wait_until(lambda: hasty_server.memory_octets - memory < 5 * MEGABYTE)


def test_slow_reader_is_no_stalled_one(hasty_server: ServerProcess) -> None:
    """A peer that gives little credit at a time gets the whole response, however long it takes."""
    with Peer(hasty_server.port) as peer:
        peer.send(call(1, "/t.T/Big", b"%d" % (65_535 + 8 * 1_000 - 5)) + window_update(0, 100_000))
        for _ in range(8):
            assert peer.read_until(RST_STREAM, 1, 0.15) is None
            peer.send(window_update(1, 1_000))
        assert len(peer.answer(1) or b"") == 65_535 + 8_000


def test_window_of_0_that_opens_again(hasty_server: ServerProcess) -> None:
    """A window that is shut for less than the time of the stalled, again and again, costs neither octets nor time."""
    pieces, octets = 5, 1_000
    with Peer(hasty_server.port, GREETING + settings(window=0)) as peer:
        peer.send(call(1, "/t.T/Big", b"%d" % (pieces * octets - 5)))
        assert peer.read_until(HEADERS, 1)
        spent = hasty_server.cpu_s
        for piece in range(pieces):
            assert peer.read_until(RST_STREAM, 1, 0.12) is None  # as 60 s of the 150 s it has in earnest
            assert sum(len(found.payload) for found in peer.frames if found.kind == DATA) == piece * octets
            peer.send(window_update(1, octets))
        assert len(peer.answer(1) or b"") == pieces * octets
        assert hasty_server.cpu_s - spent < 0.3


@pytest.mark.parametrize("method", ["Stream", "Big"])
def test_64_mib_that_nobody_reads(hasty_server: ServerProcess, method: str) -> None:
    """A socket that takes nothing holds a bounded piece of a stream, and is closed after the write limit."""
    memory = hasty_server.memory_octets
    with Peer(hasty_server.port, WIDE_GREETING) as peer:
        peer.send(call(1, f"/t.T/{method}", b"1024" if method == "Stream" else b"67108864"), read=False)
        most = 0
        end = time.monotonic() + 1.2
        while time.monotonic() < end:
            most = max(most, hasty_server.memory_octets - memory)
            time.sleep(0.01)
        if method == "Stream":
            assert most < 16 * MEGABYTE
        assert hasty_server.healthy()
        assert wait_until(lambda: hasty_server.memory_octets - memory < 5 * MEGABYTE)
        peer.read_to_the_end()
        assert peer.closed
        assert sum(len(found.payload) for found in peer.frames) < 64 * MEGABYTE


def test_answers_that_nobody_reads(hasty_server: ServerProcess) -> None:
    """Small answers without a reader are bounded, too: calls wait before they are answered; nothing adds up."""
    burst = b"".join(call(2 * number + 1, "/t.T/Echo", bytes(10_000)) for number in range(2_000))
    memory: list[int] = []
    for _ in range(2):
        memory.append(hasty_server.memory_octets)
        with Peer(hasty_server.port, WIDE_GREETING) as peer:
            peer.send(burst, read=False, time_s=0.5)
            assert hasty_server.healthy()
            assert hasty_server.memory_octets - memory[0] < 40 * MEGABYTE
            ping = frame(PING, 0, 0, bytes(8))
            assert wait_until(lambda: not peer.send(ping, read=False, time_s=0.1) and peer.closed)  # noqa: B023
    assert hasty_server.healthy()
    assert hasty_server.memory_octets - memory[1] < 5 * MEGABYTE


def test_declared_1_gib(server: ServerProcess) -> None:
    """A message that says it has 1 GiB is refused from its first five octets, before anything is set aside."""
    memory = server.memory_octets
    with Peer(server.port) as peer:
        for number in range(100):
            stream_id = 2 * number + 1
            peer.send(
                request(stream_id, END_HEADERS, head("/t.T/Echo"))
                + frame(DATA, 0, stream_id, b"\0" + (2**30).to_bytes(4))
            )
            ended = peer.read_until(HEADERS, stream_id)
            assert ended is not None
            assert b"grpc-status\x018" in ended.payload
        assert server.memory_octets - memory < 5 * MEGABYTE
    assert server.healthy()


@pytest.mark.parametrize("greeting", [b"", GREETING], ids=["silent", "greeted"])
def test_500_half_open_connections(anyio_backend: str, greeting: bytes) -> None:
    """Five hundred connections that do nothing cost a fresh server less than 8 MB, and nobody else notices."""
    server = ServerProcess(anyio_backend)
    assert server.healthy()
    memory = server.memory_octets
    with ExitStack() as stack:
        peers: list[Peer] = []
        for _ in range(10):  # in groups, so that the queue of those that wait to be accepted does not overflow
            peers += [stack.enter_context(Peer(server.port, greeting)) for _ in range(50)]
            assert server.healthy()
        if greeting:
            assert all(peer.read_until(4) for peer in peers)
        grown = server.memory_octets - memory
        print(f"500 connections: {grown / 1024:.0f} KiB")
        assert grown < 8 * MEGABYTE
    assert server.healthy()
    assert server.memory_octets - memory < 8 * MEGABYTE
    assert server.close() == 0


def test_peer_that_ignores_goaway(server: ServerProcess) -> None:
    """A peer that goes on after our GOAWAY is cut off after a moment."""
    with Peer(server.port) as peer:
        peer.send(frame(0, 0, 0, b"x"), read=False)  # a fault: DATA on stream 0
        begin = time.monotonic()
        while peer.send(call(1, "/t.T/Echo", bytes(1_000)) * 10, read=False):
            assert time.monotonic() - begin < limits.connection_linger_s + 2
        peer.read_to_the_end()
        assert peer.closed
    assert server.healthy()


def test_server_closes_though_peers_stay() -> None:
    """A server that closes says so, and does not wait for peers that will not leave."""
    server = ServerProcess("asyncio")
    with Peer(server.port) as peer:
        peer.send(call(1, "/t.T/Hang"))
        assert peer.read_until(4)
        begin = time.monotonic()
        assert server.close() == 0
        assert time.monotonic() - begin < 3
        assert peer.read_to_the_end()
        assert peer.goaway() is ErrorCode.NO_ERROR
