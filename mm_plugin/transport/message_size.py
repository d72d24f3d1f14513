"""Refuse a message of an API call that is over the limit, in words that every link shares. Internal.

Layer:  transport.
"""

from __future__ import annotations

from mm_plugin.exceptions import StatusCode
from mm_plugin.transport.link import CallFailure

__all__ = ("check_request_size", "check_response_size")


def check_request_size(method: str, octets: int, limit_octets: int) -> None:
    """Refuse a request before it is sent.

    Raises:
        CallFailure: It is over the limit; the text names both, and the setting.
    """
    _check(f"{method}: the request", octets, limit_octets, "nothing was sent")


def check_response_size(method: str, octets: int, limit_octets: int) -> None:
    """Refuse a response; arguments and errors as for requests."""
    _check(f"{method}: the response", octets, limit_octets, "the server may have carried the call out")


def _check(what: str, octets: int, limit_octets: int, effect: str) -> None:
    if octets > limit_octets:
        raise CallFailure(
            f"{what} has {octets} octets, more than message_limit_octets = {limit_octets}; {effect}",
            code=StatusCode.RESOURCE_EXHAUSTED,
        )
