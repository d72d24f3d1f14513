"""The long runs: a gigabyte each way with flat memory, at the plugin's socket and through the gateway; a busy host."""

from __future__ import annotations

from functools import partial

import anyio

from benchmarks.gateway import gateway
from benchmarks.host import hosting
from benchmarks.streaming import MEGABYTE, streaming
from benchmarks.table import print_table


def main() -> None:
    """Run, and print what was measured."""
    for measure in (streaming, gateway):
        run = partial(measure, octets=1_000 * MEGABYTE)
        print_table({backend: anyio.run(run, backend, backend=backend) for backend in ("asyncio", "trio")})
    print_table({backend: anyio.run(hosting, backend, backend=backend) for backend in ("asyncio", "trio")})


if __name__ == "__main__":
    main()
