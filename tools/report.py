"""Print how our server stands up to conformance cases and attacks, beside grpc.aio and grpclib under the same ones.

``python -m tools.report [--skip-conformance] [--skip-tests] [--blows N]``: h2spec where Go is present, each flood of
tests/attacks against a fresh server, and the counts of our own suites. Servers run in processes of their own.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.load import cpu_s
from benchmarks.servers import Server, running_server
from mm_plugin import limits
from tests.attacks.floods import FLOODS, deliver
from tests.attacks.peers import WIDE_GREETING, Peer, call
from tools.conformance import h2spec

ROOT = Path(__file__).resolve().parents[1]
OURS = ("ours, asyncio", "ours, trio")
PEERS = {"grpc.aio": "benchmarks.peers.grpc_aio", "grpclib": "benchmarks.peers.grpclib_server"}
SERVERS = (*OURS, *PEERS)
SUITES = ("tests/conformance", "tests/interop", "tests/attacks", "tests/fuzz", "tests/wire")
_COUNTS = re.compile(r"(\d+) tests, (\d+) passed, (\d+) skipped, (\d+) failed")
_ENDS = re.compile(r"(\d+) (passed|failed|skipped|error)")
GROWTH_MB = 5.0
HEALTHY_S = 2.0


@dataclass(frozen=True)
class Damage:
    """What a flood did to a server.

    Attributes:
        end: How the server ended the connection.
        cpu: CPU seconds.
        growth_mb: Memory afterwards, less memory before.
        healthy: A fresh connection's call was answered in time.
    """

    end: str
    cpu: float
    growth_mb: float
    healthy: bool

    @property
    def held(self) -> bool:
        """Whether the rules were held: hung up, flat, and there for the others."""
        return self.end != "stays open" and self.growth_mb < GROWTH_MB and self.healthy


@contextmanager
def _running(name: str) -> Iterator[Server]:
    if name in PEERS:
        with running_server([sys.executable, "-m", PEERS[name]], {}) as server:
            yield server
        return
    command = [sys.executable, "-m", "tools.grpc_server", "--backend", name.rpartition(" ")[2]]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        yield Server(f"127.0.0.1:{int(process.stdout.readline())}", process.pid, 0.0)
        process.communicate()


def _port(server: Server) -> int:
    return int(server.address.rpartition(":")[2])


def _healthy(server: Server) -> bool:
    with Peer(_port(server)) as peer:
        peer.send(call(1, "/t.T/Echo"))
        return peer.answer(1, HEALTHY_S) is not None


def _warm(server: Server) -> None:
    """Have as many calls open at once as our servers allow: memory kept for that is not what a flood leaves behind."""
    with Peer(_port(server), WIDE_GREETING) as peer:
        last = 2 * limits.http2_concurrent_streams - 1
        peer.send(b"".join(call(stream_id, "/t.T/Hang") for stream_id in range(1, last, 2)))
        peer.send(call(last, "/t.T/Echo"))
        peer.answer(last, HEALTHY_S)


def _flooded(server: Server, flood: str, blows: int) -> Damage:
    for _ in range(2):
        _warm(server)
    _healthy(server)
    memory, cpu = server.memory_mb(), cpu_s(server.pid)
    with Peer(_port(server)) as peer:
        code = deliver(peer, FLOODS[flood], blows)
        end = code.name if code is not None else "closes" if peer.closed else "stays open"
    healthy = _healthy(server)
    time.sleep(0.1)
    return Damage(end, cpu_s(server.pid) - cpu, server.memory_mb() - memory, healthy)


def attacks(blows: int) -> None:
    """Attack every server with every flood."""
    print(f"\nFloods of {blows:,} blows (held: hangs up, grows by less than {GROWTH_MB:.0f} MB, serves others after)")
    print(f"{'':40}" + "".join(f"{name:>40}" for name in SERVERS))
    held = dict.fromkeys(SERVERS, 0)
    for flood in FLOODS:
        cells = ""
        for name in SERVERS:
            with _running(name) as server:
                try:
                    damage = _flooded(server, flood, blows)
                except (OSError, RuntimeError, ValueError, KeyError) as error:
                    cells += f"{type(error).__name__:>40}"
                    continue
            held[name] += damage.held
            mark = "held" if damage.held else "BROKEN"
            cells += f"{f'{damage.end} {damage.cpu:.2f} s {damage.growth_mb:+.1f} MB {mark}':>40}"
        print(f"{flood:40}{cells}", flush=True)
    print(f"{'held':40}" + "".join(f"{f'{held[name]} of {len(FLOODS)}':>40}" for name in SERVERS))


def conformance(names: tuple[str, ...]) -> None:
    """Run h2spec, strict, against the servers."""
    tool = h2spec()
    print("\nh2spec 2.2.1, strict")
    if tool is None:
        print("SKIPPED: it needs Go, and there is no go on the PATH; tests/conformance has the same cases")
        return
    for name in names:
        with _running(name) as server:
            done = subprocess.run(
                [tool, "-S", "-h", "127.0.0.1", "-p", str(_port(server)), "-o", "1"],
                capture_output=True,
                text=True,
                check=False,
            )
        found = _COUNTS.search(done.stdout)
        print(f"{name:20}" + (f"{found[2]} of {found[1]} passed, {found[3]} skipped" if found else "gave no counts"))


def suites() -> None:
    """Run our own suites on both backends."""
    print("\nOur suites, both backends")
    for suite in SUITES:
        if not (ROOT / suite).exists():
            print(f"{suite:20}not there")
            continue
        done = subprocess.run(
            [sys.executable, "-m", "pytest", suite, "-q"], cwd=ROOT, capture_output=True, text=True, check=False
        )
        ends = _ENDS.findall(done.stdout.strip().rpartition("\n")[2])
        print(f"{suite:20}" + ", ".join(f"{count} {end}" for count, end in ends), flush=True)


def main() -> None:
    """Print the report."""
    parser = argparse.ArgumentParser(prog="python -m tools.report", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--skip-conformance", action="store_true")
    parser.add_argument("--skip-tests", action="store_true")
    parser.add_argument("--blows", type=int, default=20_000, help="of each flood")
    asked = parser.parse_args()
    if not asked.skip_conformance:
        conformance(SERVERS)
    attacks(asked.blows)
    if not asked.skip_tests:
        suites()


if __name__ == "__main__":
    main()
