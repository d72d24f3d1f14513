"""Targets and listening places: the text of an address to a connection or a listener.

Input:  ``host:port``, ``[v6]:port``, ``unix:/path`` (also ``unix:///path``).
Errors: ConfigurationError for a text that is none of these; OSError for what the system refuses.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from mm_plugin.exceptions import ConfigurationError
from mm_plugin.transport.grpc.sockets import connect_tcp, connect_unix

if TYPE_CHECKING:
    from anyio.abc import ByteStream

__all__ = ("connector_to", "parse_target")


def parse_target(target: str) -> tuple[str, int] | str:
    """Return host and port, or the path of a unix socket.

    Raises:
        ConfigurationError: The text is no target.
    """
    if target.startswith("unix:"):
        path = target[len("unix:") :]
        path = path.removeprefix("//")
        if path.startswith("/"):
            return path
    else:
        host, colon, port = target.rpartition(":")
        if colon and host and port.isascii() and port.isdigit() and 0 < int(port) < 65_536:
            return host.removeprefix("[").removesuffix("]"), int(port)
    raise ConfigurationError(f"the target {target!r} is neither host:port nor unix:/path")


def connector_to(target: str) -> Callable[[], Awaitable[ByteStream]]:
    """Return what opens a byte stream to ``target``, for GRPCChannel.

    Raises:
        ConfigurationError: The text is no target.
    """
    place = parse_target(target)

    async def connect() -> ByteStream:
        if isinstance(place, str):
            return await connect_unix(place)
        return await connect_tcp(*place)

    return connect
