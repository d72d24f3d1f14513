"""One generated file and its command line: write it, or with ``--check`` show what would change."""

from __future__ import annotations

import argparse
import difflib
import sys
from collections.abc import Callable
from pathlib import Path


def write_or_check(path: Path, make: Callable[[], str], *, root: Path, description: str | None) -> int:
    """Read the command line and do what it says; return the exit code, 1 where ``--check`` finds a difference.

    Args:
        path: The file.
        make: Returns what should stand in it.
        root: The folder that the file's name is told from.
        description: What ``--help`` says.
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing, exit 1 if the file is out of date")
    asked = parser.parse_args()
    wanted = make()
    if not asked.check:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(wanted)
        return 0
    found = path.read_text() if path.exists() else ""
    name = str(path.relative_to(root))
    sys.stdout.writelines(
        difflib.unified_diff(found.splitlines(keepends=True), wanted.splitlines(keepends=True), name, f"{name} (new)")
    )
    return int(found != wanted)
