"""What one message of a ServeHTTP call says, without what its head holds. Internal.

The machines decide about order only, so they never see a method, a url or headers: the driver keeps the head beside
its machine and puts it into the message that is marked for it.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ("RequestMessage", "ResponseMessage")


@dataclass(frozen=True, slots=True)
class RequestMessage:
    """A message from the host to the plugin.

    Attributes:
        init: Whether it carries the request's head.
        chunk: A piece of the body; may be empty.
        complete: Whether the body ends here (``body_complete``).
    """

    init: bool = False
    chunk: bytes = b""
    complete: bool = False


@dataclass(frozen=True, slots=True)
class ResponseMessage:
    """A message from the plugin to the host.

    Attributes:
        status: The status in the response's head; None where the message carries no head.
        chunk: A piece of the body; may be empty.
        flush: Whether everything so far, this chunk included, shall reach the client now.
        complete: Whether the body ends here (``body_complete``).
    """

    status: int | None = None
    chunk: bytes = b""
    flush: bool = False
    complete: bool = False
