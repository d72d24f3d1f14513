"""Custom emoji as plugins and the REST door see them; only people make and delete them, by REST."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mm_plugin.devserver.api_base import APIBase, paging
from mm_plugin.devserver.config import check_enabled
from mm_plugin.devserver.errors import invalid, missing
from mm_plugin.devserver.pictures import check_picture, format_of
from mm_plugin.messages.emoji import Emoji
from mm_plugin.messages.helpers import new_id, now_ms

if TYPE_CHECKING:
    from mm_plugin.devserver.store import Store

__all__ = ("EmojiHandler", "create_emoji", "delete_emoji")

_NAME = re.compile(r"[a-z0-9_+-]{1,64}")


class EmojiHandler(APIBase):
    """Custom emoji."""

    async def get_emoji_list(self, sort_by: str = "", *, page: int = 0, per_page: int = 60) -> list[Emoji]:
        """Return the emoji, by name or as they were made."""
        await _check_enabled(self._store, "GetEmojiList")
        return await self._store.emoji.find(order="name" if sort_by == "name" else "rowid", **paging(page, per_page))

    async def get_emoji(self, emoji_id: str) -> Emoji:
        """Return an emoji."""
        await _check_enabled(self._store, "GetEmoji")
        emoji = await self._store.emoji.get(emoji_id)
        if emoji is None:
            raise _no_emoji("GetEmoji")
        return emoji

    async def get_emoji_by_name(self, name: str) -> Emoji:
        """Return an emoji by its name, without colons."""
        await _check_enabled(self._store, "GetEmojiByName")
        found = await self._store.emoji.find("name = ?", name)
        if not found:
            raise _no_emoji("GetEmojiByName")
        return found[0]

    async def get_emoji_image(self, emoji_id: str) -> tuple[bytes, str]:
        """Return an emoji's picture and its format."""
        await self.get_emoji(emoji_id)
        image = await self._store.get_blob(_image_name(emoji_id)) or b""
        return image, format_of(image)


async def create_emoji(store: Store, creator_id: str, name: str, image: bytes) -> Emoji:
    """Add an emoji, as people do.

    Raises:
        ValidationError: The name is malformed or taken, or the picture is none.
        TooLargeError: The picture is too large.
        PluginAPIError: Custom emoji are switched off.
    """
    await _check_enabled(store, "CreateEmoji")
    if not _NAME.fullmatch(name):
        text = "An emoji's name has 1 to 64 of the characters a-z 0-9 + - _ ."
        raise invalid("model.emoji.name.app_error", text, "Emoji.IsValid")
    check_picture(image, "CreateEmoji")
    new = Emoji(id=new_id(), creator_id=creator_id, name=name, create_at=now_ms())
    new.update_at = new.create_at
    if not await store.emoji.insert(new):
        raise invalid("api.emoji.create.duplicate.app_error", f"There is an emoji {name} already.", "CreateEmoji")
    await store.put_blob(_image_name(new.id), image)
    return new


async def delete_emoji(store: Store, emoji_id: str) -> None:
    """Delete an emoji and its picture, as people do; one that is not there is no error."""
    await store.emoji.delete("id = ?", emoji_id)
    await store.delete_blob(_image_name(emoji_id))


async def _check_enabled(store: Store, where: str) -> None:
    await check_enabled(store, "ServiceSettings", "EnableCustomEmoji", "api.emoji.disabled.app_error", where)


def _image_name(emoji_id: str) -> str:
    return f"emoji/{emoji_id}"


def _no_emoji(where: str) -> Exception:
    return missing("app.emoji.get.no_result", "The emoji", where)
