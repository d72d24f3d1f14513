"""Measure the marks of the project on both backends; ``python -m benchmarks [NAME …]`` chooses among them.

``api_calls`` stands for ``python -m benchmarks.api_calls``: our client beside grpc.aio's, ``comparison`` for
``python -m benchmarks.page``: our wire beside others.
"""

from __future__ import annotations

import argparse
import platform
from collections.abc import Awaitable, Callable
from importlib.metadata import version

import anyio

from benchmarks.api_calls import print_api_calls
from benchmarks.gateway import event_streams, gateway
from benchmarks.hook_isolation import isolation
from benchmarks.lifecycle import lifecycle
from benchmarks.page import print_comparison
from benchmarks.reload import reload
from benchmarks.streaming import streaming, unread_uploads
from benchmarks.table import Row, print_table

MARKS: dict[str, Callable[[str], Awaitable[list[Row]]]] = {
    "lifecycle": lifecycle,
    "reload": reload,
    "streaming": streaming,
    "unread_uploads": unread_uploads,
    "gateway": gateway,
    "event_streams": event_streams,
    "hook_isolation": isolation,
}

API_CALLS = "api_calls"
COMPARISON = "comparison"


def main() -> None:
    """Measure, and print one table for each group of marks."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "names", nargs="*", choices=[*MARKS, API_CALLS, COMPARISON, []], help="which groups; all where absent"
    )
    names = parser.parse_args().names or [*MARKS, API_CALLS, COMPARISON]
    versions = ", ".join(f"{name} {version(name)}" for name in ("anyio", "trio", "protobuf", "hpack"))
    print(f"Python {platform.python_version()} on {platform.system()} {platform.machine()}; {versions}")
    for name in names:
        print(f"\n{name}")
        if name == API_CALLS:
            print_api_calls()
            continue
        if name == COMPARISON:
            print_comparison(rounds=7, seconds=1.0)
            continue
        print_table({backend: anyio.run(MARKS[name], backend, backend=backend) for backend in ("asyncio", "trio")})


if __name__ == "__main__":
    main()
