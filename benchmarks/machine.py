"""What figures were measured on: the machine, and the versions that stand against each other."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path


def machine() -> str:
    """Return processor, cores and system in one line."""
    model = ""
    if Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    return f"{model or platform.machine()}, {os.cpu_count()} cores, {platform.system()} {platform.release()}"


def versions() -> str:
    """Return the versions of Python, of what we build on and of the peers, those that are installed."""
    names = ("anyio", "trio", "protobuf", "hpack", "grpcio", "grpclib", "uvloop")
    found = (f"{name} {version(name)}" for name in names if find_spec({"grpcio": "grpc"}.get(name, name)))
    return f"Python {platform.python_version()}, " + ", ".join(found)
