"""A hundred megabytes each way through gateway and plugin, each a process of its own, with flat memory."""

from __future__ import annotations

import sys

import pytest

from benchmarks.gateway import gateway


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
@pytest.mark.timeout(120)
async def test_memory_is_flat_whatever_the_length(anyio_backend_name: str) -> None:
    """Neither side grows by what passes through; `make soak` does it with a gigabyte."""
    grown = [row for row in await gateway(anyio_backend_name) if row.unit == "MB"]
    assert len(grown) == 4
    assert [row for row in grown if row.value >= 16] == []
