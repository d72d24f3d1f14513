"""For whom the running hook was called: the host's RequestContext, for handlers and for log records.

Layer:  hooks. Set by dispatch for each call; tasks and worker threads started by a handler see it too.
Output: None outside a hook, and under hosts that send none (the Go host); ``context`` then says what is known.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Protocol, cast

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from mm_plugin._proto.common_pb2 import RequestContext

__all__ = ("log_fields", "request_context", "set_request")


class _HookRequest(Protocol):
    """What every unary hook request has."""

    @property
    def context(self) -> RequestContext: ...


_current: ContextVar[RequestContext | None] = ContextVar("mm_plugin_request_context", default=None)


def set_request(request: Message) -> None:
    """Say which call this task serves from now on."""
    _current.set(cast("_HookRequest", request).context if request.HasField("context") else None)


def request_context() -> RequestContext | None:
    """Return the plugin, request, session and user of the hook call that led here; None where nobody said."""
    return _current.get()


def log_fields() -> dict[str, str]:
    """Return what of it is set, for a log record."""
    context = _current.get()
    if context is None:
        return {}
    values = {
        "plugin_id": context.plugin_id,
        "request_id": context.request_id,
        "session_id": context.session_id,
        "user_id": context.user_id,
    }
    return {name: value for name, value in values.items() if value}
