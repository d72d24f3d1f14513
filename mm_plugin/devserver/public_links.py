"""Links by which anybody can fetch a file: made from a secret of the state, and recognised by it.

Layer:  devserver, over the store.
"""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING

from mm_plugin.messages.helpers import new_id

if TYPE_CHECKING:
    from mm_plugin.devserver.store import Store

__all__ = ("is_public_link", "public_link")

_DOCUMENT = "public-links"


async def public_link(store: Store, file_id: str) -> str:
    """Return the path and query of a file's link."""
    return f"/files/{file_id}/public?h={await _hash_of(store, file_id)}"


async def is_public_link(store: Store, file_id: str, given_hash: str) -> bool:
    """Tell whether a link to a file was made by this server."""
    return hmac.compare_digest((await _hash_of(store, file_id)).encode(), given_hash.encode())


async def _hash_of(store: Store, file_id: str) -> str:
    kept = await store.first_document(_DOCUMENT, {"salt": new_id()})
    return hmac.new(str(kept["salt"]).encode(), file_id.encode(), "sha256").hexdigest()
