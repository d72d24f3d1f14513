"""The fixtures of the host's tests."""

import contextlib
import os
from collections.abc import Iterator

import pytest


@pytest.fixture
def nothing_left() -> Iterator[None]:
    """Check after each test that no process and no file descriptor is left."""
    before = open_files()
    yield
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)
    assert open_files() == before


def open_files() -> set[str]:
    found: set[str] = set()
    for fd in os.listdir("/dev/fd"):
        with contextlib.suppress(OSError):
            found.add(f"{fd} {os.readlink(f'/dev/fd/{fd}')}")
    return {entry for entry in found if "/proc/" not in entry and "/fd" not in entry}
