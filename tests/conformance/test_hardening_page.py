"""The page about what holds the wire and the host keeps to the tests."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "reference" / "hardening.md"
ROWS = re.findall(r"^\| ([RH]\d+) \| (.*) \| (.*) \|$", PAGE.read_text(), re.MULTILINE)


def test_no_promise_is_left_out() -> None:
    """R1 to R34 and the host's H1 to H16 stand there, in order."""
    wire, host = range(1, 35), range(1, 17)
    assert [name for name, _, _ in ROWS] == [f"R{number}" for number in wire] + [f"H{number}" for number in host]


@pytest.mark.parametrize(("name", "held_by"), [(name, held_by) for name, _, held_by in ROWS])
def test_every_promise_names_tests_that_exist(name: str, held_by: str) -> None:
    """Each row names a test at least; files are there, and the functions in the file before them."""
    source = ""
    found = 0
    for part in re.findall(r"`([^`]+)`", held_by):
        if part.startswith("tests/"):
            source = (ROOT / part).read_text()
            found += 1
        elif not part.startswith("make ") and part != "grpc-accept-encoding":
            assert re.search(rf"def {part}\(", source), f"{name}: there is no {part}"
    assert found
