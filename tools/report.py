"""Print how our server stands up to conformance cases, other languages' clients and attacks, beside its peers.

``python -m tools.report [PART …] [--blows N]``, all parts where none is named:

``conformance`` h2spec, strict, where Go is present
``interop``     the cases of grpc-go's and grpc-js's clients, where Go and Node are present
``attacks``     each flood of tests/attacks against a fresh server
``suites``      the counts of our own tests of these, on both backends

Servers run in processes of their own. Exit code 1 where ours failed anything.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.load import cpu_s
from benchmarks.servers import Server, running_server
from tests.attacks.floods import FLOODS, deliver
from tests.attacks.peers import Peer, call, warm
from tests.interop.peer_builds import NotHere, command_of
from tools.conformance import h2spec
from tools.interop_server import SERVERS as INTEROP_SERVERS

ROOT = Path(__file__).resolve().parents[1]
OURS = ("ours, asyncio", "ours, trio")
PEERS = {"grpc.aio": "benchmarks.peers.grpc_aio", "grpclib": "benchmarks.peers.grpclib_server"}
SERVERS = (*OURS, *PEERS)
SUITES = ("tests/conformance", "tests/interop", "tests/attacks", "tests/fuzz", "tests/wire", "tests/transport/grpc")
CLIENTS = ("grpc-go", "grpc-js")
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


def _flooded(server: Server, flood: str, blows: int) -> Damage:
    warm(_port(server))
    _healthy(server)
    memory, cpu = server.memory_mb(), cpu_s(server.pid)
    with Peer(_port(server)) as peer:
        code = deliver(peer, FLOODS[flood], blows)
        end = code.name if code is not None else "closes" if peer.closed else "stays open"
    healthy = _healthy(server)
    time.sleep(0.1)
    return Damage(end, cpu_s(server.pid) - cpu, server.memory_mb() - memory, healthy)


def attacks(blows: int) -> bool:
    """Attack every server with every flood; whether ours held."""
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
    return all(held[name] == len(FLOODS) for name in OURS)


def conformance(_blows: int) -> bool:
    """Run h2spec, strict, against the servers; whether ours passed."""
    tool = h2spec()
    print("\nh2spec 2.2.1, strict")
    if isinstance(tool, str):
        print(f"SKIPPED: {tool}; tests/conformance has the same cases")
        return True
    passed = True
    for name in SERVERS:
        with _running(name) as server:
            done = subprocess.run(
                [tool, "-S", "-h", "127.0.0.1", "-p", str(_port(server)), "-o", "1"],
                capture_output=True,
                text=True,
                check=False,
            )
        found = _COUNTS.search(done.stdout)
        text = f"{found[2]} of {found[1]} passed, {found[3]} skipped" if found else "gave no counts"
        print(f"{name:20}{text}", flush=True)
        passed &= name not in OURS or (found is not None and found[1] == found[2])
    return passed


def interop(_blows: int) -> bool:
    """Let clients of other languages play their cases against the servers; whether ours passed them all."""
    print("\nInterop: cases that the client found in order")
    print(f"{'':20}" + "".join(f"{name:>20}" for name in INTEROP_SERVERS))
    passed = True
    for client in CLIENTS:
        try:
            command = command_of(client, "client")
        except NotHere as reason:
            print(f"{client:20}SKIPPED: {reason}")
            continue
        cells, failed = "", []
        for name in INTEROP_SERVERS:
            found = _played(command, name)
            wrong = sorted(case for case, text in found.items() if text)
            cells += f"{f'{len(found) - len(wrong)} of {len(found)}':>20}"
            if wrong or not found:
                failed.append(f"{name}: {', '.join(wrong) or 'the client gave up'}")
                passed &= name not in OURS
        print(f"{client:20}{cells}" + "".join(f"\n{'':4}{text}" for text in failed), flush=True)
    return passed


def _played(command: list[str], name: str) -> dict[str, str]:
    serve = [sys.executable, "-m", "tools.interop_server", name]
    with subprocess.Popen(
        serve, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        assert process.stdout is not None
        target = f"127.0.0.1:{int(process.stdout.readline())}"
        try:
            done = subprocess.run([*command, target], capture_output=True, text=True, check=False, timeout=60)
            found: dict[str, str] = json.loads(done.stdout or "{}")
        except subprocess.TimeoutExpired:
            return {}
        finally:
            process.kill()
    return found


def suites(_blows: int) -> bool:
    """Run our own suites on both backends; whether they passed."""
    print("\nOur suites, both backends")
    passed = True
    for suite in SUITES:
        done = subprocess.run(
            [sys.executable, "-m", "pytest", suite, "-q"], cwd=ROOT, capture_output=True, text=True, check=False
        )
        ends = _ENDS.findall(done.stdout.strip().rpartition("\n")[2])
        print(f"{suite:20}  " + ", ".join(f"{count} {end}" for count, end in ends), flush=True)
        passed &= done.returncode == 0
    return passed


PARTS: dict[str, Callable[[int], bool]] = {
    "conformance": conformance,
    "interop": interop,
    "attacks": attacks,
    "suites": suites,
}


def main() -> None:
    """Print the report."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.report", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], help="all where absent")
    parser.add_argument("--blows", type=int, default=20_000, help="of each flood")
    asked = parser.parse_args()
    failed: list[str] = []
    for part in asked.parts or PARTS:
        begun = time.monotonic()
        if not PARTS[part](asked.blows):
            failed.append(part)
        print(f"({part}: {time.monotonic() - begun:.0f} s)", flush=True)
    if failed:
        raise SystemExit(f"ours failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
