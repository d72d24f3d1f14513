"""The fixtures of the host's tests."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from mm_plugin.host.options import HostOptions
from tests.host.guard_plugin import Open, OpenHost, Server, host_opener, options_for, plugin_opener


@pytest.fixture
def nothing_left() -> Iterator[None]:
    """Check after each test that no process and no file descriptor is left."""
    files, processes = open_files(), children()
    yield
    assert children() <= processes
    assert open_files() == files


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def options(anyio_backend: str) -> HostOptions:
    return options_for(anyio_backend)


@pytest.fixture
def open_a_host(server: Server, options: HostOptions) -> OpenHost:
    return host_opener(server, options)


@pytest.fixture
def open_guard(tmp_path: Path, server: Server, options: HostOptions) -> Open:
    return plugin_opener(tmp_path, server, options)


def children() -> set[str]:
    """Return the process ids of all children, dead ones that nobody has waited for included; {} without /proc."""
    return {process for thread in Path("/proc/self/task").glob("*/children") for process in thread.read_text().split()}


def open_files() -> set[str]:
    found: set[str] = set()
    for fd in os.listdir("/dev/fd"):
        with contextlib.suppress(OSError):
            found.add(f"{fd} {os.readlink(f'/dev/fd/{fd}')}")
    return {entry for entry in found if "/proc/" not in entry and "/fd" not in entry}
