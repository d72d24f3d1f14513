"""Peers that give no credit for a minute, in real time: nothing is lost, nothing spins (hardening: R16)."""

from __future__ import annotations

import time

import anyio
from anyio.to_thread import run_sync

from mm_plugin.transport.grpc.channel import GRPCChannel
from tests.attacks.peers import GREETING, Peer, ServerProcess, call
from tests.transport.grpc.fake_servers import CALL, FakeServer, Servers, good
from tests.wire.http2.raw_frames import DATA, END_STREAM, HEADERS, settings, window_update

REST_S = 60.0
#: Processor seconds that a minute of waiting may cost.
IDLE_CPU_S = 0.5
_OCTETS = 300_000


def server_waits(backend: str, rest_s: float = REST_S) -> str:
    """Hold an answer of our server back by a window of 0, then let it go; return what went wrong."""
    server = ServerProcess(backend)
    try:
        with Peer(server.port, GREETING + settings(window=0)) as peer:
            peer.send(call(1, "/t.T/Big", b"%d" % _OCTETS))
            peer.read_until(HEADERS, 1)
            before = server.cpu_s
            time.sleep(rest_s)
            spent = server.cpu_s - before
            held = sum(len(found.payload) for found in peer.frames if found.kind == DATA)
            peer.send(window_update(1, _OCTETS + 5) + window_update(0, _OCTETS))
            answer = peer.answer(1)
    finally:
        code = server.close()
    if held or answer is None or len(answer) != _OCTETS + 5:
        return f"{held} octets came without credit, {len(answer or b'')} with it"
    return f"{spent:.1f} s of the processor for {rest_s:.0f} s of waiting" if spent > IDLE_CPU_S or code else ""


async def channel_waits(rest_s: float = REST_S) -> str:
    """Hold a request of our channel back by a window of 0, then let it go; return what went wrong."""
    before = time.process_time()
    early = 0

    async def hold(server: FakeServer) -> None:
        nonlocal early
        await server.send(settings(window=0) + good(await server.request()))
        stream_id = (await server.read_until(HEADERS)).stream_id
        with anyio.move_on_after(rest_s):
            early = len((await server.read_until(DATA)).payload)
        await server.send(window_update(stream_id, _OCTETS + 5) + window_update(0, _OCTETS))
        got = 0
        while True:
            found = await server.read()
            if found.kind == DATA:
                got += len(found.payload)
                if found.flags & END_STREAM:
                    break
        await server.answer(stream_id, b"%d" % got)

    servers = Servers(hold, greet=True)
    async with servers.tasks:
        async with GRPCChannel(servers.connect) as channel:
            await channel.unary(CALL, b"", bytes)
            answer = await channel.unary(CALL, bytes(_OCTETS), bytes)
        servers.tasks.cancel_scope.cancel()
    spent = time.process_time() - before
    if early or answer != b"%d" % (_OCTETS + 5):
        return f"{early} octets went out without credit, {answer.decode()} with it"
    return f"{spent:.1f} s of the processor for {rest_s:.0f} s of waiting" if spent > IDLE_CPU_S else ""


async def waiting(backend: str) -> str:
    """Wait at both ends at once; return what went wrong."""
    found: list[str] = []

    async def server() -> None:
        found.append(await run_sync(server_waits, backend))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(server)
        found.append(await channel_waits())
    return "; ".join(filter(None, found))
