"""Keep passwords as salted hashes."""

from __future__ import annotations

import hashlib
import hmac
import secrets

__all__ = ("hash_password", "password_matches")

# A server for one developer's machine: enough that a state file holds no passwords, quick enough for tests.
_ROUNDS = 10_000


def hash_password(password: str) -> str:
    """Return what is kept of a password."""
    salt = secrets.token_hex(16)
    return f"{salt}${_digest(password, salt)}"


def password_matches(password: str, kept: str) -> bool:
    """Tell whether a password is the one that was kept; "" was never a password."""
    salt, _, digest = kept.partition("$")
    return bool(digest) and hmac.compare_digest(digest, _digest(password, salt))


def _digest(password: str, salt: str) -> str:
    return hashlib.pbkdf2_hmac("sha256", password.encode(), salt.encode(), _ROUNDS).hex()
