"""The failure policies: what the server is told when a handler cannot answer."""

from __future__ import annotations

from enum import StrEnum, unique

__all__ = ("FailurePolicy",)


@unique
class FailurePolicy(StrEnum):
    """What counts as a hook's answer when its handler crashed, ran out of time or returned a wrong result.

    The same policy answers a call that never reached the handler: a message over the limit, one that cannot be
    decoded, or one that arrives while the plugin stops. Which policies a hook can express stands in the hook table.

    Attributes:
        REJECT: Refuse what the server asked about: the login, the post, the file.
        ALLOW: Behave as if the plugin had no such hook.
        ERROR: Report an error to the server; on hooks with an error in their answer the same as REJECT.
    """

    REJECT = "reject"
    ALLOW = "allow"
    ERROR = "error"
