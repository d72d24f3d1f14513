"""Floods by name: what a hostile peer sends again and again (reference: the CVEs named beside them)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from mm_plugin.wire.http2 import ErrorCode
from tests.attacks.peers import WHOLE, Peer, head
from tests.wire.http2.raw_frames import (
    ACK,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    HEADERS,
    PADDED,
    PING,
    PRIORITY,
    SETTINGS,
    frame,
    goaway,
    request,
    rst_stream,
    settings,
    window_update,
)

_HANG, _COLLECT = "/t.T/Hang", "/t.T/Collect"
_OPEN = request(1, END_HEADERS, head(_COLLECT))
_HANG_HEAD, _COLLECT_HEAD = head(_HANG), head(_COLLECT)
_BODY = bytes(5)


def _id(number: int) -> int:
    return 2 * number + 1


@dataclass(frozen=True)
class Flood:
    """A flood.

    Attributes:
        make: The octets of its n-th blow.
        begin: What is sent before.
        identity: Its CVE.
    """

    make: Callable[[int], bytes]
    begin: bytes = b""
    identity: str = ""


def _hang(number: int) -> bytes:
    return request(_id(number), END_HEADERS, _HANG_HEAD) + frame(DATA, END_STREAM, _id(number), _BODY)


FLOODS: dict[str, Flood] = {
    "rapid reset": Flood(lambda n: _hang(n) + rst_stream(_id(n)), identity="CVE-2023-44487"),
    "rapid reset of open streams": Flood(
        lambda n: request(_id(n), END_HEADERS, _COLLECT_HEAD) + rst_stream(_id(n)), identity="CVE-2023-44487"
    ),
    "resets made by us: credit of 0": Flood(lambda n: _hang(n) + window_update(_id(n), 0), identity="CVE-2025-8671"),
    "resets made by us: credit over 2**31": Flood(
        lambda n: _hang(n) + window_update(_id(n), 2**31 - 1), identity="CVE-2025-8671"
    ),
    "resets made by us: data after the end": Flood(
        lambda n: _hang(n) + frame(DATA, 0, _id(n), b"x"), identity="CVE-2025-8671"
    ),
    "resets made by us: wrong priority": Flood(
        lambda n: _hang(n) + frame(PRIORITY, 0, _id(n), bytes(4)), identity="CVE-2025-8671"
    ),
    "resets made by us: second head": Flood(
        lambda n: _hang(n) + request(_id(n), WHOLE, _HANG_HEAD), identity="CVE-2025-8671"
    ),
    "malformed requests": Flood(lambda n: request(_id(n), WHOLE, b"\x00\x00\x00"), identity="CVE-2019-9516"),
    "streams over the limit": Flood(lambda n: request(_id(n), END_HEADERS, _COLLECT_HEAD)),
    "PING": Flood(lambda _: frame(PING, 0, 0, bytes(8)), identity="CVE-2019-9512"),
    "PING ACK": Flood(lambda _: frame(PING, ACK, 0, bytes(8))),
    "SETTINGS": Flood(lambda _: frame(SETTINGS), identity="CVE-2019-9515"),
    "SETTINGS that move windows": Flood(lambda n: settings(window=65_535 + n % 2), _OPEN, "CVE-2019-9515"),
    "SETTINGS ACK": Flood(lambda _: frame(SETTINGS, ACK)),
    "PRIORITY": Flood(lambda n: frame(PRIORITY, 0, _id(n), bytes(5)), identity="CVE-2019-9513"),
    "WINDOW_UPDATE": Flood(lambda _: window_update(0, 1)),
    "WINDOW_UPDATE of a stream": Flood(lambda _: window_update(1, 1), _OPEN),
    "empty DATA": Flood(lambda _: frame(DATA, 0, 1), _OPEN, "CVE-2019-9518"),
    "DATA that is padding only": Flood(lambda _: frame(DATA, PADDED, 1, b"\xff" + bytes(255)), _OPEN, "CVE-2019-9518"),
    "DATA on a closed stream": Flood(lambda _: frame(DATA, 0, 1, b"x"), _OPEN + rst_stream(1)),
    "RST_STREAM on a closed stream": Flood(lambda _: rst_stream(1), _OPEN),
    "extension frames": Flood(lambda _: frame(0x42, 0, 0, b"x")),
    "GOAWAY": Flood(lambda _: goaway(0)),
    "CONTINUATION without end": Flood(
        lambda n: frame(HEADERS, 0, 1, _COLLECT_HEAD) if n == 0 else frame(CONTINUATION, 0, 1, b"\x00\x01a\x01b"),
        identity="CVE-2024-27316",
    ),
    "empty CONTINUATION": Flood(
        lambda n: frame(HEADERS, 0, 1, _COLLECT_HEAD) if n == 0 else frame(CONTINUATION, 0, 1),
        identity="CVE-2024-27316",
    ),
    "HPACK bomb": Flood(
        lambda n: (
            frame(HEADERS, 0, 1, b"\x40\x01a\x7f\xa1\x1e" + bytes(4_000).replace(b"\0", b"a"))
            if n == 0
            else frame(CONTINUATION, END_HEADERS, 1, b"\xbe" * 12_000)
        ),
        identity="CVE-2016-6581",
    ),
    "a million tiny fields": Flood(lambda n: request(_id(n), WHOLE, _COLLECT_HEAD + b"\x00\x01a\x00" * 4_000)),
}


def deliver(peer: Peer, flood: Flood, count: int) -> ErrorCode | None:
    """Send ``count`` blows, or as many as the server takes, and return the code with which it hung up, if it did."""
    peer.send(flood.begin)
    for octets in _bursts(flood, count):
        if not peer.send(octets):
            break
    return peer.goaway() if peer.read_to_the_end(2.0) else None


def _bursts(flood: Flood, count: int) -> Iterator[bytes]:
    for start in range(0, count, 250):
        yield b"".join(flood.make(number) for number in range(start, min(start + 250, count)))
