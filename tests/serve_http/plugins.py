"""A whole plugin, active, behind the real wire and the gateway, and an HTTP client in front of them."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import anyio
import httpx

from mm_plugin._proto.hooks_lifecycle_pb2 import OnActivateRequest, OnActivateResponse, OnDeactivateRequest
from mm_plugin.plugin.plugin import Plugin
from mm_plugin.plugin.runtime import PluginRuntime
from mm_plugin.settings import RuntimeConfig
from mm_plugin.transport.goplugin.host_end import open_host_link
from mm_plugin.transport.goplugin.plugin_end import open_plugin_link
from mm_plugin.transport.link import HostLink
from tests.host.http_client import link_on_port

CONFIG = RuntimeConfig(plugin_id="p")


@asynccontextmanager
async def active(plugin: Plugin, *, activate: bool = True) -> AsyncGenerator[HostLink]:
    """Run a plugin behind gRPC over a real socket; gives the host's end. On exit it is deactivated first."""
    with anyio.fail_after(30):
        async with (
            open_plugin_link(CONFIG, {}) as (plugin_link, handshake),
            open_host_link(handshake) as host,
            anyio.create_task_group() as tasks,
        ):
            runtime = PluginRuntime(plugin, plugin_link, CONFIG)
            await tasks.start(runtime.run)
            await tasks.start(plugin_link.serve, runtime.receiver)
            if activate:
                answer = await host.call_hook("OnActivate", OnActivateRequest())
                assert isinstance(answer, OnActivateResponse)
                assert not answer.HasField("error"), answer.error.detailed_error
            yield host
            if activate:
                await host.call_hook("OnDeactivate", OnDeactivateRequest())
            tasks.cancel_scope.cancel()


@asynccontextmanager
async def on_port(plugin: Plugin) -> AsyncGenerator[int]:
    """Run a plugin behind gRPC and the gateway; gives the gateway's port. The plugin's id is ``p``."""
    async with active(plugin) as link, link_on_port(link) as port:
        yield port


@asynccontextmanager
async def browsing(plugin: Plugin, *, http2: bool = False) -> AsyncGenerator[httpx.AsyncClient]:
    """Run a plugin behind gRPC and the gateway; gives a client whose paths begin below the plugin."""
    async with (
        on_port(plugin) as port,
        httpx.AsyncClient(
            http1=not http2, http2=http2, base_url=f"http://127.0.0.1:{port}/plugins/p", timeout=20
        ) as client,
    ):
        yield client
