"""What run_plugin is given wrongly, by its author."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import anyio
import pytest

from mm_plugin.plugin.plugin import Plugin
from mm_plugin.settings import COOKIE_KEY, COOKIE_VALUE
from mm_plugin.supervisor.run import run_plugin


@pytest.fixture(autouse=True)
def keep_interrupts() -> Iterator[None]:
    """Give SIGINT its handler back: run_plugin leaves it to the host."""
    before = signal.getsignal(signal.SIGINT)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("wrong", [Plugin(), "Plugin", None])
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
    assert said.err == f"run_plugin expects a subclass of Plugin, not an instance, found {wrong!r} [MMP110]\n"


def test_a_class_that_is_no_plugin(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    """A class that derives from something else is named, with what is to be written."""

    class Plain: ...

    monkeypatch.setenv(COOKIE_KEY, COOKIE_VALUE)
    with pytest.raises(SystemExit):
        run_plugin(Plain)  # type: ignore[arg-type]
    said = capfd.readouterr().err
    assert "Plain, which does not derive from Plugin; write: class " in said


def test_unknown_backend(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    """A wrong event loop is one sentence, exit code 1."""
    monkeypatch.setenv(COOKIE_KEY, COOKIE_VALUE)
    with pytest.raises(SystemExit) as caught:
        run_plugin(Plugin, backend="curio")  # type: ignore[arg-type]
    assert caught.value.code == 1
    assert capfd.readouterr().err == "backend='curio': expected asyncio, trio or uvloop [MMP110]\n"


def test_only_the_chosen_backend_is_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    """The argument wins, so a wrong MM_PLUGIN_BACKEND does not matter then."""
    chosen: list[object] = []
    monkeypatch.setenv(COOKIE_KEY, COOKIE_VALUE)
    monkeypatch.setenv("MM_PLUGIN_BACKEND", "curio")

    def note(*_: object, backend: str = "") -> None:
        if backend:
            chosen.append(backend)

    monkeypatch.setattr("mm_plugin.supervisor.run.configure_logging", int)
    monkeypatch.setattr("mm_plugin.supervisor.run.guard_against_lost_host", note)
    monkeypatch.setattr(anyio, "run", note)
    run_plugin(Plugin, backend="trio")
    assert chosen == ["trio"]
