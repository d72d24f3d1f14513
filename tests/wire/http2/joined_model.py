"""What the model of two joined ends remembers of each connection and stream."""

from __future__ import annotations

from dataclasses import dataclass, field

from mm_plugin.wire.http2 import Connection, ErrorCode, Stream


@dataclass
class Half:
    """One application's end of a stream, as the model knows it."""

    handle: Stream
    handed_over: bytearray = field(default_factory=bytearray)
    end: str = ""  # how our end was handed over: "data", "trailers"
    head_out: bool = False
    got: bytearray = field(default_factory=bytearray)
    got_end: str = ""
    got_head: bool = False
    unconsumed: int = 0
    reset_here: bool = False
    stopped: bool = False  # the server wants no more of the request once its response is out
    reset_there: ErrorCode | None = None
    window: int = 0  # what this half may still send

    @property
    def over(self) -> bool:
        return self.reset_here or self.reset_there is not None


@dataclass
class End:
    """One connection, as the model knows it."""

    connection: Connection
    halves: dict[int, Half] = field(default_factory=dict)
    window: int = 65_535
    initial_window: int = 65_535
    frame_limit: int = 16_384
    wire: bytearray = field(default_factory=bytearray)  # what it has sent and the other has not got
    begun: int = 0  # octets of the first frame on the wire that were delivered
    pings_out: int = 0
    pongs: int = 0
