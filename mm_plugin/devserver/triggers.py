"""Trigger ids: by them a plugin may open a dialog for the user who has just done something.

Job:    make ids that say who and when, and that nobody else can make.
Layer:  devserver. Pure but for the clock; the secret lives as long as the process, much longer than any id.
Errors: ValidationError for an id that is malformed, not ours, or too old.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import secrets

from mm_plugin import limits
from mm_plugin.devserver.errors import invalid
from mm_plugin.messages.helpers import new_id, now_ms

__all__ = ("new_trigger_id", "user_of_trigger")

_SECRET = secrets.token_bytes(32)


def new_trigger_id(user_id: str) -> str:
    """Return an id that opens a dialog for a user during the next ``limits.devserver_trigger_ms``."""
    text = f"{new_id()}:{user_id}:{now_ms()}"
    return base64.b64encode(f"{text}:{_sign(text)}".encode()).decode()


def user_of_trigger(trigger_id: str) -> str:
    """Return the user for whom an id opens a dialog.

    Raises:
        ValidationError: It is none, or too old.
    """
    try:
        text, _, signature = base64.b64decode(trigger_id, validate=True).decode().rpartition(":")
        _, user_id, time_ms = text.split(":")
    except (binascii.Error, ValueError):
        raise _bad("base64_decode_failed", "The trigger id is malformed.") from None
    if not hmac.compare_digest(signature.encode(), _sign(text).encode()):
        raise _bad("verify_signature_failed", "The trigger id is none of this server.")
    age_ms = now_ms() - int(time_ms)
    if age_ms > limits.devserver_trigger_ms:
        raise _bad(
            "expired", f"The trigger id is {age_ms} ms old; it opens a dialog for {limits.devserver_trigger_ms}."
        )
    return user_id


def _sign(text: str) -> str:
    return hmac.new(_SECRET, text.encode(), "sha256").hexdigest()


def _bad(kind: str, text: str) -> Exception:
    return invalid(f"interactive_message.decode_trigger_id.{kind}", text, "OpenInteractiveDialog")
