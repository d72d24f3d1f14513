"""gRPC statuses to and from the link's neutral failure. Internal."""

from __future__ import annotations

from mm_plugin.exceptions import StatusCode
from mm_plugin.transport.grpc.errors import GRPCStatusError
from mm_plugin.transport.link import CallFailure, FailureKind
from mm_plugin.wire.error_text import join_error_text, split_error_text

__all__ = ("failure_of", "status_of")


def failure_of(error: GRPCStatusError) -> CallFailure:
    """Return what a call's status means above the link; a status text ``id: text`` is split."""
    kind = error.kind
    if kind is FailureKind.STATUS and error.code is StatusCode.DEADLINE_EXCEEDED:
        kind = FailureKind.DEADLINE
    id_, text = split_error_text(error.text) if kind is FailureKind.STATUS else ("", error.text)
    return CallFailure(text, kind=kind, code=error.code, id=id_)


def status_of(failure: CallFailure) -> GRPCStatusError:
    """Return the status that tells the caller of a failure."""
    return GRPCStatusError(failure.code, join_error_text(failure.id, failure.text))
