"""Values of properties as plugins see them.

A field has one value for each target: creating a second is an error, upserting replaces it.
"""

from __future__ import annotations

from mm_plugin import limits
from mm_plugin.devserver.api_base import needed, paging
from mm_plugin.devserver.api_property_fields import PropertyFieldsHandler
from mm_plugin.devserver.errors import invalid, missing
from mm_plugin.messages.helpers import new_id, now_ms
from mm_plugin.messages.properties import PropertyValue, PropertyValueSearchOpts

__all__ = ("PropertyValuesHandler",)

_SAME_PLACE = "field_id = ? AND target_type = ? AND target_id = ? AND delete_at = 0"
_MATCHING = "group_id = ? AND ? IN ('', target_type) AND ? IN ('', target_id) AND ? IN ('', field_id)"
_PER_PAGE = 60


class PropertyValuesHandler(PropertyFieldsHandler):
    """Values."""

    async def create_property_value(self, value: PropertyValue | None) -> PropertyValue:
        """Store a value where its field has none for the target yet."""
        wanted = needed(value, "value")
        async with self._store.turn:
            await self._check_value(wanted)
            if await self._same_place(wanted) is not None:
                text = "The field has a value for that target already; use upsert_property_value to replace it."
                raise invalid("app.property_value.create.conflict.app_error", text, "CreatePropertyValue")
            return await self._keep_value(wanted, None)

    async def get_property_value(self, group_id: str, value_id: str) -> PropertyValue:
        """Return a value of a group, a deleted one too."""
        value = await self._store.property_values.get(value_id)
        if value is None or value.group_id != group_id:
            raise missing("app.property_value.get.app_error", "The property value", "GetPropertyValue")
        return value

    async def get_property_values(self, group_id: str, ids: list[str]) -> list[PropertyValue]:
        """Return values of a group; all of them must be there."""
        return [await self.get_property_value(group_id, value_id) for value_id in ids]

    async def update_property_value(self, group_id: str, value: PropertyValue | None) -> PropertyValue:
        """Replace what a value says; field and target stay."""
        (updated,) = await self.update_property_values(group_id, [needed(value, "value")])
        return updated

    async def update_property_values(self, group_id: str, values: list[PropertyValue]) -> list[PropertyValue]:
        """Replace what values say; nothing changes where one of them is not there."""
        kept = await self.get_property_values(group_id, [value.id for value in values])
        for value in kept:
            if value.delete_at:
                raise missing("app.property_value.get.app_error", "The property value", "UpdatePropertyValue")
        for old, value in zip(kept, values, strict=True):
            old.value.CopyFrom(value.value)
            old.update_at = now_ms()
            await self._store.property_values.put(old)
        return kept

    async def upsert_property_value(self, value: PropertyValue | None) -> PropertyValue:
        """Store a value, in place of the one that its field has for the target."""
        (stored,) = await self.upsert_property_values([needed(value, "value")])
        return stored

    async def upsert_property_values(self, values: list[PropertyValue]) -> list[PropertyValue]:
        """Store values, in place of those that their fields have for the targets; all of them or none."""
        async with self._store.turn:
            for value in values:
                await self._check_value(value)
            return [await self._keep_value(value, await self._same_place(value)) for value in values]

    async def delete_property_value(self, group_id: str, value_id: str) -> None:
        """Delete a value."""
        value = await self.get_property_value(group_id, value_id)
        if value.delete_at:
            raise missing("app.property_value.get.app_error", "The property value", "DeletePropertyValue")
        await self._delete_values("id = ?", value_id)

    async def delete_property_values_for_target(self, group_id: str, target_type: str, target_id: str) -> None:
        """Delete all values of a target in a group; none is no error."""
        where = "group_id = ? AND target_type = ? AND target_id = ?"
        await self._delete_values(where, group_id, target_type, target_id)

    async def delete_property_values_for_field(self, group_id: str, field_id: str) -> None:
        """Delete all values of a field in a group; none is no error."""
        await self._delete_values("group_id = ? AND field_id = ?", group_id, field_id)

    async def search_property_values(
        self, group_id: str, *, opts: PropertyValueSearchOpts | None = None
    ) -> list[PropertyValue]:
        """Return a page of a group's values, in the order in which they were made."""
        wanted = opts or PropertyValueSearchOpts()
        where = _MATCHING + ("" if wanted.include_deleted else " AND delete_at = 0")
        values = (group_id, wanted.target_type, wanted.target_id, wanted.field_id)
        window = paging(wanted.page, wanted.per_page or _PER_PAGE, most=limits.devserver_page_entries)
        return await self._store.property_values.find(where, *values, order="rowid", **window)

    async def _check_value(self, value: PropertyValue) -> None:
        if not value.target_id or not value.target_type:
            text = "A property value has target_id and target_type."
            raise invalid("model.property_value.is_valid.app_error", text, "PropertyValue.IsValid")
        field = await self.get_property_field(value.group_id, value.field_id)
        if field.delete_at:
            raise missing("app.property_field.get.app_error", "The value's property field", "CreatePropertyValue")

    async def _same_place(self, value: PropertyValue) -> PropertyValue | None:
        found = await self._store.property_values.find(_SAME_PLACE, value.field_id, value.target_type, value.target_id)
        return found[0] if found else None

    async def _keep_value(self, value: PropertyValue, old: PropertyValue | None) -> PropertyValue:
        new = PropertyValue()
        new.CopyFrom(value)
        new.update_at = now_ms()
        new.id, new.create_at = (old.id, old.create_at) if old else (new_id(), new.update_at)
        new.delete_at = 0
        await self._store.property_values.put(new)
        return new
