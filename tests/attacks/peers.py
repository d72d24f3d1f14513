"""Raw sockets that speak HTTP/2 frames, and a server process to turn them against."""

from __future__ import annotations

import os
import select
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Self

from mm_plugin import limits
from mm_plugin.wire.grpc import frame as message
from mm_plugin.wire.http2 import ErrorCode, encode
from tests.wire.http2.raw_frames import (
    ACK,
    DATA,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    PREFACE,
    RST_STREAM,
    SETTINGS,
    Frame,
    frame,
    request,
    settings,
    window_update,
)

WHOLE = END_HEADERS | END_STREAM
GREETING = PREFACE + settings() + frame(SETTINGS, ACK)
#: A greeting that lets the server send whatever it has.
WIDE_GREETING = PREFACE + settings(window=2**31 - 1) + frame(SETTINGS, ACK) + window_update(0, 2**31 - 65_536)
_REPOSITORY = Path(__file__).resolve().parents[2]
_TICKS = os.sysconf("SC_CLK_TCK")


def head(path: str, *more: tuple[bytes, bytes], method: bytes = b"POST") -> bytes:
    """The header block of a gRPC request."""
    return encode(
        [
            (b":method", method),
            (b":scheme", b"http"),
            (b":path", path.encode()),
            (b":authority", b"x"),
            (b"te", b"trailers"),
            (b"content-type", b"application/grpc"),
            *more,
        ]
    )


def call(stream_id: int, path: str, body: bytes = b"") -> bytes:
    """A whole unary call."""
    return request(stream_id, END_HEADERS, head(path)) + frame(DATA, END_STREAM, stream_id, message(body))


class Peer:
    """One connection to a server: sends whatever it is told, and keeps the frames that come."""

    def __init__(self, port: int, greeting: bytes = GREETING) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=10)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)
        self.frames: list[Frame] = []
        self.closed = False  # the server has closed, one way or the other
        self._tail = b""
        self.send(greeting)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, octets: bytes, *, read: bool = True, time_s: float = 10.0) -> bool:
        """Send, reading meanwhile what comes; False once the server takes no more."""
        rest = memoryview(octets)
        end = time.monotonic() + time_s
        while rest and not self.closed:
            readable, writable, _ = select.select([self.socket] if read else [], [self.socket], [], 0.2)
            if readable:
                self._read()
            if writable and not self.closed:
                try:
                    rest = rest[self.socket.send(rest) :]
                except OSError:
                    self.closed = True
            if time.monotonic() > end:
                return False
        return not self.closed

    def _read(self) -> None:
        try:
            data = self.socket.recv(1 << 20)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.closed = True
        data = self._tail + data
        while len(data) >= 9 and len(data) >= 9 + (size := int.from_bytes(data[:3])):
            stream_id = int.from_bytes(data[5:9]) & 0x7FFFFFFF
            self.frames.append(Frame(data[3], data[4], stream_id, data[9 : 9 + size]))
            data = data[9 + size :]
        self._tail = data

    def read_until(
        self, kind: int, stream_id: int | None = None, time_s: float = 5.0, *, count: int = 1
    ) -> Frame | None:
        """Wait for the ``count``-th frame of a kind; None where the connection or the time ends before."""
        end = time.monotonic() + time_s
        seen = 0
        while True:
            for found in self.frames[seen:]:
                if found.kind == kind and stream_id in {None, found.stream_id}:
                    count -= 1
                    if not count:
                        return found
            seen = len(self.frames)
            if self.closed or (left := end - time.monotonic()) <= 0:
                return None
            select.select([self.socket], [], [], left)
            self._read()

    def read_to_the_end(self, time_s: float = 5.0) -> bool:
        """Read until the server closes; False where it does not."""
        return self.read_until(-1, time_s=time_s) is None and self.closed

    def goaway(self) -> ErrorCode | None:
        """The code of the last GOAWAY that came."""
        codes = [ErrorCode(int.from_bytes(found.payload[4:8])) for found in self.frames if found.kind == GOAWAY]
        return codes[-1] if codes else None

    def reset(self, stream_id: int) -> ErrorCode | None:
        """The code with which a stream was reset."""
        codes = [found.payload for found in self.frames if (found.kind, found.stream_id) == (RST_STREAM, stream_id)]
        return ErrorCode(int.from_bytes(codes[0])) if codes else None

    def answer(self, stream_id: int, time_s: float = 5.0) -> bytes | None:
        """Wait for the end of a response and return its body; None where there is none."""
        end = time.monotonic() + time_s
        while not self.closed and (left := end - time.monotonic()) > 0:
            mine = [found for found in self.frames if found.stream_id == stream_id]
            if any(found.kind == RST_STREAM for found in mine):
                return None
            if any(found.flags & END_STREAM and found.kind in {0, 1} for found in mine):
                return b"".join(found.payload for found in mine if found.kind == DATA)
            select.select([self.socket], [], [], left)
            self._read()
        return None


def warm(port: int) -> None:
    """Have as many calls open at once as our servers allow, unary and streaming ones, twice.

    Memory kept for that is kept for the next calls; it is not what an attack leaves behind.
    """
    last = 2 * limits.http2_concurrent_streams - 1
    for _ in range(2):
        for path in ("/t.T/Hang", "/t.T/Collect"):
            with Peer(port, WIDE_GREETING) as peer:
                heads = head(path)
                for stream_id in range(1, last, 2):
                    body = b"" if path == "/t.T/Collect" else frame(DATA, END_STREAM, stream_id, message(b""))
                    peer.send(request(stream_id, END_HEADERS, heads) + body)
                peer.send(call(last, "/t.T/Echo", bytes(500)))
                peer.answer(last)


class ServerProcess:
    """A gRPC server of ours in a process of its own, and what it costs.

    Attributes:
        warm_octets: Its memory once it had been warmed; 0 before.
    """

    def __init__(self, backend: str, **limits: float) -> None:
        self.warm_octets = 0
        command = [sys.executable, "-m", "tools.grpc_server", "--backend", backend]
        self._process = subprocess.Popen(
            [*command, *(f"{name}={value}" for name, value in limits.items())],
            cwd=_REPOSITORY,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline())

    def close(self) -> int:
        """End the server as its owner would; its exit code."""
        self._process.communicate(timeout=10)
        return self._process.returncode

    @property
    def memory_octets(self) -> int:
        """Memory that is resident now."""
        return int(Path(f"/proc/{self._process.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    @property
    def cpu_s(self) -> float:
        """Processor time used so far, all threads."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def ask(self, path: str, body: bytes = b"", time_s: float = 2.0) -> bytes | None:
        """Call a method on a fresh connection; None where no answer comes in time."""
        with Peer(self.port) as peer:
            peer.send(call(1, path, body))
            answer = peer.answer(1, time_s)
            return None if answer is None else answer[5:]

    def healthy(self) -> bool:
        """Whether a fresh connection's health check is answered within two seconds."""
        return self.ask("/grpc.health.v1.Health/Check") == b"\x08\x01"
