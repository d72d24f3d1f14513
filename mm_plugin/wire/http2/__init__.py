"""HTTP/2 for gRPC, sans-IO: one connection, as server or client (RFC 9113, RFC 7541).

Job: turn received octets into events, and calls into octets to send, obeying every rule of the protocol.
Layer: wire; the engine in transport/grpc drives it from one byte stream.
Input: ``Connection.receive``; the ``send_*``, ``reset``, ``consumed``, ``ping`` and ``goaway`` calls.
Output: events; ``Connection.take``.
Errors: LocalProtocolError for what our own side must not do; never anything for what the peer sends.
"""

from mm_plugin.wire.http2.config import Config, Role
from mm_plugin.wire.http2.connection import Connection
from mm_plugin.wire.http2.errors import ErrorCode
from mm_plugin.wire.http2.events import (
    ConnectionClosed,
    DataReceived,
    Event,
    GoAwayReceived,
    InformationalReceived,
    PingAcknowledged,
    RequestReceived,
    ResponseReceived,
    RoomChanged,
    StreamReset,
    StreamWritable,
    TrailersReceived,
)
from mm_plugin.wire.http2.fields import Fields, Head
from mm_plugin.wire.http2.header_blocks import encode
from mm_plugin.wire.http2.stream import Stream

__all__ = (
    "Config",
    "Connection",
    "ConnectionClosed",
    "DataReceived",
    "ErrorCode",
    "Event",
    "Fields",
    "GoAwayReceived",
    "Head",
    "InformationalReceived",
    "PingAcknowledged",
    "RequestReceived",
    "ResponseReceived",
    "Role",
    "RoomChanged",
    "Stream",
    "StreamReset",
    "StreamWritable",
    "TrailersReceived",
    "encode",
)
