"""How a gRPC call fails, on both sides of it. Internal."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, cast

from mm_plugin.exceptions import MMPluginError, StatusCode
from mm_plugin.transport.link import FailureKind

if TYPE_CHECKING:
    from grpclib.exceptions import GRPCError

    from mm_plugin.wire.grpc import Metadata

__all__ = ("GRPCStatusError", "status_error_of")


class GRPCStatusError(MMPluginError):
    """A call ends with a status other than OK: raised by a handler to say so, and by a channel that was told so.

    Attributes:
        code: The status.
        text: The status message.
        kind: At a channel, what became of the call; decides whether it may be tried again.
        metadata: Trailing metadata.
    """

    docs_code = "MMP221"

    def __init__(
        self,
        code: StatusCode,
        text: str = "",
        *,
        kind: FailureKind = FailureKind.STATUS,
        metadata: Metadata = (),
    ) -> None:
        super().__init__(code, text)
        self.code = code
        self.text = text
        self.kind = kind
        self.metadata = metadata

    @property
    def not_processed(self) -> bool:
        """Whether the peer has certainly not carried the call out, so that it may be tried again."""
        return self.kind in {FailureKind.UNREACHABLE, FailureKind.REFUSED}

    def __str__(self) -> str:
        return f"{self.code.name}: {self.text}" if self.text else self.code.name


def status_error_of(error: Exception) -> GRPCStatusError | None:
    """Return the status that a handler's exception stands for; None where the exception is a fault of the handler.

    grpclib's ``GRPCError`` counts where grpclib has been loaded by somebody else.
    """
    if isinstance(error, GRPCStatusError):
        return error
    grpclib = sys.modules.get("grpclib.exceptions")
    if grpclib is not None and isinstance(error, grpclib.GRPCError):
        theirs = cast("GRPCError", error)
        return GRPCStatusError(StatusCode(theirs.status.value), theirs.message or "")
    return None
