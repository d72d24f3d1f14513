"""h2spec's cases over raw frames against a server in a process of its own, for machines without the tool."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.attacks.peers import Peer, ServerProcess
from tests.conformance.cases import CASES
from tests.wire.http2.raw_frames import ACK, DATA, GOAWAY, PING, RST_STREAM, SETTINGS, frame


@pytest.fixture(scope="session")
def _servers() -> Iterator[dict[str, ServerProcess]]:
    servers: dict[str, ServerProcess] = {}
    yield servers
    assert [server.close() for server in servers.values()] == [0] * len(servers)


@pytest.fixture
def server(_servers: dict[str, ServerProcess], anyio_backend: str) -> ServerProcess:
    """One server per backend for all cases."""
    if anyio_backend not in _servers:
        _servers[anyio_backend] = ServerProcess(anyio_backend)
    return _servers[anyio_backend]


def test_table_is_whole() -> None:
    """The 146 cases of 2.2.1, and the one that 2.6.0 has added."""
    assert len(CASES) == 147


@pytest.mark.parametrize("name", CASES)
def test_case(server: ServerProcess, name: str) -> None:
    """What has to come comes, and the connection lives or dies as it should."""
    case = CASES[name]
    with Peer(server.port, case.greeting) as peer:
        for step in case.steps:
            if isinstance(step, int):
                assert peer.answer(step) is not None
            elif isinstance(step, tuple):
                _wait_for_data(peer, step)
            else:
                peer.send(step)
        if case.codes:
            assert peer.read_to_the_end()
            assert peer.goaway() in case.codes
            return
        for stream_id, code in case.reset.items():
            assert peer.read_until(RST_STREAM, stream_id) is not None
            assert peer.reset(stream_id) is code
        for stream_id in case.answered:
            assert peer.answer(stream_id) is not None
        _wait_for_data(peer, case.data)
        _check_lives(peer)


def _wait_for_data(peer: Peer, sizes: tuple[int, ...]) -> None:
    """Wait for DATA frames of these sizes on stream 1, and no others before them."""
    for number, size in enumerate(sizes, 1):
        found = peer.read_until(DATA, 1, count=number)
        assert found is not None
        assert len(found.payload) == size


def _check_lives(peer: Peer) -> None:
    """A PING comes back with its payload, and no GOAWAY has come; the SETTINGS have been acknowledged."""
    pings = sum(found.kind == PING for found in peer.frames)
    peer.send(frame(PING, 0, 0, b"still on"))
    payload = b""
    while payload != b"still on":  # the case may have sent one of its own
        pings += 1
        answer = peer.read_until(PING, 0, count=pings)
        assert answer is not None
        assert answer.flags == ACK
        payload = answer.payload
    assert not any(found.kind == GOAWAY for found in peer.frames)
    assert any(found.kind == SETTINGS and found.flags == ACK for found in peer.frames)
