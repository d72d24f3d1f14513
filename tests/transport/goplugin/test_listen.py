"""Listening: TCP within the host's ports, or a unix socket with the right name, mode and end."""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

import anyio
import pytest
from anyio.abc import ByteStream

from mm_plugin.exceptions import ConfigurationError
from mm_plugin.transport.goplugin.listen import open_listener
from mm_plugin.transport.grpc.sockets import SocketListener
from mm_plugin.wire.handshake import Handshake


async def echo_once(listener: SocketListener, connect: ByteStream) -> None:
    async with connect, await listener.accept() as accepted:
        await connect.send(b"hello")
        assert await accepted.receive() == b"hello"


async def test_any_port_of_the_loopback_without_wishes() -> None:
    """Without variables it is TCP on 127.0.0.1, and connections work as soon as the handshake is there."""
    async with open_listener({}) as (listener, handshake):
        host, port = handshake.address.split(":")
        assert (handshake.network, host, handshake.app_version) == ("tcp", "127.0.0.1", 1)
        await echo_once(listener, await anyio.connect_tcp(host, int(port)))
    with pytest.raises(OSError):
        await anyio.connect_tcp(host, int(port))


async def test_port_lies_in_the_hosts_range_past_taken_ones() -> None:
    """Ports that are taken are passed over, by trying; when all are, the text names the variables."""
    with ExitStack() as stack:
        first = stack.enter_context(socket.socket())
        first.bind(("127.0.0.1", 0))
        first.listen()
        low = first.getsockname()[1]
        environ = {"PLUGIN_MIN_PORT": str(low), "PLUGIN_MAX_PORT": str(min(low + 20, 65535))}
        for _ in range(3):
            async with open_listener(environ) as (_, handshake):
                assert low < int(handshake.address.split(":")[1]) <= low + 20
        with pytest.raises(ConfigurationError, match="PLUGIN_MIN_PORT"):
            async with open_listener(environ | {"PLUGIN_MAX_PORT": str(low)}):
                pass


@pytest.mark.parametrize(
    ("environ", "match"),
    [
        ({"PLUGIN_MIN_PORT": "2000", "PLUGIN_MAX_PORT": "1999"}, "above PLUGIN_MAX_PORT=1999"),
        ({"PLUGIN_MIN_PORT": "x"}, "PLUGIN_MIN_PORT='x'"),
        ({"PLUGIN_MAX_PORT": "70000"}, "PLUGIN_MAX_PORT='70000'"),
        ({"PLUGIN_MAX_PORT": "0"}, "PLUGIN_MAX_PORT='0'"),
        ({"PLUGIN_CLIENT_CERT": "-----BEGIN"}, "PLUGIN_CLIENT_CERT"),
        ({"PLUGIN_UNIX_SOCKET_DIR": "/nowhere/at/all"}, "/nowhere/at/all/plugin"),
        ({"PLUGIN_UNIX_SOCKET_DIR": "/tmp/" + "x" * 200}, "cannot listen"),
        ({"PLUGIN_UNIX_SOCKET_DIR": "/tmp", "PLUGIN_UNIX_SOCKET_GROUP": "no such group"}, "no such group"),
    ],
)
async def test_wishes_that_cannot_be_met_are_named(environ: Mapping[str, str], match: str) -> None:
    """The text has the variable or the path, and nothing is left open."""
    with pytest.raises(ConfigurationError, match=match):
        async with open_listener(environ):
            pass


@pytest.mark.parametrize("by_setting", [True, False])
async def test_unix_socket_is_named_private_and_removed(tmp_path: Path, by_setting: bool) -> None:
    """The file starts with "plugin", only its owner may connect, and it goes with the listener."""
    environ = {} if by_setting else {"PLUGIN_UNIX_SOCKET_DIR": str(tmp_path)}
    async with open_listener(environ, unix_socket_dir=str(tmp_path) if by_setting else "") as (listener, handshake):
        path = Path(handshake.address)
        assert handshake == Handshake(network="unix", address=str(path))
        assert path.parent == tmp_path
        assert path.name.startswith("plugin")
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
        await echo_once(listener, await anyio.connect_unix(path))
    assert os.listdir(tmp_path) == []


async def test_socket_belongs_to_the_hosts_group(tmp_path: Path) -> None:
    """A group by number may connect too."""
    group = os.getgroups()[-1] if os.getgroups() else os.getgid()
    environ = {"PLUGIN_UNIX_SOCKET_DIR": str(tmp_path), "PLUGIN_UNIX_SOCKET_GROUP": str(group)}
    async with open_listener(environ) as (_, handshake):
        status = os.stat(handshake.address)
        assert (stat.S_IMODE(status.st_mode), status.st_gid) == (0o660, group)


async def test_socket_belongs_to_a_group_by_name(tmp_path: Path) -> None:
    """A group by name is looked up."""
    grp = pytest.importorskip("grp")
    name = grp.getgrgid(os.getgid()).gr_name
    environ = {"PLUGIN_UNIX_SOCKET_DIR": str(tmp_path), "PLUGIN_UNIX_SOCKET_GROUP": name}
    async with open_listener(environ) as (_, handshake):
        assert os.stat(handshake.address).st_gid == os.getgid()


async def test_file_is_removed_when_the_body_fails(tmp_path: Path) -> None:
    """A crash leaves no file behind, and a file that somebody removed is no second crash."""
    with pytest.raises(ZeroDivisionError):
        async with open_listener({}, unix_socket_dir=str(tmp_path)):
            raise ZeroDivisionError
    assert os.listdir(tmp_path) == []
    async with open_listener({}, unix_socket_dir=str(tmp_path)) as (_, handshake):
        os.unlink(handshake.address)


async def test_multiplexing_is_answered_only_where_asked() -> None:
    """The seventh field is false, and only there for hosts that ask."""
    async with open_listener({}) as (_, handshake):
        assert handshake.multiplex is None
    async with open_listener({"PLUGIN_MULTIPLEX_GRPC": "true"}, app_version=3) as (_, handshake):
        assert (handshake.multiplex, handshake.app_version) == (False, 3)


async def test_group_that_may_not_be_given_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only members may give a file to a group; the text names the variable, and no file is left."""

    def refuse(*args: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "chown", refuse)
    environ = {"PLUGIN_UNIX_SOCKET_DIR": str(tmp_path), "PLUGIN_UNIX_SOCKET_GROUP": "1"}
    with pytest.raises(ConfigurationError, match="PLUGIN_UNIX_SOCKET_GROUP=1: cannot listen"):
        async with open_listener(environ):
            pass
    assert os.listdir(tmp_path) == []
