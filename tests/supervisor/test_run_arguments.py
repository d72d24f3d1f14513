"""What run_plugin is given wrongly, by its author."""

from __future__ import annotations

import pytest

from mm_plugin.plugin.plugin import Plugin
from mm_plugin.settings import COOKIE_KEY, COOKIE_VALUE
from mm_plugin.supervisor.run import run_plugin


@pytest.mark.parametrize("wrong", [Plugin(), object, "Plugin", None])
def test_anything_but_a_plugin_class(
    wrong: object, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """One sentence on standard error, exit code 1, nothing on standard output."""
    monkeypatch.setenv(COOKIE_KEY, COOKIE_VALUE)
    with pytest.raises(SystemExit) as caught:
        run_plugin(wrong)  # type: ignore[arg-type]
    assert caught.value.code == 1
    said = capfd.readouterr()
    assert said.out == ""
    assert said.err == f"run_plugin expects a subclass of Plugin, not an instance, found {wrong!r}\n"
