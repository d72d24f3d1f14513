"""A real go-plugin host, the code that the server itself uses, starts, calls and stops a plugin of ours."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mm_plugin._proto.hooks_lifecycle_pb2 import ImplementedResponse

SOURCE = Path(__file__).parent / "go_host"

PLUGIN = """
import sys
from mm_plugin import Plugin, run_plugin

print("printed at import")

class Noisy(Plugin):
    async def on_activate(self):
        print("printed in a hook")
        print("x" * 100_000, file=sys.stderr)
        self.logger.warning("a warning", extra={"answer": 42})

    async def on_deactivate(self):
        self.logger.info("deactivated in order")

if __name__ == "__main__":
    run_plugin(Noisy)
"""


@pytest.fixture(scope="session")
def go_host(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the host; the first build on a machine fetches go-plugin."""
    go = shutil.which("go")
    if go is None:
        pytest.skip("Go is not installed")
    binary = tmp_path_factory.mktemp("go") / "go_host"
    built = subprocess.run([go, "build", "-o", binary, "."], cwd=SOURCE, capture_output=True, text=True, check=False)
    if built.returncode:
        pytest.skip(f"the Go host cannot be built: {built.stderr.strip().splitlines()[-1]}")
    return binary


@pytest.mark.timeout(300)  # with the first build
@pytest.mark.parametrize("backend", ["asyncio", "trio"])  # the plugin's; nothing here runs on a loop
def test_life_under_a_real_host(go_host: Path, tmp_path: Path, backend: str) -> None:
    """Handshake, ping, hooks, log levels, and a graceful end long before the host would kill."""
    (tmp_path / "plugin.py").write_text(PLUGIN)
    environment = os.environ | {"MM_PLUGIN_BACKEND": backend, "PYTHONUNBUFFERED": "1"}
    done = subprocess.run(
        [go_host, sys.executable, "plugin.py"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    seen: dict[str, Any] = json.loads(done.stdout)
    implemented = ImplementedResponse.FromString(base64.b64decode(seen["Implemented"]))
    assert set(implemented.hooks) == {"OnActivate", "OnConfigurationChange", "OnDeactivate"}
    assert not seen["OnActivate"]
    assert seen["exit"] == 0
    assert seen["kill_ms"] < 2000, "the host had to kill"
    records = {record["message"]: record for record in seen["records"]}
    assert records["a warning"]["level"] == "warn"
    assert records["a warning"]["fields"]["answer"] == "42"
    assert records["deactivated in order"]["level"] == "info"
    assert "printed at import" in records
    assert "printed in a hook" in records
    assert not [record for record in seen["records"] if record["level"] == "error"]
