"""Run h2spec, the conformance tool of the field, against our gRPC server on both backends.

Needs Go, which installs the tool once into a folder of the environment. Where it cannot, that is said and no more; the
same cases stand as a table in tests/conformance. Exit code 1 where a case fails. ``--json`` prints the counts only.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

_MODULE = "github.com/summerwind/h2spec/cmd/h2spec@v2.2.1+incompatible"
_FOLDER = Path(sys.prefix) / "go"
_COUNTS = re.compile(r"(\d+) tests, (\d+) passed, (\d+) skipped, (\d+) failed")
_REPOSITORY = Path(__file__).resolve().parent.parent


def h2spec() -> Path | str:
    """Return the tool, installing it where it is missing, or why there is none."""
    tool = _FOLDER / "bin" / "h2spec"
    if tool.exists():
        return tool
    go = shutil.which("go")
    if go is None:
        return "it needs Go, and there is no go on the PATH"
    # Its own folders, so that nothing outside the environment changes; a writable module cache can be removed again.
    environ = {**os.environ, "GOPATH": str(_FOLDER), "GOBIN": str(tool.parent), "GOFLAGS": "-modcacherw"}
    done = subprocess.run([go, "install", _MODULE], capture_output=True, text=True, check=False, env=environ)
    if done.returncode:
        return f"go cannot install it: {(done.stderr.strip().splitlines() or ['?'])[-1]}"
    return tool


def run(tool: Path, backend: str) -> tuple[dict[str, int], str]:
    """Run all cases, the strict ones too, against a fresh server; return the counts and what the tool printed."""
    command = [sys.executable, "-m", "tools.grpc_server", "--backend", backend]
    with subprocess.Popen(command, cwd=_REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        port = server.stdout.readline().strip()
        done = subprocess.run(
            [tool, "-S", "-h", "127.0.0.1", "-p", port, "-o", "5"], capture_output=True, text=True, check=False
        )
        server.communicate()
    found = _COUNTS.search(done.stdout)
    if found is None:
        raise RuntimeError(f"h2spec gave no counts: {done.stdout[-500:]}{done.stderr[-500:]}")
    return dict(zip(("tests", "passed", "skipped", "failed"), map(int, found.groups()), strict=True)), done.stdout


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--json", action="store_true", help="print the counts as JSON")
    asked = parser.parse_args()
    tool = h2spec()
    if isinstance(tool, str):
        print(f"SKIPPED: h2spec: {tool}; tests/conformance has the same cases")
        return 0
    failed = 0
    found: dict[str, dict[str, int]] = {}
    for backend in ("asyncio", "trio"):
        counts, text = run(tool, backend)
        found[backend] = counts
        failed += counts["failed"]
        if not asked.json:
            print(f"h2spec 2.2.1 strict, {backend}: {counts['passed']} of {counts['tests']} passed", flush=True)
            if counts["failed"]:
                print(text)
    if asked.json:
        print(json.dumps(found))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
