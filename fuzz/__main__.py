"""Fuzz with atheris, guided by coverage: ``python -m fuzz [TARGET …]``, FUZZ_SECONDS each (60 where unset).

Each target runs in a process of its own and starts from what is kept in fuzz/corpus. What breaks a rule is kept there,
too, under ``found-``: the ordinary tests replay it from then on.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

CORPUS = Path(__file__).parent / "corpus"
ROOT = Path(__file__).parents[1]


def main() -> None:
    """Fuzz the targets that are named, or all; exit with 1 where one was broken."""
    if sys.argv[1:2] == ["--inside"]:
        _fuzz(sys.argv[2], sys.argv[3:])
        return
    if find_spec("atheris") is None:
        print("make fuzz: SKIPPED, atheris is not installed here (it has wheels for Linux on CPython up to 3.13)")
        return
    from fuzz.targets import TARGETS

    names = sys.argv[1:] or list(TARGETS)
    broken = [name for name in names if not _run(name, os.environ.get("FUZZ_SECONDS", "60"))]
    for name in broken:
        print(f"{name}: BROKEN; the input is in fuzz/corpus/{name}, replay it with make test ARGS=tests/fuzz")
    sys.exit(bool(broken))


def _run(name: str, seconds: str) -> bool:
    kept = CORPUS / name
    kept.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        (scratch / "corpus").mkdir()
        done = subprocess.run(
            [
                *(sys.executable, "-m", "fuzz", "--inside", name, str(scratch / "corpus"), str(kept)),
                *(f"-max_total_time={seconds}", "-timeout=10", "-rss_limit_mb=1024", "-max_len=4096"),
                *(f"-artifact_prefix={scratch}/", "-print_final_stats=1"),
            ],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        found = [path for path in scratch.iterdir() if path.is_file()]
        for path in found:
            data = path.read_bytes()
            (kept / f"found-{hashlib.sha256(data).hexdigest()[:16]}").write_bytes(data)
        last = [line for line in done.stderr.splitlines() if "cov:" in line][-1:]
        print(f"{name}: {'; '.join(last).strip() or 'no coverage line'}")
        if done.returncode:
            print(done.stdout[-3_000:], done.stderr[-3_000:], sep="\n")
    return done.returncode == 0


def _fuzz(name: str, arguments: list[str]) -> None:
    import atheris  # type: ignore[import-not-found, import-untyped, unused-ignore] # an opt-in tool

    with atheris.instrument_imports(include=["mm_plugin.wire"]):
        from fuzz.targets import TARGETS

    atheris.Setup([sys.argv[0], *arguments], TARGETS[name])
    atheris.Fuzz()


if __name__ == "__main__":
    main()
