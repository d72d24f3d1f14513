"""A blocking HTTP/2 client that costs next to nothing: ready frames out, frame heads in.

It is the load generator for every server alike, so it must not be the bottleneck: a call costs it about 10 us. It obeys
flow control, answers PING and SETTINGS, and decodes every header block, so that only calls with grpc-status 0 count.
"""

from __future__ import annotations

import socket
import time
from collections import deque
from collections.abc import Iterator

from mm_plugin.wire.http2.fields import Head
from mm_plugin.wire.http2.frames import (
    ACK,
    DATA,
    END_HEADERS,
    END_STREAM,
    FRAME_HEAD,
    FRAME_HEAD_OCTETS,
    GOAWAY,
    HEADERS,
    INITIAL_WINDOW_SIZE,
    LARGEST_INT31,
    PADDED,
    PING,
    PREFACE,
    RST_STREAM,
    SETTING,
    SETTINGS,
    UINT32,
    WINDOW_UPDATE,
)
from mm_plugin.wire.http2.header_blocks import BlockDecoder, encode

FRAME_OCTETS = 16_384
WINDOW_OCTETS = 65_535
OUR_WINDOW_OCTETS = 4 * 1024 * 1024

Frame = tuple[int, int, int, bytes]


def frame(kind: int, flags: int, stream_id: int, payload: bytes = b"") -> bytes:
    size = len(payload)
    return FRAME_HEAD.pack(size >> 8, size & 0xFF, kind, flags, stream_id) + payload


def grpc_message(data: bytes) -> bytes:
    return b"\0" + len(data).to_bytes(4) + data


def request_block(path: str) -> bytes:
    return encode(
        [
            (b":method", b"POST"),
            (b":scheme", b"http"),
            (b":path", path.encode()),
            (b":authority", b"localhost"),
            (b"te", b"trailers"),
            (b"content-type", b"application/grpc"),
            (b"user-agent", b"load"),
        ]
    )


class FrameReader:
    """Cuts what a socket gives into frames."""

    def __init__(self, connected: socket.socket) -> None:
        self._socket = connected
        self._rest = b""

    def read(self) -> Iterator[Frame]:
        """Wait for octets and yield the whole frames that are there."""
        data = self._socket.recv(65_536)  # more at once costs more: the allocator maps fresh pages for it
        if not data:
            raise EOFError("the peer closed the connection")
        data = self._rest + data if self._rest else data
        at, size, unpack = 0, len(data), FRAME_HEAD.unpack_from
        while size - at >= FRAME_HEAD_OCTETS:
            high, low, kind, flags, stream_id = unpack(data, at)
            end = at + FRAME_HEAD_OCTETS + (high << 8 | low)
            if end > size:
                break
            yield kind, flags, stream_id, data[at + FRAME_HEAD_OCTETS : end]
            at = end
        self._rest = data[at:]


