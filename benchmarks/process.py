"""A plugin process to measure: spawn it as a host does, talk to it over its own socket."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from mm_plugin._proto.hooks_lifecycle_pb2 import OnActivateRequest
from mm_plugin.host.environment import plugin_environment
from mm_plugin.host.options import HostOptions
from mm_plugin.host.process import PluginProcess, spawn_plugin
from mm_plugin.transport.goplugin.host_end import GoPluginHostLink, open_host_link

BUNDLE = Path(__file__).parent / "plugin"


@dataclass(frozen=True)
class Running:
    """A plugin that has been activated.

    Attributes:
        process: Its process.
        link: The host's end of its link.
        handshake_s: From the start of the process to its handshake line.
    """

    process: PluginProcess
    link: GoPluginHostLink
    handshake_s: float

    def memory_octets(self, field: str = "VmRSS") -> int:
        """Return what the kernel says of the process's memory: VmRSS now, VmHWM at its highest."""
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith(field + ":"):
                return int(line.split()[1]) * 1024
        raise KeyError(field)


@asynccontextmanager
async def running_plugin(backend: str, bundle: Path = BUNDLE) -> AsyncGenerator[Running]:
    """Start and activate a benchmark's plugin on a backend; on the way out it is stopped."""
    environment = plugin_environment(
        {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"},
        HostOptions(environment={"MM_PLUGIN_BACKEND": backend}, log_level="WARN"),
        plugin_id="com.example.benchmark",
        bundle=bundle,
        api_target="127.0.0.1:1",
    )
    started = time.perf_counter()
    command = [sys.executable, "plugin.py"]
    async with spawn_plugin(
        command, plugin_id="com.example.benchmark", bundle=bundle, environment=environment
    ) as process:
        handshake = await process.read_handshake()
        handshake_s = time.perf_counter() - started
        async with open_host_link(handshake) as link:
            await link.call_hook("OnActivate", OnActivateRequest())
            yield Running(process, link, handshake_s)
