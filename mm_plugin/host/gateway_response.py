"""The response a browser gets to see: the plugin's, without what no server may send.

Layer:  host. Values only, no I/O. Plugins of this package cannot make such a head; others can.
See:    RFC 9110, sections 5 (fields), 6.4.1 (content), 7.6.1 (fields of one connection) and 8.6 (Content-Length)
"""

from __future__ import annotations

from mm_plugin.serve_http.headers import fault_of_field
from mm_plugin.transport.link import ResponseHead

__all__ = ("Outgoing",)

# Fields of one connection, which is not the browser's; and the date, which the server says itself.
_LEFT_OUT = {"connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade", "date"}


class Outgoing:
    """The head of one response on its way to the client.

    Attributes:
        status: Final: ASGI has no informational responses, and Go sends one and then 200 with the first write.
        fields: As ASGI has them.
        faults: What is wrong with fields that were left out.
        has_body: Whether the answer may have a body.
        left: Octets of the body that Content-Length still promises; None where it promises none.
    """

    def __init__(self, head: ResponseHead, method: str) -> None:
        self.status = max(head.status, 200)
        self.has_body = method != "HEAD" and self.status not in (204, 304)
        self.fields: list[tuple[bytes, bytes]] = []
        self.faults: list[str] = []
        self.left: int | None = None
        lengths: list[str] = []
        for name, value in head.headers:
            lower = name.lower()
            if lower == "content-length":
                lengths.append(value)
            elif fault := fault_of_field(name, value):
                self.faults.append(fault)
            elif lower not in _LEFT_OUT:
                self.fields.append((lower.encode(), value.strip(" \t").encode()))
        if lengths and self.status not in (204, 304):  # in a 304 it may stand, but not every client of HTTP/2 bears it
            self._take_length(lengths)

    def _take_length(self, lengths: list[str]) -> None:
        length = lengths[0]
        if set(lengths) != {length} or not (length.isascii() and length.isdigit() and len(length) < 20):
            self.faults.append(f"Content-Length must be one number of octets, not {', '.join(lengths)!r}")
            return
        self.fields.append((b"content-length", length.encode()))
        if self.has_body:
            self.left = int(length)

    def count(self, octets: int) -> str:
        """Take so many octets of the body; tells what is wrong where Content-Length promised fewer, else ""."""
        if self.left is None:
            return ""
        self.left -= octets
        return "its response is longer than its Content-Length" if self.left < 0 else ""

    def end(self) -> str:
        """Take the end of the body; tells what is wrong where Content-Length promised more, else ""."""
        return f"its response ends {self.left} octets short of its Content-Length" if self.left else ""