class LoadClient:
    """One connection that keeps a number of calls in flight, or one long stream."""

    def __init__(self, host: str, port: int) -> None:
        self._socket = socket.create_connection((host, port), timeout=60)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._reader = FrameReader(self._socket)
        self._blocks = BlockDecoder(65_536)
        self._window = WINDOW_OCTETS
        self._stream_window = WINDOW_OCTETS  # of a new stream
        self._windows: dict[int, int] = {}  # of the long streams
        self._next_id = 1
        self._out: list[bytes] = [
            PREFACE,
            frame(SETTINGS, 0, 0, SETTING.pack(2, 0) + SETTING.pack(INITIAL_WINDOW_SIZE, OUR_WINDOW_OCTETS)),
            frame(WINDOW_UPDATE, 0, 0, UINT32.pack(LARGEST_INT31 - WINDOW_OCTETS)),
        ]
        self._flush()

    def close(self) -> None:
        self._socket.close()

    def _flush(self) -> None:
        if self._out:
            self._socket.sendall(b"".join(self._out))
            self._out.clear()

    def _control(self, kind: int, flags: int, stream_id: int, payload: bytes) -> None:
        """Do what any frame asks for that is neither DATA nor HEADERS."""
        if kind == WINDOW_UPDATE:
            step = UINT32.unpack(payload)[0]
            if stream_id == 0:
                self._window += step
            elif stream_id in self._windows:
                self._windows[stream_id] += step
        elif kind == SETTINGS and not flags & ACK:
            for key, value in SETTING.iter_unpack(payload):
                if key == INITIAL_WINDOW_SIZE:
                    for each in self._windows:
                        self._windows[each] += value - self._stream_window
                    self._stream_window = value
            self._out.append(frame(SETTINGS, ACK, 0))
        elif kind == PING and not flags & ACK:
            self._out.append(frame(PING, ACK, 0, payload))
        elif kind == RST_STREAM and payload == bytes(4):
            pass  # NO_ERROR: the answer was complete before our end had been looked at (RFC 9113, section 8.1)
        elif kind in {RST_STREAM, GOAWAY}:
            raise ConnectionError(f"frame {kind} on stream {stream_id}: {payload!r}")

    def _head(self, flags: int, payload: bytes) -> Head:
        assert flags & END_HEADERS
        assert not flags & PADDED
        head = self._blocks.decode(payload)
        if flags & END_STREAM and head.get(b"grpc-status") != b"0":
            raise ConnectionError(f"a call failed: {head}")
        return head

    # -- unary ------------------------------------------------------------------------------------------------

    def unary(self, path: str, message: bytes, *, in_flight: int, seconds: float) -> list[float]:
        """Keep calls in flight for a while; return how long each took."""
        block, body = request_block(path), grpc_message(message)
        clock = time.perf_counter
        taken: list[float] = []
        begun: dict[int, float] = {}
        waiting: deque[None] = deque([None] * in_flight)
        end = clock() + seconds
        while True:
            if (now := clock()) >= end:
                waiting.clear()
            while waiting and self._window >= len(body):
                waiting.pop()
                stream_id = self._next_id
                self._next_id += 2
                self._window -= len(body)
                begun[stream_id] = now
                self._out += (
                    frame(HEADERS, END_HEADERS, stream_id, block),
                    frame(DATA, END_STREAM, stream_id, body),
                )
            self._flush()
            if not begun:
                return taken
            for kind, flags, stream_id, payload in self._reader.read():
                if kind == HEADERS:
                    self._head(flags, payload)
                    if flags & END_STREAM:
                        taken.append(clock() - begun.pop(stream_id))
                        waiting.append(None)
                elif kind != DATA:
                    self._control(kind, flags, stream_id, payload)

    # -- streams ----------------------------------------------------------------------------------------------

    def _open(self, path: str, message: bytes, *, end: bool = False) -> int:
        stream_id = self._next_id
        self._next_id += 2
        self._windows[stream_id] = self._stream_window
        self._out.append(frame(HEADERS, END_HEADERS, stream_id, request_block(path)))
        self._data(stream_id, grpc_message(message), end=end)
        return stream_id

    def _data(self, stream_id: int, octets: bytes, *, end: bool = False) -> None:
        self._window -= len(octets)
        self._windows[stream_id] -= len(octets)
        self._out.append(frame(DATA, END_STREAM if end else 0, stream_id, octets))

    def upload(self, path: str, first: bytes, message: bytes, last: bytes, *, count: int) -> None:
        """Send a stream of messages and wait for its status."""
        stream_id = self._open(path, first)
        self._flush()
        body = grpc_message(message)
        pieces = [body[at : at + FRAME_OCTETS] for at in range(0, len(body), FRAME_OCTETS)]
        for number in range(count):
            for piece in pieces:
                while min(self._window, self._windows[stream_id]) < len(piece):
                    self._flush()
                    self._take(stream_id)
                self._data(stream_id, piece)
            if number % 2:
                self._flush()
        self._data(stream_id, grpc_message(last), end=True)
        self._flush()
        while not self._take(stream_id):
            pass

    def download(self, path: str, first: bytes) -> int:
        """Ask for a stream of messages, wait for its status, and return how many octets of bodies came."""
        stream_id = self._open(path, first, end=True)
        self._flush()
        self._received = 0
        while not self._take(stream_id):
            self._flush()
        return self._received

    _received = 0
    _uncredited = 0

    def _take(self, stream_id: int) -> bool:
        """Read once; True when the stream has ended well."""
        ended = False
        for kind, flags, number, payload in self._reader.read():
            if kind == DATA:
                self._received += len(payload)
                self._uncredited += len(payload)
                if self._uncredited >= OUR_WINDOW_OCTETS // 4:
                    for each in (0, stream_id):
                        self._out.append(frame(WINDOW_UPDATE, 0, each, UINT32.pack(self._uncredited)))
                    self._uncredited = 0
            elif kind == HEADERS:
                self._head(flags, payload)
                ended = flags & END_STREAM != 0
            else:
                self._control(kind, flags, number, payload)
        if ended:
            del self._windows[stream_id]
        return ended
