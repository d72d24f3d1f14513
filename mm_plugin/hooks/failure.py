"""What the server is told when a handler cannot answer: the failure policy, put into a response or a status.

Job:    turn (hook, policy, cause) into the response that carries the decision; write the one log record.
Layer:  hooks.
Output: a response message with status OK, whatever the decision: the Go host drops the response of a call that ends
        otherwise, and lets the event pass.
Errors: CallFailure, where the call never reached its handler, the policy is ALLOW and the server takes a failed call
        for consent: its sender then learns that it was too large, undecodable or late.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING

from mm_plugin.exceptions import PluginAPIError, StatusCode
from mm_plugin.hooks.policy import FailurePolicy
from mm_plugin.hooks.request_context import log_fields
from mm_plugin.hooks.source_places import describe, from_author_on
from mm_plugin.hooks.table import HookRow, Refusal
from mm_plugin.transport.link import CallFailure, CallFault, FailureKind

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from mm_plugin.hooks.codec import HookCodec

__all__ = ("answer_failure", "failure_of", "log_failure")

logger = logging.getLogger("mm_plugin.hooks")

#: What users read; never more, whatever happened.
_REASON = "A plugin could not check this, so it was refused. Please try again later, or tell your administrator."
_ERROR = "The plugin could not complete this. Please try again later, or tell your administrator."

_FAULT_CODES: Mapping[CallFault, StatusCode] = {
    CallFault.TOO_LARGE: StatusCode.RESOURCE_EXHAUSTED,
    CallFault.UNDECODABLE: StatusCode.INTERNAL,
    CallFault.DRAINING: StatusCode.UNAVAILABLE,
    CallFault.OVERLOADED: StatusCode.RESOURCE_EXHAUSTED,
}


class _Unreached(CallFailure):
    """The failure of a call that never reaches its handler; a class of its own, since handlers may raise the other."""


def failure_of(fault: CallFault, text: str) -> CallFailure:
    """Return the failure of a call that never reaches its handler."""
    return _Unreached(text or fault.value, kind=FailureKind.REFUSED, code=_FAULT_CODES[fault])


def answer_failure(codec: HookCodec, policy: FailurePolicy, cause: Exception, *, request_id: str) -> Message:
    """Log a failure and return the response that the policy gives.

    A PluginAPIError is an answer of its own on hooks with an error: it becomes that error, whatever the policy.

    Args:
        codec: The hook's.
        policy: The handler's.
        cause: What happened; HookTimeoutError for a missed deadline, ``failure_of`` for a call that never reached it.
        request_id: The server's id of the request, "" where unknown.

    Raises:
        CallFailure: The call never reached its handler, the policy is ALLOW, and the server reads a failed call so.
    """
    row = codec.row
    if isinstance(cause, PluginAPIError) and row.refusal is Refusal.ERROR:
        try:
            response = codec.refuse_by(cause)
        except (TypeError, ValueError):
            pass  # it holds what no AppError can say: a failure like any other
        else:
            logger.warning(
                "hook %s answers with an error: %s", row.name, cause, exc_info=cause, extra=_extra(row, request_id)
            )
            return response
    if isinstance(cause, _Unreached):  # all there is to say; a traceback would cost a flood of such calls our time
        text = "hook %s did not reach its handler, its policy %s answers: %s"
        logger.error(text, row.name, policy.name, _describe(cause), extra=_extra(row, request_id))
    else:
        log_failure(f"hook {row.name} failed, its policy {policy.name} answers", cause, _extra(row, request_id))
    if policy is not FailurePolicy.ALLOW:
        if row.tells_cause:
            return codec.refuse(_describe(cause))
        return codec.refuse(_REASON if row.refusal is Refusal.REASON else _ERROR)
    if row.allows_by_failing and isinstance(cause, _Unreached):
        # The handler never saw the call; the caller learns why, and lets things pass (design, decision 5).
        raise CallFailure(f"{row.name}: the plugin could not answer", code=cause.code) from cause
    return codec.absent()


def log_failure(what: str, cause: BaseException, fields: Mapping[str, str]) -> None:
    """Log an ERROR record: what failed, the cause's type and the author's line, with the traceback from there on.

    The cause's text stands in the traceback alone: nobody can tell what secrets an author's error quotes.
    """
    traceback = (type(cause), cause, from_author_on(cause))
    logger.error("%s: %s", what, describe(cause), exc_info=traceback, extra=dict(fields))


def _extra(row: HookRow, request_id: str) -> dict[str, str]:
    """Return the fields of a log record; what is not known is left out."""
    request_id = request_id or log_fields().get("request_id", "")
    return {"hook": str(row.name), **({"request_id": request_id} if request_id else {})}


def _describe(cause: Exception) -> str:
    """Return a cause in one line, for operators."""
    try:
        text = " ".join(str(cause).split())
    except Exception:  # noqa: BLE001 - an author's exception may not even say what it is
        text = ""
    return f"{type(cause).__name__}: {text}" if text else type(cause).__name__
