"""The servers that are compared, each in a process of its own: ours on both backends, and the peers."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mm_plugin.settings import COOKIE_KEY, COOKIE_VALUE
from mm_plugin.wire.handshake import parse_handshake_line

ROOT = Path(__file__).parents[1]
#: What a host tells a plugin. Only ours may have it: with the cookie, our package takes standard output for itself.
AS_PLUGIN = {COOKIE_KEY: COOKIE_VALUE, "MATTERMOST_PLUGIN_LOG_LEVEL": "WARN"}


@dataclass(frozen=True)
class Server:
    """A server that runs.

    Attributes:
        address: ``host:port``.
        pid: Its process.
        start_s: From the start of the process to its line on standard output.
    """

    address: str
    pid: int
    start_s: float

    def memory_mb(self) -> float:
        """Return what the process holds now."""
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
        raise KeyError("VmRSS")


def commands(go_peer: Path | None, *, uvloop: bool) -> dict[str, tuple[list[str], dict[str, str]]]:
    """Return each server's command and what its environment has besides ours."""
    ours = [sys.executable, str(ROOT / "benchmarks" / "plugin" / "plugin.py")]
    found: dict[str, tuple[list[str], dict[str, str]]] = {
        "ours, asyncio": (ours, {**AS_PLUGIN, "MM_PLUGIN_BACKEND": "asyncio"}),
        "ours, trio": (ours, {**AS_PLUGIN, "MM_PLUGIN_BACKEND": "trio"}),
        "grpc.aio": ([sys.executable, "-m", "benchmarks.peers.grpc_aio"], {}),
        "grpclib": ([sys.executable, "-m", "benchmarks.peers.grpclib_server"], {}),
    }
    if uvloop:
        found["ours, uvloop"] = (ours, {**AS_PLUGIN, "MM_PLUGIN_BACKEND": "uvloop"})
    if go_peer is not None:
        found["grpc-go"] = ([str(go_peer)], {})
    return found


@contextmanager
def running_server(command: list[str], environment: dict[str, str]) -> Iterator[Server]:
    """Start a server and stop it on the way out."""
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    begun = time.perf_counter()
    with subprocess.Popen(
        command,
        env={**inherited, "PYTHONPATH": str(ROOT), **environment},
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            start_s = time.perf_counter() - begun
            if not line:
                raise RuntimeError(f"{command} did not start")
            yield Server(parse_handshake_line(line).address, process.pid, start_s)
        finally:
            process.kill()
