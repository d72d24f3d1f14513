"""Which version of an application's protocol a plugin and its host speak. Internal.

Layer:  transport/goplugin.
See:    hashicorp/go-plugin: server.go, ``protocolVersion``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

__all__ = ("PROTOCOL_VERSIONS", "negotiate_version")

#: Where the host lists the versions it knows, separated by commas.
PROTOCOL_VERSIONS = "PLUGIN_PROTOCOL_VERSIONS"


def negotiate_version(environ: Mapping[str, str], ours: Iterable[int]) -> int:
    """Return the highest version that both sides know, else our lowest; the host then reports the mismatch.

    What is no number in the host's list is passed over.

    Args:
        environ: Usually ``os.environ``.
        ours: The versions we know; at least one.
    """
    known = set(ours)
    theirs = {int(text) for text in environ.get(PROTOCOL_VERSIONS, "").split(",") if _is_number(text)}
    return max(known & theirs, default=min(known))


def _is_number(text: str) -> bool:
    text = text.strip()
    return text.isascii() and text.isdigit() and len(text) <= 9
