"""One server process per backend for all attacks: what one of them leaves behind, the next would meet."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.attacks.peers import ServerProcess, warm

#: Limits short enough to be waited for.
SHORT = {"http2_unfinished_s": 0.4, "http2_stall_s": 0.3, "socket_write_s": 0.5}

#: What an attack may leave behind in a warm server.
GROWTH_OCTETS = 5_000_000


class _Servers:
    def __init__(self) -> None:
        self.running: dict[tuple[str, bool], ServerProcess] = {}

    def get(self, backend: str, *, hasty: bool) -> ServerProcess:
        """Return the server of a backend, started and warmed when first asked for."""
        server = self.running.get((backend, hasty))
        if server is None:
            server = self.running[backend, hasty] = ServerProcess(backend, **SHORT if hasty else {})
            warm(server.port)
            server.warm_octets = server.memory_octets
        return server


@pytest.fixture(scope="session")
def _servers() -> Iterator[_Servers]:
    servers = _Servers()
    yield servers
    assert [server.close() for server in servers.running.values()] == [0] * len(servers.running)


def _watched(server: ServerProcess) -> Iterator[ServerProcess]:
    """Give a server to an attack; afterwards it must answer within two seconds and be no larger by 5 MB."""
    assert server.healthy()
    # What it has given back since it was warm, it may take again.
    memory = max(server.memory_octets, server.warm_octets)
    yield server
    assert server.healthy(), "a fresh connection's health check was not answered within two seconds"
    end = time.monotonic() + 2
    while (grown := server.memory_octets - memory) >= GROWTH_OCTETS and time.monotonic() < end:
        time.sleep(0.01)  # what the last connection held goes when its linger is over
    assert grown < GROWTH_OCTETS, f"grown by {grown} octets"


@pytest.fixture
def server(_servers: _Servers, anyio_backend: str) -> Iterator[ServerProcess]:
    """A server with the limits it has in earnest."""
    yield from _watched(_servers.get(anyio_backend, hasty=False))


@pytest.fixture
def hasty_server(_servers: _Servers, anyio_backend: str) -> Iterator[ServerProcess]:
    """A server whose time limits are short."""
    yield from _watched(_servers.get(anyio_backend, hasty=True))
