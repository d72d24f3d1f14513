"""The page about ServeHTTP keeps to the code: its diagrams, and the tests its invariants name."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent.parent
PAGE = ROOT / "docs" / "explanation" / "serve-http.md"


def test_the_diagrams_are_those_of_the_tables() -> None:
    """The tool that draws them finds nothing to change."""
    ran = subprocess.run(
        [sys.executable, "tools/http_states.py", "--check"],
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr


def test_every_invariant_names_tests_that_exist() -> None:
    """Files, functions and machines in the right column are there."""
    text = PAGE.read_text()
    rows = re.findall(r"^\| .* \| (.*) \|$", text[text.index("What always holds") :], re.MULTILINE)
    names = [name for row in rows for name in re.findall(r"`([^`]+)`", row) if name != "make soak"]
    assert len(names) > 25
    code = "\n".join(path.read_text() for path in (ROOT / "tests").rglob("*.py"))
    for name in names:
        if name.startswith("tests/"):
            assert (ROOT / name).exists(), name
        else:
            for part in name.split("."):
                assert re.search(rf"(def|class) {part}\b", code), name
