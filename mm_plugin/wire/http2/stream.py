"""One open stream: what the application may look at, and the core's own accounts."""

from __future__ import annotations

from collections import deque

from mm_plugin.wire.http2.fields import Head

__all__ = ("Stream",)


class Stream:
    """One HTTP/2 stream. The application reads it and sets ``user``; everything else changes through ``Connection``.

    Attributes:
        id: The stream's number.
        head: Server: the request's head. Client: the response's, empty until ``ResponseReceived``.
        local_open: Our END_STREAM is not out yet (it may be queued behind data).
        remote_open: The peer may still send.
        ending: Our end was handed over, sent or queued: nothing more may be sent.
        queued_octets: Body octets that wait for the peer's windows.
        user: The application's own object.
        send_window: Octets the peer takes now on this stream; negative after it lowered its setting.
        recv_window: Octets we take now.
        uncredited: Consumed octets whose credit has not been sent yet.
        queue: Body pieces that wait; internal.
        trailers: Trailers that wait behind the queue; internal.
        content_left: Octets of content-length not received yet, or None; internal.
        head_sent: A header block is out; internal.
        head_received: The final head is in; internal.
        waiting: In the turn of those that wait for the connection's window; internal.
        over_mark: ``StreamWritable`` is owed; internal.
        moved: Something queued went out; for whoever looks for streams that stand still, and clears it.
        stop_request: Reset with NO_ERROR once our end is out; internal.
    """

    __slots__ = (
        "content_left",
        "ending",
        "head",
        "head_received",
        "head_sent",
        "id",
        "local_open",
        "moved",
        "over_mark",
        "queue",
        "queued_octets",
        "recv_window",
        "remote_open",
        "send_window",
        "stop_request",
        "trailers",
        "uncredited",
        "user",
        "waiting",
    )

    def __init__(self, stream_id: int, head: Head, send_window: int, recv_window: int) -> None:
        self.id = stream_id
        self.head = head
        self.send_window = send_window
        self.recv_window = recv_window
        self.content_left = head.content_length
        self.local_open = self.remote_open = True
        self.ending = self.head_sent = self.head_received = False
        self.waiting = self.over_mark = self.stop_request = self.moved = False
        self.queued_octets = self.uncredited = 0
        self.queue: deque[bytes | memoryview] | None = None
        self.trailers: bytes | None = None
        self.user: object = None

    @property
    def closed(self) -> bool:
        """Both ends are closed: what is sent on it is dropped."""
        return not (self.local_open or self.remote_open)

    def __repr__(self) -> str:
        return f"Stream({self.id}, local_open={self.local_open}, remote_open={self.remote_open})"
