"""Where the conformance tool cannot be had, that is said, and nothing fails."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools import conformance


def test_without_go(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """There is no Go."""
    monkeypatch.setattr(conformance, "_FOLDER", tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert conformance.h2spec() == "it needs Go, and there is no go on the PATH"


def test_go_that_cannot_fetch_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """There is Go, but nothing that it reaches has the tool; the last line of what it says is told."""
    go = tmp_path / "go"
    go.write_text("#!/bin/sh\necho downloading >&2\necho no route to host >&2\nexit 1\n")
    go.chmod(0o755)
    monkeypatch.setattr(conformance, "_FOLDER", tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert conformance.h2spec() == "go cannot install it: no route to host"
