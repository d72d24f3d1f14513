"""The claim on standard output: one line goes there, everything else to standard error."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator

import pytest

from mm_plugin.supervisor.stdio import StdoutClaim, claim_stdout, claim_stdout_early


@pytest.fixture(autouse=True)
def no_early_claim() -> Iterator[None]:
    StdoutClaim.early = None
    yield
    StdoutClaim.early = None


def test_claim_and_restore(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """While it is claimed, prints, writes and children reach standard error; afterwards standard output."""
    own = open(1, "w", closefd=False)  # noqa: SIM115 - pytest's object leads past the descriptor
    monkeypatch.setattr(sys, "stdout", own)
    print("unflushed before", end=" ")
    claim = claim_stdout()
    print("printed", end=" ", flush=True)
    os.write(1, b"written ")
    os.system("echo from a child")
    claim.announce("the line")
    claim.restore()
    os.write(1, b"back\n")
    out, err = capfd.readouterr()
    assert out == "the line\nback\n"
    assert err == "unflushed before printed written from a child\n"


def test_early_claim_is_made_once_and_taken_over(capfd: pytest.CaptureFixture[str]) -> None:
    """Importing the package under a host claims; run_plugin goes on with that claim."""
    claim_stdout_early({"MATTERMOST_PLUGIN": "cookie"})
    early = StdoutClaim.early
    assert early is not None
    claim_stdout_early({"MATTERMOST_PLUGIN": "cookie"})
    claim = claim_stdout()
    assert claim is early
    assert StdoutClaim.early is None
    claim.restore()
    assert capfd.readouterr().out == ""


def test_no_early_claim_without_a_host() -> None:
    """A program that only imports the package keeps its standard output."""
    claim_stdout_early({})
    claim_stdout_early({"MATTERMOST_PLUGIN": ""})
    assert StdoutClaim.early is None


@pytest.mark.usefixtures("capfd")
def test_a_process_without_standard_output_in_python(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some programs have none, or another object there; the file descriptor is what counts."""
    monkeypatch.setattr(sys, "stdout", None)
    claim = claim_stdout()
    claim.announce("line")
    claim.restore()
