"""grpc-go and grpc-js as peers, built once into the environment where Go and Node are present."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

from _pytest.outcomes import Skipped

SOURCES = Path(__file__).parent / "peers"
BUILT = Path(sys.prefix) / "interop"


class NotHere(Skipped):
    """What a peer is made with is not here, or cannot make it; a test that meets this is skipped."""


def command_of(peer: str, part: str) -> list[str]:
    """Return the command that runs ``client`` or ``server`` of a peer, after its first build.

    Raises:
        NotHere: There is no such peer on this machine.
    """
    return _go(part) if peer == "grpc-go" else _js(part)


def _go(part: str) -> list[str]:
    go = _program("go")
    return [str(_built("go", lambda folder: [go, "build", "-o", str(folder / "peer"), "."]) / "peer"), part]


def _js(part: str) -> list[str]:
    node, npm = _program("node"), _program("npm")
    quiet = ["--no-audit", "--no-fund", "--no-package-lock", "--ignore-scripts"]
    folder = _built("js", lambda folder: [npm, "install", *quiet, "--prefix", str(folder)])
    return [node, str(folder / f"{part}.js")]


def _program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise NotHere(f"{name} is not installed")
    return found


@cache
def _digest(source: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(source.iterdir()):
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def _built(language: str, command: Callable[[Path], list[str]]) -> Path:
    """Return the folder of a build of the sources as they are now."""
    source = SOURCES / language
    ready = BUILT / f"{language}-{_digest(source)}"
    if not ready.exists():
        BUILT.mkdir(exist_ok=True)
        # Built aside and moved when it is whole: other processes may want the same.
        with tempfile.TemporaryDirectory(dir=BUILT) as scratch:
            folder = Path(scratch) / "build"
            shutil.copytree(source, folder)
            environment = {**os.environ, "GOFLAGS": "-mod=mod -buildvcs=false"}
            done = subprocess.run(
                command(folder), cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=280
            )
            if done.returncode:
                raise NotHere(f"the peer cannot be built: {(done.stderr.strip().splitlines() or ['?'])[-1]}")
            try:
                folder.rename(ready)
            except OSError:
                assert ready.exists(), "somebody else was faster"
    return ready
