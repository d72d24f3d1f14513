"""The key-value store as a plugin sees it: its own keys only, checked as the server checks them."""

from __future__ import annotations

from mm_plugin import limits
from mm_plugin.devserver.api_base import APIBase, paging
from mm_plugin.devserver.errors import invalid
from mm_plugin.messages.plugins import PluginKVSetOptions

__all__ = ("KVHandler",)

_KEY_CHARACTERS = 50


class KVHandler(APIBase):
    """Keys and values."""

    async def kv_set(self, key: str, value: bytes) -> None:
        """Keep a value; an empty one deletes the key."""
        await self._store.key_values.set(self._plugin_id, _checked(key), value)

    async def kv_set_with_expiry(self, key: str, value: bytes, expire_in_seconds: int) -> None:
        """Keep a value for some seconds; 0 for good."""
        await self._store.key_values.set(self._plugin_id, _checked(key), value, expire_in_s=expire_in_seconds)

    async def kv_set_with_options(self, key: str, value: bytes, *, options: PluginKVSetOptions | None = None) -> bool:
        """Keep a value, where asked only if the key still holds the old one."""
        options = options or PluginKVSetOptions()
        if options.old_value and not options.atomic:
            raise invalid(
                "model.plugin_kvset_options.is_valid.old_value.app_error",
                "old_value is for atomic sets only.",
                "KVSetWithOptions",
            )
        if options.atomic:
            return await self._store.key_values.compare_and_set(
                self._plugin_id, _checked(key), options.old_value, value, expire_in_s=options.expire_in_seconds
            )
        await self.kv_set_with_expiry(key, value, options.expire_in_seconds)
        return True

    async def kv_compare_and_set(self, key: str, old_value: bytes, new_value: bytes) -> bool:
        """Keep a value if the key still holds the old one; an empty old value means: if there is no key."""
        return await self._store.key_values.compare_and_set(self._plugin_id, _checked(key), old_value, new_value)

    async def kv_compare_and_delete(self, key: str, old_value: bytes) -> bool:
        """Delete a key if it still holds the old value."""
        return await self._store.key_values.compare_and_set(self._plugin_id, _checked(key), old_value, b"")

    async def kv_get(self, key: str) -> bytes:
        """Return a value; empty where there is none."""
        return await self._store.key_values.get(self._plugin_id, key)

    async def kv_delete(self, key: str) -> None:
        """Delete a key; one that does not exist is no error."""
        await self._store.key_values.set(self._plugin_id, _checked(key), b"")

    async def kv_delete_all(self) -> None:
        """Delete all keys of the plugin."""
        await self._store.key_values.delete_all(self._plugin_id)

    async def kv_list(self, *, page: int = 0, per_page: int = 100) -> list[str]:
        """Return the plugin's keys in alphabetical order."""
        return await self._store.key_values.keys(
            self._plugin_id, **paging(page, per_page, most=limits.devserver_page_keys)
        )


def _checked(key: str) -> str:
    if not 0 < len(key) <= _KEY_CHARACTERS:
        raise invalid(
            "model.plugin_key_value.is_valid.key.app_error",
            f"A key has 1 to {_KEY_CHARACTERS} characters, this one has {len(key)}.",
            "PluginKeyValue.IsValid",
        )
    return key
