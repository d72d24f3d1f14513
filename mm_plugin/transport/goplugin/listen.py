"""Where a plugin listens: TCP on 127.0.0.1, or a unix socket, as its host asks. Internal.

Job:    a listening socket, and the handshake that names it.
Layer:  transport/goplugin.
Input:  the variables PLUGIN_MIN_PORT, PLUGIN_MAX_PORT, PLUGIN_UNIX_SOCKET_DIR, PLUGIN_UNIX_SOCKET_GROUP,
        PLUGIN_MULTIPLEX_GRPC and PLUGIN_CLIENT_CERT.
Errors: ConfigurationError that names the variable; nothing is left open then.
See:    hashicorp/go-plugin: server.go, ``serverListener``.
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from mm_plugin import limits
from mm_plugin.exceptions import ConfigurationError
from mm_plugin.transport.grpc.sockets import SocketListener
from mm_plugin.wire.handshake import Handshake

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ("open_listener",)

MIN_PORT = "PLUGIN_MIN_PORT"
MAX_PORT = "PLUGIN_MAX_PORT"
UNIX_SOCKET_DIR = "PLUGIN_UNIX_SOCKET_DIR"
UNIX_SOCKET_GROUP = "PLUGIN_UNIX_SOCKET_GROUP"
MULTIPLEX = "PLUGIN_MULTIPLEX_GRPC"
CLIENT_CERTIFICATE = "PLUGIN_CLIENT_CERT"

#: Ports a program may listen on without privileges; where the host names only one end of the range.
_LOWEST_PORT, _HIGHEST_PORT = 1_024, 65_535


@asynccontextmanager
async def open_listener(
    environ: Mapping[str, str], *, unix_socket_dir: str = "", app_version: int = 1
) -> AsyncGenerator[tuple[SocketListener, Handshake], None]:
    """Listen where the host asks; on the way out the listener is closed and its socket file removed.

    Args:
        environ: Usually ``os.environ``.
        unix_socket_dir: Listen on a unix socket in this folder, whatever the host says; "" leaves it to the host.
        app_version: The version that both sides agreed on, for the handshake.

    Yields:
        The listener, connections already queue, and the handshake that names it.

    Raises:
        ConfigurationError: The environment asks for what cannot be done.
    """
    if environ.get(CLIENT_CERTIFICATE):
        raise ConfigurationError(f"{CLIENT_CERTIFICATE} is set: TLS between host and plugin is not supported yet")
    folder = unix_socket_dir or environ.get(UNIX_SOCKET_DIR, "")
    path: Path | None = None
    if folder:
        listening, path = _unix_socket(Path(folder), environ.get(UNIX_SOCKET_GROUP, ""))
        network, address = "unix", str(path)
    else:
        listening = _tcp_socket(_ports(environ))
        host, port = listening.getsockname()
        network, address = "tcp", f"{host}:{port}"
    handshake = Handshake(
        network=network,
        address=address,
        app_version=app_version,
        # Hosts that ask stop where the answer is missing; older hosts stumble over an answer.
        multiplex=False if environ.get(MULTIPLEX) else None,
    )
    try:
        async with SocketListener(listening) as listener:
            yield listener, handshake
    finally:
        if path is not None:
            path.unlink(missing_ok=True)


# -- TCP ------------------------------------------------------------------------------------------------------


def _ports(environ: Mapping[str, str]) -> range:
    """Return the ports to try; port 0, any free one, where the host does not say."""
    texts = [environ.get(name, "") for name in (MIN_PORT, MAX_PORT)]
    if texts == ["", ""]:
        return range(1)
    low = _port(MIN_PORT, texts[0], _LOWEST_PORT)
    high = _port(MAX_PORT, texts[1], _HIGHEST_PORT)
    if low > high:
        raise ConfigurationError(f"{MIN_PORT}={low} is above {MAX_PORT}={high}: no port lies between them")
    return range(low, high + 1)


def _port(name: str, text: str, default: int) -> int:
    if not text:
        return default
    if not (text.isascii() and text.isdigit() and len(text) <= 5 and 1 <= int(text) <= _HIGHEST_PORT):
        raise ConfigurationError(f"{name}={text!r}: expected a port, 1 to {_HIGHEST_PORT}")
    return int(text)


def _tcp_socket(ports: range) -> socket.socket:
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        # As every server does: a port whose last connections linger may be taken, one that is in use may not.
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        for port in _from_anywhere(ports):
            try:
                listening.bind(("127.0.0.1", port))
                listening.listen(limits.listen_backlog)
            except OSError as error:
                if error.errno not in {errno.EADDRINUSE, errno.EACCES}:
                    raise ConfigurationError(f"cannot listen on 127.0.0.1:{port}: {error.strerror}") from error
            else:
                return listening
        raise ConfigurationError(f"all ports from {ports[0]} to {ports[-1]} are taken; widen {MIN_PORT} and {MAX_PORT}")
    except BaseException:
        listening.close()
        raise


def _from_anywhere(ports: range) -> Iterator[int]:
    """Yield all ports, beginning anywhere: plugins that start together do not queue for the same ones."""
    start = int.from_bytes(os.urandom(4)) % len(ports)
    yield from ports[start:]
    yield from ports[:start]


# -- unix sockets ---------------------------------------------------------------------------------------------


def _unix_socket(folder: Path, group: str) -> tuple[socket.socket, Path]:
    path = folder / f"plugin{os.urandom(8).hex()}"
    group_id = _group_id(group) if group else -1
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listening.bind(str(path))
        try:
            # Nobody can connect before listen(), so the mode is right from the first moment on.
            path.chmod(0o660 if group else 0o600)
            if group:
                os.chown(path, -1, group_id)
            listening.listen(limits.listen_backlog)
        except BaseException:
            with suppress(OSError):
                path.unlink()
            raise
    except OSError as error:
        listening.close()
        what = f"{UNIX_SOCKET_GROUP}={group}: " if isinstance(error, PermissionError) and group else ""
        raise ConfigurationError(f"{what}cannot listen on {path}: {error.strerror or error}") from error
    return listening, path


def _group_id(group: str) -> int:
    if group.isascii() and group.isdigit():
        return int(group)
    import grp  # not on every platform, and rarely needed

    try:
        return grp.getgrnam(group).gr_gid
    except KeyError:
        raise ConfigurationError(f"{UNIX_SOCKET_GROUP}={group!r}: there is no such group") from None
