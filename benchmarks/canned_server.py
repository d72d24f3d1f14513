"""A server of ready frames: answers every unary call with one user. It costs about 10 us a call, so that
clients are what is measured.

Prints a handshake line; serves one connection after the other.
"""

from __future__ import annotations

import socket

from benchmarks.raw_http2 import FrameReader, frame, grpc_message
from mm_plugin._proto.api_user_pb2 import GetUserResponse
from mm_plugin._proto.user_pb2 import User
from mm_plugin.wire.http2.frames import (
    ACK,
    DATA,
    END_HEADERS,
    END_STREAM,
    HEADERS,
    LARGEST_INT31,
    PING,
    PREFACE,
    SETTING,
    SETTINGS,
    UINT32,
    WINDOW_UPDATE,
)
from mm_plugin.wire.http2.header_blocks import encode


def _user() -> bytes:
    user = User(id="u" * 26, username="somebody", email="somebody@example.com", roles="system_user", locale="en")
    return GetUserResponse(user=user).SerializeToString()


def serve(connected: socket.socket) -> None:
    """Answer calls until the client goes away."""
    reader = FrameReader(connected)
    preface = connected.recv(len(PREFACE), socket.MSG_WAITALL)
    assert preface == PREFACE
    head = encode([(b":status", b"200"), (b"content-type", b"application/grpc")])
    body = grpc_message(_user())
    trailers = encode([(b"grpc-status", b"0")])
    connected.sendall(
        frame(SETTINGS, 0, 0, SETTING.pack(3, 1_000)) + frame(WINDOW_UPDATE, 0, 0, UINT32.pack(LARGEST_INT31 - 65_535))
    )
    while True:
        out: list[bytes] = []
        for kind, flags, stream_id, payload in reader.read():
            if flags & END_STREAM and kind in {DATA, HEADERS}:
                out += (
                    frame(HEADERS, END_HEADERS, stream_id, head),
                    frame(DATA, 0, stream_id, body),
                    frame(HEADERS, END_HEADERS | END_STREAM, stream_id, trailers),
                )
            elif kind == PING and not flags & ACK:
                out.append(frame(PING, ACK, 0, payload))
            elif kind == SETTINGS and not flags & ACK:
                out.append(frame(SETTINGS, ACK, 0))
        if out:
            connected.sendall(b"".join(out))


def main() -> None:
    listening = socket.create_server(("127.0.0.1", 0))
    print(f"1|1|tcp|127.0.0.1:{listening.getsockname()[1]}|grpc", flush=True)
    while True:
        connected, _ = listening.accept()
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with connected:
            try:
                serve(connected)
            except (EOFError, ConnectionError):
                pass  # that client is done


if __name__ == "__main__":
    main()
