"""KVStore: typed values under keys with a common beginning, in the plugin's key-value store.

Layer:  api, beside the client.
Errors: those of the client; ValueError for a key the server would refuse; KVValueError and KVConflictError.
See:    docs/how-to/kv.md
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import TYPE_CHECKING, Generic, TypeVar

import anyio

from mm_plugin import limits
from mm_plugin.api.kv_codecs import Codec
from mm_plugin.api.paging import Paged
from mm_plugin.exceptions import KVConflictError, KVValueError

if TYPE_CHECKING:
    from mm_plugin.api.client import PluginAPIClient

__all__ = ("KVStore", "check_key")

_Value = TypeVar("_Value")


def _checked_expiry(expires_in_s: int) -> int:
    if isinstance(expires_in_s, bool) or not isinstance(expires_in_s, int):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeError(f"expires_in_s must be a whole number of seconds, not {type(expires_in_s).__name__}")
    if expires_in_s < 0:
        raise ValueError(f"expires_in_s must be 0, for never, or above, not {expires_in_s}")
    return expires_in_s


def check_key(key: str) -> str:
    """Return a key of the key-value store, if it is one.

    Raises:
        ValueError: It is empty or longer than 50 characters.
    """
    if not 1 <= len(key) <= limits.kv_key_characters:
        raise ValueError(f"a key has 1 to {limits.kv_key_characters} characters, not {len(key)}: {key!r}")
    return key


class KVStore(Generic[_Value]):
    """Values of one type in the plugin's key-value store.

    ::

        topics = KVStore(api, TEXT, prefix="topic:")
        await topics.update(channel_id, lambda topic: (topic or "") + "!")

    Several nodes and tasks may use the same keys: ``update`` and ``add`` never overwrite what they have not seen.

    Args:
        api: The client.
        codec: How values become bytes: JSON, TEXT, INT, ``DataclassCodec(cls)``, or one of your own.
        prefix: What all keys of this store begin with; it counts for their length, and is not part of the keys below.

    Raises:
        ValueError: The prefix leaves no room for a key.
    """

    def __init__(self, api: PluginAPIClient, codec: Codec[_Value], *, prefix: str = "") -> None:
        if len(prefix) >= limits.kv_key_characters:
            raise ValueError(
                f"the prefix {prefix!r} leaves no room for a key: both together have up to "
                f"{limits.kv_key_characters} characters"
            )
        self._api = api
        self._codec = codec
        self._prefix = prefix

    async def get(self, key: str) -> _Value | None:
        """Return the value of a key; None where there is none.

        Raises:
            KVValueError: The key holds something else.
        """
        full = check_key(self._prefix + key)
        return self._decode(full, await self._api.kv_get(full))

    async def set(self, key: str, value: _Value, *, expires_in_s: int = 0) -> None:
        """Store a value whatever the key holds.

        Args:
            key: The key.
            value: The value.
            expires_in_s: Whole seconds until it is gone; 0 for never.

        Raises:
            TypeError: ``expires_in_s`` is no int.
            ValueError: It is negative; nothing was sent.
        """
        full = check_key(self._prefix + key)
        await self._api.kv_set_with_expiry(full, self._encode(full, value), _checked_expiry(expires_in_s))

    async def add(self, key: str, value: _Value, *, expires_in_s: int = 0) -> bool:
        """Store a value only where the key holds none, and tell whether it was stored."""
        full = check_key(self._prefix + key)
        return await self._replace(full, b"", self._encode(full, value), _checked_expiry(expires_in_s))

    async def delete(self, key: str) -> None:
        """Delete a key; one that is not there is no error."""
        await self._api.kv_delete(check_key(self._prefix + key))

    async def update(
        self, key: str, change: Callable[[_Value | None], _Value | None], *, expires_in_s: int = 0
    ) -> _Value | None:
        """Replace a value by what a function makes of it, and return that.

        Where somebody else stores the key meanwhile, the function is called again with the new value: it should do
        nothing but compute. Cancellation, and an error other than a conflict, may come after the value was stored.

        Args:
            key: The key.
            change: Takes the value, None where there is none; returns the new one, None to delete the key.
            expires_in_s: Whole seconds until the new value is gone; 0 for never.

        Raises:
            KVConflictError: Others were faster ``limits.kv_update_attempts`` times; nothing was stored.
            KVValueError: The key holds something else.
        """
        full = check_key(self._prefix + key)
        _checked_expiry(expires_in_s)
        pause_s = limits.kv_update_backoff_s
        for _ in range(limits.kv_update_attempts):
            old = await self._api.kv_get(full)
            value = change(self._decode(full, old))
            new = b"" if value is None else self._encode(full, value)
            unchanged = new == old and not (new and expires_in_s)
            if unchanged or await self._replace(full, old, new, expires_in_s):
                return value
            await anyio.sleep(pause_s * random.random())  # noqa: S311 - no secret
            pause_s = min(2 * pause_s, limits.kv_update_backoff_max_s)
        raise KVConflictError(f"key {full!r} changed {limits.kv_update_attempts} times while it was to be updated")

    async def increment(self: KVStore[int], key: str, by: int = 1, *, expires_in_s: int = 0) -> int:
        """Add to a number, and return the sum; a key that is not there counts as 0. For stores with the codec INT.

        No increment of another task or node is lost, as with ``update``, whose errors these are.

        Args:
            key: The key.
            by: What to add; may be negative.
            expires_in_s: Whole seconds until the number is gone, counted anew; 0 for never.
        """
        sum_ = await self.update(key, lambda number: (number or 0) + by, expires_in_s=expires_in_s)
        assert sum_ is not None
        return sum_

    async def keys(self, prefix: str = "") -> list[str]:
        """List the keys that begin so, sorted; the server is asked for all keys of the plugin, page by page."""
        beginning = self._prefix + prefix
        found = {key async for key in Paged(self._api.kv_list) if key.startswith(beginning)}
        return sorted(key.removeprefix(self._prefix) for key in found)

    async def _replace(self, key: str, old: bytes, new: bytes, expires_in_s: int) -> bool:
        if not new:
            return await self._api.kv_compare_and_delete(key, old)
        if not expires_in_s:
            return await self._api.kv_compare_and_set(key, old, new)
        from mm_plugin._proto.plugin_pb2 import PluginKVSetOptions

        options = PluginKVSetOptions(atomic=True, old_value=old, expire_in_seconds=expires_in_s)
        return await self._api.kv_set_with_options(key, new, options=options)

    def _encode(self, key: str, value: _Value) -> bytes:
        octets = self._codec.encode(value)
        if not octets:
            raise ValueError(f"the value for key {key!r} is empty, which would delete the key; call delete instead")
        return octets

    def _decode(self, key: str, octets: bytes) -> _Value | None:
        if not octets:
            return None
        try:
            return self._codec.decode(octets)
        except (TypeError, ValueError) as error:
            raise KVValueError(f"key {key!r} holds something else: {error}") from error
