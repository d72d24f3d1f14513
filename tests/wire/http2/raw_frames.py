"""Frames written and read by hand, so that tests do not trust the code they test."""

from __future__ import annotations

import struct
from typing import NamedTuple

from mm_plugin.wire.http2 import Config, Connection, ErrorCode, Event, Role, encode

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM, ACK, END_HEADERS, PADDED, PRIORITIZED = 0x1, 0x1, 0x4, 0x8, 0x20

REQUEST = [
    (b":method", b"POST"),
    (b":scheme", b"http"),
    (b":path", b"/pluginproto.PluginHooks/OnActivate"),
    (b":authority", b"localhost"),
    (b"te", b"trailers"),
    (b"content-type", b"application/grpc"),
]
RESPONSE = [(b":status", b"200"), (b"content-type", b"application/grpc")]
TRAILERS = [(b"grpc-status", b"0")]
REQUEST_BLOCK, RESPONSE_BLOCK, TRAILERS_BLOCK = encode(REQUEST), encode(RESPONSE), encode(TRAILERS)


class Frame(NamedTuple):
    """One frame as it is on the wire."""

    kind: int
    flags: int
    stream_id: int
    payload: bytes


def frame(kind: int, flags: int = 0, stream_id: int = 0, payload: bytes = b"") -> bytes:
    return struct.pack(">L", len(payload))[1:] + struct.pack(">BBL", kind, flags, stream_id) + payload


def frames_of(octets: bytes) -> list[Frame]:
    octets = octets.removeprefix(PREFACE)
    found: list[Frame] = []
    while octets:
        length = int.from_bytes(octets[:3], "big")
        kind, flags, stream_id = struct.unpack(">BBL", octets[3:9])
        assert len(octets) >= 9 + length, "output ends inside a frame"
        found.append(Frame(kind, flags, stream_id, octets[9 : 9 + length]))
        octets = octets[9 + length :]
    return found


def settings(**values: int) -> bytes:
    names = {"table": 1, "push": 2, "streams": 3, "window": 4, "frame": 5, "list": 6}
    return frame(SETTINGS, payload=b"".join(struct.pack(">HL", names[name], value) for name, value in values.items()))


def window_update(stream_id: int, step: int) -> bytes:
    return frame(WINDOW_UPDATE, 0, stream_id, struct.pack(">L", step))


def rst_stream(stream_id: int, code: int = 8) -> bytes:
    return frame(RST_STREAM, 0, stream_id, struct.pack(">L", code))


def goaway(last: int, code: int = 0, text: bytes = b"") -> bytes:
    return frame(GOAWAY, 0, 0, struct.pack(">LL", last, code) + text)


def request(stream_id: int = 1, flags: int = END_HEADERS, block: bytes = REQUEST_BLOCK) -> bytes:
    return frame(HEADERS, flags, stream_id, block)


def uint32(frame: Frame) -> int:
    return int.from_bytes(frame.payload[:4], "big")


def goaway_code(frames: list[Frame]) -> ErrorCode | None:
    """The code of the last GOAWAY, or None."""
    codes = [ErrorCode(int.from_bytes(frame.payload[4:8], "big")) for frame in frames if frame.kind == GOAWAY]
    return codes[-1] if codes else None


def server(config: Config | None = None, **peer_settings: int) -> Connection:
    """A server that has greeted its client; its output is empty."""
    connection = Connection(Role.SERVER, config=config)
    assert connection.receive(PREFACE + settings(**peer_settings) + frame(SETTINGS, ACK)) == []
    connection.take()
    return connection


def client(config: Config | None = None, **peer_settings: int) -> Connection:
    """A client that has been greeted by its server; its output is empty."""
    connection = Connection(Role.CLIENT, config=config)
    connection.receive(settings(**peer_settings) + frame(SETTINGS, ACK))
    connection.take()
    return connection


def kinds(events: list[Event]) -> list[str]:
    return [type(event).__name__ for event in events]
