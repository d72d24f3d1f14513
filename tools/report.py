"""Print how our server stands up to conformance cases, other languages' clients and attacks, beside its peers.

``python -m tools.report [PART …] [--blows N] [--no-page]``, all parts where none is named, and then
docs/reference/report.md is written:

``conformance`` h2spec, strict, where Go is present
``interop``     the cases of grpc-go's and grpc-js's clients, where Go and Node are present
``attacks``     each flood of tests/attacks against a fresh server
``suites``      the counts of our own tests of these, on both backends

Servers run in processes of their own. Exit code 1 where ours failed anything.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.load import cpu_s
from benchmarks.machine import machine, versions
from benchmarks.servers import Server, running_server
from tests.attacks.floods import FLOODS, deliver
from tests.attacks.peers import Peer, call, warm
from tests.interop.peer_builds import NotHere, command_of
from tools.conformance import h2spec
from tools.interop_server import SERVERS as INTEROP_SERVERS

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "reference" / "report.md"
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

    @property
    def verdict(self) -> str:
        """The same in a word."""
        return "held" if self.held else "**broken**"


class UnmetError(Exception):
    """One of ours is not as it should be."""


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


def attacks(blows: int) -> Iterator[str]:
    """Attack every server with every flood."""
    yield "## Floods"
    yield (
        f"{blows:,} blows each. Held: the server hangs up, grows by less than {GROWTH_MB:.0f} MB, and answers a fresh "
        f"connection within {HEALTHY_S:.0f} s. Every server has been at work before, with as many calls open as ours "
        "allows."
    )
    yield from table_head(["", *SERVERS])
    held = dict.fromkeys(SERVERS, 0)
    for flood in FLOODS:
        cells = [flood]
        for name in SERVERS:
            with _running(name) as server:
                try:
                    damage = _flooded(server, flood, blows)
                except (OSError, RuntimeError, ValueError, KeyError) as error:
                    cells.append(f"{type(error).__name__}: **broken**")
                    continue
            held[name] += damage.held
            cells.append(f"{damage.end} {damage.cpu:.2f} s {damage.growth_mb:+.1f} MB: {damage.verdict}")
        yield table_row(cells)
    yield table_row(["held", *(f"{held[name]} of {len(FLOODS)}" for name in SERVERS)])
    if any(held[name] < len(FLOODS) for name in OURS):
        raise UnmetError


def conformance(_blows: int) -> Iterator[str]:
    """Run h2spec, strict, against the servers."""
    tool = h2spec()
    yield "## h2spec 2.2.1, strict"
    if isinstance(tool, str):
        yield f"SKIPPED: {tool}; tests/conformance has the same cases."
        return
    failed = False
    yield from table_head(["", "passed", "skipped"])
    for name in SERVERS:
        with _running(name) as server:
            done = subprocess.run(
                [tool, "-S", "-h", "127.0.0.1", "-p", str(_port(server)), "-o", "1"],
                capture_output=True,
                text=True,
                check=False,
            )
        found = _COUNTS.search(done.stdout)
        yield table_row([name, f"{found[2]} of {found[1]}", found[3]] if found else [name, "gave no counts", ""])
        failed |= name in OURS and (found is None or found[1] != found[2])
    if failed:
        raise UnmetError


def interop(_blows: int) -> Iterator[str]:
    """Let clients of other languages play their cases against the servers."""
    yield "## Interop"
    yield "Cases that clients of other languages found in order, and those that they did not."
    yield from table_head(["", *INTEROP_SERVERS])
    failed = False
    for client in CLIENTS:
        try:
            command = command_of(client, "client")
        except NotHere as reason:
            yield table_row([client, f"SKIPPED: {reason}", *[""] * (len(INTEROP_SERVERS) - 1)])
            continue
        cells = [client]
        for name in INTEROP_SERVERS:
            found = _played(command, name)
            wrong = sorted(case for case, text in found.items() if text)
            text = f"{len(found) - len(wrong)} of {len(found)}" if found else "the client gave up"
            cells.append(f"{text}; not {', '.join(wrong)}" if wrong else text)
            failed |= name in OURS and (bool(wrong) or not found)
        yield table_row(cells)
    if failed:
        raise UnmetError


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


def suites(_blows: int) -> Iterator[str]:
    """Run our own suites on both backends."""
    yield "## Our suites"
    yield "Each on asyncio and on Trio."
    yield from table_head(["", "ended"])
    failed = False
    for suite in SUITES:
        done = subprocess.run(
            [sys.executable, "-m", "pytest", suite, "-q"], cwd=ROOT, capture_output=True, text=True, check=False
        )
        ends = _ENDS.findall(done.stdout.strip().rpartition("\n")[2])
        yield table_row([f"`{suite}`", ", ".join(f"{count} {end}" for count, end in ends)])
        failed |= done.returncode != 0
    if failed:
        raise UnmetError


def table_head(titles: Sequence[str]) -> Iterator[str]:
    """Yield the head of a table."""
    yield table_row(titles)
    yield table_row(["---"] * len(titles))


def table_row(cells: Sequence[str]) -> str:
    """Return a row of a table."""
    return f"| {' | '.join(cells)} |"


PARTS: dict[str, Callable[[int], Iterator[str]]] = {
    "conformance": conformance,
    "interop": interop,
    "attacks": attacks,
    "suites": suites,
}


def main() -> None:
    """Print the report, and write it where it is whole."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.report", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], help="all where absent")
    parser.add_argument("--blows", type=int, default=20_000, help="of each flood")
    parser.add_argument("--no-page", action="store_true", help="print only")
    asked = parser.parse_args()
    page = [
        "# Conformance, interop and attacks beside other servers",
        "Written by `make report`; each server in a process of its own.",
        f"- Machine: {machine()}\n- Versions: {versions()}\n- {dt.datetime.now(tz=dt.UTC):%Y-%m-%d}",
    ]
    failed: list[str] = []
    for part in asked.parts or PARTS:
        begun = time.monotonic()
        try:
            for paragraph in PARTS[part](asked.blows):
                print(paragraph, flush=True)
                page.append(paragraph)
        except UnmetError:
            failed.append(part)
        print(f"({part}: {time.monotonic() - begun:.0f} s)\n", flush=True)
    if not (asked.parts or asked.no_page):
        PAGE.write_text("\n\n".join(page).replace("|\n\n|", "|\n|") + "\n")
    if failed:
        raise SystemExit(f"ours failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
