"""Floods against a real server in a process of its own: it hangs up in time, forgets all, and serves the others."""

from __future__ import annotations

import os

import pytest

from mm_plugin import limits
from mm_plugin.wire.http2 import ErrorCode
from tests.attacks.floods import FLOODS, deliver
from tests.attacks.peers import Peer, ServerProcess, call
from tests.wire.http2.raw_frames import rst_stream

COUNT = int(os.environ.get("MM_PLUGIN_FLOOD", "20000"))


@pytest.mark.parametrize("name", FLOODS)
def test_flood(server: ServerProcess, name: str) -> None:
    """20,000 blows end in ENHANCE_YOUR_CALM within the budget, at little cost; what else holds, the fixture says."""
    memory, cpu = server.memory_octets, server.cpu_s
    with Peer(server.port) as peer:
        assert deliver(peer, FLOODS[name], COUNT) is ErrorCode.ENHANCE_YOUR_CALM
        answered = len(peer.frames)
    assert answered <= 3 * limits.http2_concurrent_streams
    assert server.healthy()
    grown = server.memory_octets - memory
    print(f"{name}: {grown / 1024:.0f} KiB, {server.cpu_s - cpu:.2f} s CPU, {answered} frames")
    assert server.cpu_s - cpu < 0.5, "of the processor, whatever else the machine does"


def test_handlers_are_bounded(server: ServerProcess) -> None:
    """However many streams were opened and reset, never more handlers ran than streams are allowed."""
    for _ in range(3):
        with Peer(server.port) as peer:
            for start in range(0, 3_000, 100):  # each call begins before it is reset
                peer.send(b"".join(call(2 * number + 1, "/t.T/Linger") for number in range(start, start + 100)))
                server.healthy()
                if not peer.send(b"".join(rst_stream(2 * number + 1) for number in range(start, start + 100))):
                    break
            peer.read_to_the_end()
            assert peer.goaway() is ErrorCode.ENHANCE_YOUR_CALM
    most = server.ask("/t.T/Most")
    assert most is not None
    assert 0 < int(most) <= 3 * limits.http2_concurrent_streams


def test_flood_beside_a_call(server: ServerProcess) -> None:
    """While one peer floods, another's calls are answered."""
    for _ in range(20):
        with Peer(server.port) as flooding:
            flooding.send(FLOODS["PING"].make(0) * (limits.http2_idle_frames - 50), read=False)
            assert server.healthy()
            flooding.send(FLOODS["PING"].make(0) * 100, read=False)
            assert server.healthy()
