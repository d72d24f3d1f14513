"""Type checkers take both forms of a handler, by name or by decorator, and refuse wrong signatures."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from mm_plugin.hooks.names import HookName

SOURCES = sorted((Path(__file__).parent / "typing").glob("*.py"))
ROOT = Path(__file__).parents[2]
IGNORE = re.compile(r"  # type: ignore\[.*\]")

CHECKERS = {
    "mypy": (("mypy", "--config-file", str(ROOT / "pyproject.toml")), re.compile(r"\w+\.py:(\d+): error: ")),
    "pyright": (("pyright", "--project", str(ROOT)), re.compile(r"\w+\.py:(\d+):\d+ - error: ")),
}


@pytest.mark.timeout(300)  # a type checker reads the whole package first
@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
@pytest.mark.parametrize("checker", CHECKERS)
def test_exactly_the_wrong_lines_are_refused(checker: str, source: Path, tmp_path: Path) -> None:
    """Without its ignore comments, the sample fails on the lines that have one and on no other."""
    pytest.importorskip(checker)
    text = source.read_text()
    wrong = {number for number, line in enumerate(text.splitlines(), 1) if IGNORE.search(line)}
    bare = tmp_path / source.name
    bare.write_text(IGNORE.sub("", text))
    arguments, error = CHECKERS[checker]
    result = subprocess.run(
        [sys.executable, "-m", *arguments, str(bare)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    refused = {int(number) for number in error.findall(result.stdout)}
    assert len(wrong) >= 4
    assert refused == wrong, result.stdout + result.stderr


def test_every_hook_is_bound_by_decorator_in_the_sample() -> None:
    """No row's decorator goes unchecked."""
    text = (Path(__file__).parent / "typing" / "bound.py").read_text()
    assert [name for name in HookName if text.count(f"hook(HookName.{name})(wrong)  # type: ignore") != 1] == []
