"""tools/make_env.sh, which every make target uses: it says what it takes, and one sentence where it cannot go on."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).parent.parent / "tools" / "make_env.sh"


def run(folder: Path, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    path = {"PATH": "/usr/bin:/bin"}
    return subprocess.run(
        [SCRIPT, folder, "pip"], env=path | environment, capture_output=True, text=True, timeout=50, check=False
    )


def fake_python(path: Path, body: str) -> str:
    path.write_text(f'#!/bin/sh\n{body}\nexec "{sys.executable}" "$@"\n')
    path.chmod(0o755)
    return str(path)


def test_it_makes_an_environment_and_says_which(tmp_path: Path) -> None:
    """Python and folder are named, and pip of the new environment does the installing."""
    done = run(tmp_path / "env", {"PYTHON": sys.executable})
    assert done.returncode == 0, done.stderr
    assert f"in the folder {tmp_path / 'env'}" in done.stdout
    assert "using Python 3." in done.stdout
    assert (tmp_path / "env" / "bin" / "python").exists()


def test_an_old_python_is_refused(tmp_path: Path) -> None:
    """A PYTHON below 3.11 is named as such; nothing is made."""
    old = fake_python(tmp_path / "old", 'case "$*" in *version_info*) exit 1;; esac')
    done = run(tmp_path / "env", {"PYTHON": old})
    assert done.returncode == 1
    assert done.stderr.strip() == f"mm_plugin: PYTHON={old} is not a Python 3.11 or later."
    assert not (tmp_path / "env").exists()


def test_no_python_at_all(tmp_path: Path) -> None:
    """One sentence says what to install, or how to point at it."""
    for name in ("sh", "cat"):
        (tmp_path / name).symlink_to(f"/bin/{name}")
    done = run(tmp_path / "env", {"PATH": str(tmp_path)})
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "no Python 3.11 or later on the PATH" in done.stderr


def test_a_python_without_venv(tmp_path: Path) -> None:
    """Debian's python3 comes without it: the sentence names the package, and no half environment stays."""
    bare = fake_python(
        tmp_path / "bare", 'case "$*" in "-m venv"*) echo "ensurepip is not available" >&2; exit 1;; esac'
    )
    done = run(tmp_path / "env", {"PYTHON": bare})
    assert done.returncode == 1
    assert "python3-venv" in done.stderr
    assert not (tmp_path / "env").exists()
