"""The two things a host needs of a wire: serve the API before the process runs, open the link after its handshake.

Layer:  host, the seam to ``transport/grpc`` (and later net/rpc).
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Protocol

from mm_plugin import limits

if TYPE_CHECKING:
    from mm_plugin.transport.link import APIReceiver, HostLink
    from mm_plugin.wire.handshake import Handshake

__all__ = ("HostWire", "OpenLink", "ServeAPI", "grpc_wire")


class ServeAPI(Protocol):
    """Serves the API to one plugin."""

    def __call__(self, receiver: APIReceiver, /, *, secret: str) -> AbstractAsyncContextManager[str]:
        """Serve while the context is open; it gives what MATTERMOST_PLUGIN_API_TARGET is to say.

        Calls that do not carry the secret are refused; "" takes all.

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


def grpc_wire(*, message_limit_octets: int = limits.message_limit_octets, api_unix_socket: bool = False) -> HostWire:
    """Return the gRPC wire: the API on a port of the loopback or a unix socket, the link over HTTP/2."""
    from mm_plugin.transport.goplugin.host_end import open_host_link
    from mm_plugin.transport.grpc.api_end import open_api_server

    @asynccontextmanager
    async def serve_api(receiver: APIReceiver, /, *, secret: str) -> AsyncGenerator[str]:
        with _private_folder() if api_unix_socket else nullcontext("") as folder:
            unix_path = f"{folder}/api" if folder else ""
            async with open_api_server(
                receiver, secret=secret, unix_path=unix_path, message_limit_octets=message_limit_octets
            ) as target:
                yield target

    return HostWire(
        serve_api=serve_api,
        open_link=lambda handshake: open_host_link(handshake, message_limit_octets=message_limit_octets),
    )


def _private_folder() -> TemporaryDirectory[str]:
    """Make a folder that only this user can enter; a short name, for a socket's path holds about a hundred octets."""
    return TemporaryDirectory(prefix="mm-plugin-", ignore_cleanup_errors=True)
