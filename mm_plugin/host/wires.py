"""The two things a host needs of a wire: serve the API before the process runs, open the link after its handshake.

Layer:  host, the seam to ``transport/grpc`` (and later net/rpc).
"""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from mm_plugin import limits

if TYPE_CHECKING:
    from mm_plugin.transport.link import APIReceiver, HostLink
    from mm_plugin.wire.handshake import Handshake

__all__ = ("HostWire", "OpenLink", "ServeAPI", "grpc_wire")


class ServeAPI(Protocol):
    """Serves the API to one plugin."""

    def __call__(self, receiver: APIReceiver, /) -> AbstractAsyncContextManager[str]:
        """Serve while the context is open; it gives what MATTERMOST_PLUGIN_API_TARGET is to say.

        Raises:
            OSError: There is nowhere to listen.
        """
        ...


class OpenLink(Protocol):
    """Opens the host's end of the link to one plugin."""

    def __call__(self, handshake: Handshake, /) -> AbstractAsyncContextManager[HostLink]:
        """Connect where the handshake says, and close when the context is left.

        Raises:
            CallFailure: The plugin cannot be reached there.
        """
        ...


@dataclass(frozen=True, slots=True)
class HostWire:
    """One way to carry a plugin's calls."""

    serve_api: ServeAPI
    open_link: OpenLink


def grpc_wire(*, message_limit_octets: int = limits.message_limit_octets) -> HostWire:
    """Return the gRPC wire: the API on a port of the loopback, the link over HTTP/2."""
    from mm_plugin.transport.goplugin.host_end import open_host_link
    from mm_plugin.transport.grpc.api_end import open_api_server

    return HostWire(
        serve_api=lambda receiver: open_api_server(receiver, message_limit_octets=message_limit_octets),
        open_link=lambda handshake: open_host_link(handshake, message_limit_octets=message_limit_octets),
    )
