"""The go-plugin handshake: the first line on a plugin's standard output. Internal.

Job:    say where a plugin listens, and understand what another says.
Layer:  wire (sans-IO).
Input:  one line ``core|app|network|address|protocol|certificate|multiplex``; four to seven fields.
Errors: HandshakeError with one sentence for each way a line can be wrong.
See:    hashicorp/go-plugin: docs/internals.md, and client.go for how hosts read the line.
"""

from __future__ import annotations

from dataclasses import dataclass

from mm_plugin import limits
from mm_plugin.exceptions import HandshakeError

__all__ = ("CORE_PROTOCOL_VERSION", "Handshake", "format_handshake", "format_handshake_line", "parse_handshake_line")

#: The one version of go-plugin's own protocol.
CORE_PROTOCOL_VERSION = 1

_NETWORKS = ("tcp", "unix")
_PROTOCOLS = ("grpc", "netrpc")
_MULTIPLEX = {"true": True, "false": False}
_EXPECTED = "core|app|network|address|protocol, such as 1|1|tcp|127.0.0.1:12345|grpc"


@dataclass(frozen=True, slots=True, kw_only=True)
class Handshake:
    """Where a plugin listens and what it speaks there.

    Attributes:
        network: ``tcp`` or ``unix``.
        address: ``host:port``, or the socket's path.
        app_version: The version both agreed on; Mattermost's is 1.
        protocol: ``grpc`` or ``netrpc``.
        certificate: The server's certificate (DER in base64 without padding); "" without TLS.
        multiplex: Whether the plugin multiplexes broker connections; None where the host did not ask.
    """

    network: str
    address: str
    app_version: int = 1
    protocol: str = "grpc"
    certificate: str = ""
    multiplex: bool | None = None


def format_handshake_line(port: int) -> str:
    """Return the line of a gRPC plugin that listens on a TCP port of 127.0.0.1, without its line end."""
    return format_handshake(Handshake(network="tcp", address=f"127.0.0.1:{port}"))


def format_handshake(handshake: Handshake) -> str:
    """Return the line for a handshake without its line end: five fields, six with a certificate, seven where asked.

    Older hosts split into six fields, so the seventh is written only where ``multiplex`` is set.

    Raises:
        HandshakeError: The line would not be understood, such as for a path that holds "|".
    """
    fields = [
        str(CORE_PROTOCOL_VERSION),
        str(handshake.app_version),
        handshake.network,
        handshake.address,
        handshake.protocol,
    ]
    if handshake.certificate or handshake.multiplex is not None:
        fields.append(handshake.certificate)
    if handshake.multiplex is not None:
        fields.append("true" if handshake.multiplex else "false")
    line = "|".join(fields)
    if parse_handshake_line(line) != handshake:
        raise HandshakeError(f"{handshake} cannot be said in one handshake line: an address may not hold '|'")
    return line


def parse_handshake_line(line: bytes | str) -> Handshake:
    """Return what a handshake line says; blanks around it, such as its line end, do not count.

    Raises:
        HandshakeError: It is no handshake; the text says what is wrong and what was expected.
    """
    text = _text(line)
    fields = text.split("|")
    if len(fields) < 4:
        raise HandshakeError(
            f"the first line on the plugin's standard output is {_short(text)}, not a handshake ({_EXPECTED}); "
            "something printed before the plugin announced itself"
        )
    if len(fields) > 7:
        raise HandshakeError(f"the handshake {_short(text)} has {len(fields)} fields, expected four to seven")
    core, app, network, address, protocol, certificate, multiplex = fields + _DEFAULTS[len(fields) - 4 :]
    if core != str(CORE_PROTOCOL_VERSION):
        raise HandshakeError(f"the handshake's core protocol version is {_short(core)}, expected 1")
    if network not in _NETWORKS:
        raise HandshakeError(f"the handshake's network is {_short(network)}, expected tcp or unix")
    if protocol not in _PROTOCOLS:
        raise HandshakeError(f"the handshake's protocol is {_short(protocol)}, expected grpc or netrpc")
    if multiplex not in {"", *_MULTIPLEX}:
        raise HandshakeError(f"the handshake's multiplex field is {_short(multiplex)}, expected true or false")
    return Handshake(
        network=network,
        address=_address(network, address),
        app_version=_app_version(app),
        protocol=protocol,
        certificate=certificate,
        multiplex=_MULTIPLEX.get(multiplex),
    )


#: Fields five to seven where a line leaves them out (go-plugin: a missing protocol means netrpc).
_DEFAULTS = ["netrpc", "", ""]


def _text(line: bytes | str) -> str:
    if len(line) > limits.handshake_line_octets:
        raise HandshakeError(
            f"the first line on the plugin's standard output is over {limits.handshake_line_octets} octets, "
            f"not a handshake ({_EXPECTED})"
        )
    if isinstance(line, bytes):
        try:
            line = line.decode()
        except UnicodeDecodeError as error:
            raise HandshakeError(f"the handshake {line[:80]!r} is not UTF-8") from error
    text = line.strip()
    if not text:
        raise HandshakeError(f"the first line on the plugin's standard output is empty, expected {_EXPECTED}")
    if not text.isprintable():
        raise HandshakeError(f"the handshake {_short(text)} holds control characters")
    return text


def _app_version(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 9 and str(int(text)) == text):
        raise HandshakeError(f"the handshake's app protocol version is {_short(text)}, expected a number such as 1")
    return int(text)


def _address(network: str, address: str) -> str:
    if network == "unix":
        if not address or address != address.strip():
            raise HandshakeError(f"the handshake's address is {_short(address)}, expected the path of a unix socket")
        return address
    host, _, port = address.rpartition(":")
    if not (host and port.isascii() and port.isdigit() and len(port) <= 5 and 1 <= int(port) <= 65_535):
        raise HandshakeError(f"the handshake's address is {_short(address)}, expected host:port with a port from 1")
    return address


def _short(text: str) -> str:
    return repr(text if len(text) <= 80 else text[:80] + "...")
