"""What the tests of hooks share: filled requests, one way to dispatch, and the Go host's reading of answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from google.protobuf.message import Message

from mm_plugin.hooks.codec import codec_of
from mm_plugin.hooks.dispatch import Handler, HookDispatcher
from mm_plugin.hooks.names import HookName
from mm_plugin.hooks.policy import FailurePolicy
from mm_plugin.hooks.table import HOOK_TABLE, HookRow, Refusal
from mm_plugin.hooks.threads import HookThreads
from mm_plugin.transport.link import CallFailure, CallFault, HookCall

#: How the Go host reads a failure under each policy.
READS = {FailurePolicy.REJECT: "refused", FailurePolicy.ERROR: "refused", FailurePolicy.ALLOW: "let pass"}
UNARY_ROWS = tuple(row for row in HOOK_TABLE.values() if not row.streaming)
each_row = pytest.mark.parametrize("row", UNARY_ROWS, ids=lambda row: str(row.name))
each_policy = pytest.mark.parametrize(
    ("row", "policy"), [pytest.param(row, p, id=f"{row.name}-{p}") for row in UNARY_ROWS for p in row.policies]
)


def fill(message: Message, depth: int = 2) -> None:
    """Set every field of a message to something that is not its default, a few levels deep."""
    for field in message.DESCRIPTOR.fields:
        if field.message_type is not None and (field.message_type.full_name.startswith("google.") or depth == 0):
            continue
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            continue
        if field.message_type is not None:
            part = getattr(message, field.name)
            fill(part.add() if field.is_repeated else part, depth - 1)
            continue
        octets = b'{"known": 1}' if field.name.endswith("_json") else field.name.encode()
        value: Any = {"str": field.name, "bytes": octets, "bool": True}.get(_kind(field), 7)
        if field.is_repeated:
            getattr(message, field.name).append(value)
        else:
            setattr(message, field.name, value)


def _kind(field: Any) -> str:
    kinds = {field.CPPTYPE_STRING: "bytes" if field.type == field.TYPE_BYTES else "str", field.CPPTYPE_BOOL: "bool"}
    return kinds.get(field.cpp_type, "number")


def request_of(name: HookName) -> Message:
    """Return a request of a hook with every field set."""
    request = codec_of(name).request_class()
    fill(request)
    return request


async def dispatch(
    name: HookName,
    function: Callable[..., object] | None,
    *,
    request: Message | CallFault | None = None,
    on_failure: FailurePolicy | None = None,
    timeout_s: float = 30.0,
    deadline: float | None = None,
    text: str = "",
) -> Any:
    """Dispatch one call of a hook to a function, with a filled request unless another is given."""
    row = HOOK_TABLE[name]
    handlers = [] if function is None else [Handler(row, function, on_failure or row.default_policy)]
    dispatcher = HookDispatcher(handlers, timeout_s=timeout_s, threads=HookThreads(2))
    call = HookCall(
        name=str(name), request=request_of(name) if request is None else request, deadline=deadline, text=text
    )
    return await dispatcher.dispatch(call)


async def outcome(name: HookName, function: Callable[..., object] | None, **options: Any) -> Message | CallFailure:
    """Dispatch one call and return its response, or the failure in its place."""
    try:
        response: Message = await dispatch(name, function, **options)
    except CallFailure as failure:
        return failure
    return response


def host_reads(row: HookRow, answer: Message | CallFailure) -> str:
    """Read an answer as the Go host does: ``refused``, ``dismissed``, ``changed`` or ``let pass``."""
    if isinstance(answer, CallFailure):
        return "let pass" if row.refusal in {Refusal.NONE, Refusal.REASON} else "refused"
    set_fields = {field.name for field, _ in answer.ListFields()}
    if row.refusal is Refusal.UNHEALTHY:
        return "let pass" if "healthy" in set_fields else "refused"
    if row.refusal is not Refusal.NONE and row.refusal.value in set_fields:
        reason = getattr(answer, row.refusal.value)
        return "dismissed" if reason == "plugin.message_will_be_posted.dismiss_post" else "refused"
    return "changed" if set_fields - {"response"} else "let pass"
