"""The magic cookie: was this process started by a plugin host, or by hand? Internal.

Layer:  transport/goplugin.
See:    hashicorp/go-plugin: server.go, ``Serve``. The cookie is no secret and protects nothing.
"""

from __future__ import annotations

from collections.abc import Mapping

from mm_plugin.exceptions import ConfigurationError, NotMagicCookieError

__all__ = ("check_cookie",)


def check_cookie(environ: Mapping[str, str], *, key: str, value: str) -> None:
    """Check that the host left its cookie in the environment.

    Args:
        environ: Usually ``os.environ``.
        key: The variable that both sides agreed on.
        value: What it must hold.

    Raises:
        NotMagicCookieError: It is missing or different; the text is for whoever ran the file by hand.
        ConfigurationError: ``key`` or ``value`` is empty, which is a mistake in the program.
    """
    if not key or not value:
        raise ConfigurationError("the magic cookie's key and value must not be empty: without them any start would do")
    found = environ.get(key, "")
    if found and found != value:
        raise NotMagicCookieError(
            f"Wrong cookie: the environment variable {key} holds {found[:80]!r}, but a host of such plugins sets it to "
            f"{value!r}."
        )
    if not found:
        raise NotMagicCookieError(
            "This program is a plugin: a server starts it and talks to it, it does nothing when run by hand. "
            "Install it in the server that it was made for, or run it under a development host."
        )
