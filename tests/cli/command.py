"""Run ``mm-plugin`` as a process."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

GUARD = Path(__file__).parents[2] / "examples" / "guard"
TIMEOUT_S = 45


def mm_plugin(*arguments: str | Path, code: str = "from mm_plugin.cli.main import main; main()") -> list[str]:
    return [sys.executable, "-c", code, *map(str, arguments)]


def run(*arguments: str | Path, code: str | None = None) -> subprocess.CompletedProcess[str]:
    command = mm_plugin(*arguments) if code is None else mm_plugin(*arguments, code=code)
    return subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)


@contextmanager
def running(*arguments: str | Path) -> Iterator[subprocess.Popen[str]]:
    """Start the command in a process group of its own, and make sure that nothing of it stays."""
    process = subprocess.Popen(
        mm_plugin(*arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ}
    )
    with process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()


def write_plugin(folder: Path, code: str, **changes: object) -> Path:
    """Write a bundle with one script."""
    import json

    folder.mkdir(exist_ok=True)
    manifest = {"id": "com.example.cli", "name": "CLI", "server": {"runtime": "python", "executable": "plugin.py"}}
    (folder / "plugin.json").write_text(json.dumps({**manifest, **changes}))
    (folder / "plugin.py").write_text(code)
    return folder
