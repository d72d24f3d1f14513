"""The categories of users' sidebars as plugins see them.

The first look at a sidebar makes the three categories that everybody has: favorites, channels, direct messages.
A channel that stands in no category belongs to ``channels`` or ``direct_messages``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mm_plugin.devserver.api_base import APIBase, needed
from mm_plugin.devserver.errors import invalid
from mm_plugin.messages.channels import (
    Channel,
    ChannelType,
    OrderedSidebarCategories,
    SidebarCategoryWithChannels,
)
from mm_plugin.messages.helpers import new_id
from mm_plugin.types import JSONValue

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ("SidebarHandler",)

_BORN = (("favorites", "Favorites"), ("channels", "Channels"), ("direct_messages", "Direct Messages"))
_PERSONAL = {ChannelType.CHANNEL_TYPE_DIRECT, ChannelType.CHANNEL_TYPE_GROUP}
_OF_USER = "id IN (SELECT channel_id FROM channel_members WHERE user_id = ?) AND team_id IN ('', ?) AND delete_at = 0"


class SidebarHandler(APIBase):
    """Sidebars."""

    async def get_channel_sidebar_categories(self, user_id: str, team_id: str) -> OrderedSidebarCategories:
        """Return a user's categories in a team, with all channels that the user has there."""
        categories = {category.id: category for category in await self._categories(user_id, team_id)}
        order = [category_id for category_id in await self._order(user_id, team_id) if category_id in categories]
        placed = {channel_id for category in categories.values() for channel_id in category.channel_ids}
        channels = await self._store.channels.find(_OF_USER, user_id, team_id, order="name")
        for category in categories.values():
            category.channel_ids.extend(
                channel.id for channel in channels if channel.id not in placed and category.type == _home_of(channel)
            )
        return OrderedSidebarCategories(categories=[categories[category_id] for category_id in order], order=order)

    async def create_channel_sidebar_category(
        self, user_id: str, team_id: str, new_category: SidebarCategoryWithChannels | None
    ) -> SidebarCategoryWithChannels:
        """Add a category below the favorites; its channels leave the categories that they were in."""
        draft = needed(new_category, "new_category")
        if draft.type not in {"", "custom"} or not draft.display_name:
            raise _unfit("A new category has a display_name and the type custom.")
        new = SidebarCategoryWithChannels()
        new.CopyFrom(draft)
        new.id, new.type, new.user_id, new.team_id = new_id(), "custom", user_id, team_id
        async with self._store.turn:
            existing = await self._categories(user_id, team_id)
            await self._check_channels(user_id, team_id, new.channel_ids)
            await self._take_channels(existing, new)
            await self._store.sidebar.insert(new)
            order = await self._order(user_id, team_id)
            await self._store.put_document(_order_name(user_id, team_id), {"order": [*order[:1], new.id, *order[1:]]})
        return new

    async def update_channel_sidebar_categories(
        self, user_id: str, team_id: str, categories: list[SidebarCategoryWithChannels]
    ) -> list[SidebarCategoryWithChannels]:
        """Replace categories; those that everybody has keep their name and type."""
        async with self._store.turn:
            known = {category.id: category for category in await self._categories(user_id, team_id)}
            for category in categories:
                if category.id not in known:
                    raise _unfit(f"The category {category.id!r} is none of this sidebar.")
                await self._check_channels(user_id, team_id, category.channel_ids)
            for category in categories:
                old = known[category.id]
                category.user_id, category.team_id, category.type = user_id, team_id, old.type
                if old.type != "custom":
                    category.display_name = old.display_name
                await self._take_channels(await self._categories(user_id, team_id), category)
                await self._store.sidebar.put(category)
        return categories

    async def _categories(self, user_id: str, team_id: str) -> list[SidebarCategoryWithChannels]:
        await self._app.accounts.get(user_id)
        where = "user_id = ? AND team_id = ?"
        if not await self._store.sidebar.count(where, user_id, team_id):
            # Of several first looks at once, the one whose order is kept says which ids the categories have.
            born = [new_id() for _ in _BORN]
            await self._store.first_document(_order_name(user_id, team_id), {"order": list[JSONValue](born)})
            for category_id, (kind, name) in zip(await self._order(user_id, team_id), _BORN, strict=False):
                await self._store.sidebar.insert(
                    SidebarCategoryWithChannels(
                        id=category_id, user_id=user_id, team_id=team_id, type=kind, display_name=name
                    )
                )
        return await self._store.sidebar.find(where, user_id, team_id)

    async def _order(self, user_id: str, team_id: str) -> list[str]:
        kept = (await self._store.get_document(_order_name(user_id, team_id)) or {}).get("order")
        return [str(category_id) for category_id in kept] if isinstance(kept, list) else []

    async def _take_channels(
        self, others: list[SidebarCategoryWithChannels], taker: SidebarCategoryWithChannels
    ) -> None:
        """Remove a category's channels from the others: a channel stands in one place."""
        taken = set(taker.channel_ids)
        for category in others:
            if category.id != taker.id and taken & set(category.channel_ids):
                left = [channel_id for channel_id in category.channel_ids if channel_id not in taken]
                category.channel_ids[:] = left
                await self._store.sidebar.put(category)

    async def _check_channels(self, user_id: str, team_id: str, channel_ids: Sequence[str]) -> None:
        for channel_id in channel_ids:
            channel = await self._store.channels.get(channel_id)
            is_member = await self._store.channel_members.get(channel_id, user_id) is not None
            if channel is None or channel.team_id not in {"", team_id} or not is_member:
                raise _unfit(f"The user is in no channel {channel_id!r} of this team.")


def _order_name(user_id: str, team_id: str) -> str:
    return f"sidebar/{user_id}/{team_id}"


def _home_of(channel: Channel) -> str:
    return "direct_messages" if channel.type in _PERSONAL else "channels"


def _unfit(text: str) -> Exception:
    return invalid("api.invalid_channel", text, "SidebarCategory")
