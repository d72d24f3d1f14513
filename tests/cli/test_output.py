"""What a failed start shows of what the plugin wrote."""

from __future__ import annotations

import pytest

from mm_plugin import limits
from mm_plugin.cli.output import indented
from mm_plugin.exceptions import PluginStartError


def test_a_long_record_is_shown_with_its_headline(monkeypatch: pytest.MonkeyPatch) -> None:
    """The last lines are shown; where they begin within a record, its first line says what it is about."""
    monkeypatch.setattr(limits, "cli_stderr_lines", 5)
    error = PluginStartError("no", stderr=("early", "hook failed\nframe 1\nframe 2\nframe 3\nOSError", "late"))
    assert [line.strip() for line in indented(error)] == ["hook failed", "frame 2", "frame 3", "OSError", "late"]
    error = PluginStartError("no", stderr=("early", "hook failed\nframe 1\nframe 2\nframe 3", "late"))
    assert len(indented(error)) == 5
    error = PluginStartError("no", stderr=("headline\nend", "a", "b", "c", "d"))
    assert [line.strip() for line in indented(error)] == ["a", "b", "c", "d"]
