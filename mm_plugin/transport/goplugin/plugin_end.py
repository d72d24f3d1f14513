"""A plugin's end as go-plugin hosts expect it: listener, hooks, health and controller on one server, the API beside it.

Layer:  transport/goplugin, the composition of a plugin's gRPC link.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from mm_plugin.transport.goplugin.controller import Controller
from mm_plugin.transport.goplugin.health import Health
from mm_plugin.transport.goplugin.listen import open_listener
from mm_plugin.transport.grpc.api_end import open_api
from mm_plugin.transport.grpc.plugin_link import GRPCPluginLink

if TYPE_CHECKING:
    from mm_plugin.settings import RuntimeConfig
    from mm_plugin.wire.handshake import Handshake

__all__ = ("open_plugin_link",)


@asynccontextmanager
async def open_plugin_link(
    config: RuntimeConfig, environ: Mapping[str, str], *, app_version: int = 1
) -> AsyncGenerator[tuple[GRPCPluginLink, Handshake]]:
    """Listen where the host asks and prepare the link; on the way out socket and API channel are closed.

    Args:
        config: The runtime's configuration.
        environ: Usually ``os.environ``; go-plugin's variables are read from it.
        app_version: The version both sides agreed on, for the handshake.

    Yields:
        The link, not serving yet, and the handshake that names its address.

    Raises:
        ConfigurationError: The environment or the configuration asks for what cannot be done.
    """
    health, controller = Health(), Controller()
    async with (
        open_api(config.api_target, secret=config.api_secret, message_limit_octets=config.message_limit_octets) as api,
        open_listener(environ, unix_socket_dir=config.unix_socket_dir, app_version=app_version) as (
            listener,
            handshake,
        ),
    ):
        link = GRPCPluginLink(
            listener,
            api=api,
            services={**health.handlers(), **controller.handlers()},
            on_serving=health.set_serving,
            stop_asked=controller.asked,
            message_limit_octets=config.message_limit_octets,
        )
        yield link, handshake
