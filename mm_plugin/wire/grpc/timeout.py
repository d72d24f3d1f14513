"""The ``grpc-timeout`` field: seconds to its text, and back. Internal.

Layer:  wire (sans-IO).
Errors: RemoteProtocolError for a text that is none; a server answers it with INTERNAL or HTTP 400.
See:    grpc/grpc: doc/PROTOCOL-HTTP2.md, "Timeout".
"""

from __future__ import annotations

import math

from mm_plugin.exceptions import RemoteProtocolError

__all__ = ("format_timeout", "parse_timeout")

#: Units of the specification, the finest first: this many (first number) are so many seconds (second number).
_UNITS = (
    (b"n", 1_000_000_000, 1),
    (b"u", 1_000_000, 1),
    (b"m", 1_000, 1),
    (b"S", 1, 1),
    (b"M", 1, 60),
    (b"H", 1, 3_600),
)
_SECONDS = {unit: seconds / count for unit, count, seconds in _UNITS}
_LARGEST = 99_999_999  # eight digits


def parse_timeout(value: bytes) -> float:
    """Return the seconds that a ``grpc-timeout`` allows; 0.0 where the time is over already.

    Raises:
        RemoteProtocolError: It is not one to eight digits and one of the units H, M, S, m, u, n.
    """
    digits, unit = value[:-1], value[-1:]
    if not 1 <= len(digits) <= 8 or not digits.isdigit() or unit not in _SECONDS:
        raise RemoteProtocolError(f"grpc-timeout is {value[:32]!r}, not 1 to 8 digits and one of H, M, S, m, u, n")
    return int(digits) * _SECONDS[unit]


def format_timeout(seconds: float) -> bytes:
    """Return the ``grpc-timeout`` for a time that is left, in the finest unit that can say it, rounded up.

    Args:
        seconds: What is over already becomes ``0n``, what is too long the longest there is.

    Raises:
        ValueError: It is NaN.
    """
    if seconds <= 0:
        return b"0n"
    if seconds >= _LARGEST * 3_600:
        return b"%dH" % _LARGEST
    amounts = ((math.ceil(seconds * count / length_s), unit) for unit, count, length_s in _UNITS)
    return next(b"%d%b" % (amount, unit) for amount, unit in amounts if amount <= _LARGEST)
