"""One server process per backend for all attacks: what one of them leaves behind, the next would meet."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from mm_plugin import limits
from tests.attacks.peers import WIDE_GREETING, Peer, ServerProcess, call

#: Limits short enough to be waited for.
SHORT = {"http2_unfinished_s": 0.4, "http2_stall_s": 0.3, "socket_write_s": 0.5}


class _Servers:
    def __init__(self) -> None:
        self.running: dict[tuple[str, bool], ServerProcess] = {}

    def get(self, backend: str, *, hasty: bool) -> ServerProcess:
        """Return the server of a backend, started when first asked for, and warm.

        Warm: it has loaded its code, and once had as many calls open as it allows, whose memory it keeps for the next.
        """
        server = self.running.get((backend, hasty))
        if server is None:
            server = self.running[backend, hasty] = ServerProcess(backend, **SHORT if hasty else {})
            for _ in range(2):
                with Peer(server.port, WIDE_GREETING) as peer:
                    streams = limits.http2_concurrent_streams - 1
                    assert peer.send(b"".join(call(2 * number + 1, "/t.T/Hang") for number in range(streams)))
                    assert peer.send(call(2 * streams + 1, "/t.T/Echo", bytes(500)))
                    assert peer.answer(2 * streams + 1) is not None
        return server


@pytest.fixture(scope="session")
def _servers() -> Iterator[_Servers]:
    servers = _Servers()
    yield servers
    assert [server.close() for server in servers.running.values()] == [0] * len(servers.running)


@pytest.fixture
def server(_servers: _Servers, anyio_backend: str) -> ServerProcess:
    """A server with the limits it has in earnest."""
    return _servers.get(anyio_backend, hasty=False)


@pytest.fixture
def hasty_server(_servers: _Servers, anyio_backend: str) -> ServerProcess:
    """A server whose time limits are short."""
    return _servers.get(anyio_backend, hasty=True)
