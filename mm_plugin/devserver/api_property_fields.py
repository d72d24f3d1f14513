"""Groups and fields of properties as plugins see them.

A field's name is taken once for each target of a group; deleting a field deletes its values.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mm_plugin import limits
from mm_plugin.devserver.api_base import APIBase, needed, paging
from mm_plugin.devserver.errors import invalid, missing
from mm_plugin.messages.helpers import new_id, now_ms
from mm_plugin.messages.properties import PropertyField, PropertyFieldSearchOpts, PropertyGroup, PropertyValue

if TYPE_CHECKING:
    from mm_plugin.devserver.message_table import SQLValue

__all__ = ("PropertyFieldsHandler",)

_TYPES = ("text", "select", "multiselect", "date", "user", "multiuser")
_SAME_PLACE = "group_id = ? AND target_type = ? AND target_id = ? AND name = ? AND delete_at = 0 AND id <> ?"
_PER_PAGE = 60


class PropertyFieldsHandler(APIBase):
    """Groups and fields."""

    async def register_property_group(self, name: str) -> PropertyGroup:
        """Return the group of a name, made where there is none."""
        if not name:
            raise _unfit("A property group has a name.")
        await self._store.property_groups.insert(PropertyGroup(id=new_id(), name=name))
        return await self.get_property_group(name)

    async def get_property_group(self, name: str) -> PropertyGroup:
        """Return a group by its name."""
        found = await self._store.property_groups.find("name = ?", name)
        if not found:
            raise missing("app.property_group.get.app_error", f"The property group {name!r}", "GetPropertyGroup")
        return found[0]

    # -- fields -----------------------------------------------------------------------------------------------

    async def create_property_field(self, field: PropertyField | None) -> PropertyField:
        """Add a field."""
        new = PropertyField()
        new.CopyFrom(needed(field, "field"))
        new.id, new.delete_at = new_id(), 0
        new.create_at = new.update_at = now_ms()
        async with self._store.turn:
            await self._check_field(new)
            await self._store.property_fields.insert(new)
        return new

    async def get_property_field(self, group_id: str, field_id: str) -> PropertyField:
        """Return a field of a group, a deleted one too."""
        field = await self._store.property_fields.get(field_id)
        if field is None or field.group_id != group_id:
            raise missing("app.property_field.get.app_error", "The property field", "GetPropertyField")
        return field

    async def get_property_fields(self, group_id: str, ids: list[str]) -> list[PropertyField]:
        """Return fields of a group; all of them must be there."""
        return [await self.get_property_field(group_id, field_id) for field_id in ids]

    async def get_property_field_by_name(self, group_id: str, target_id: str, name: str) -> PropertyField:
        """Return a field of a group by its target and name."""
        where = "group_id = ? AND target_id = ? AND name = ? AND delete_at = 0"
        found = await self._store.property_fields.find(where, group_id, target_id, name)
        if not found:
            what = f"The property field {name!r}"
            raise missing("app.property_field.get_by_name.app_error", what, "GetPropertyFieldByName")
        return found[0]

    async def update_property_field(self, group_id: str, field: PropertyField | None) -> PropertyField:
        """Replace a field; its group and time of creation stay."""
        (updated,) = await self.update_property_fields(group_id, [needed(field, "field")])
        return updated

    async def update_property_fields(self, group_id: str, fields: list[PropertyField]) -> list[PropertyField]:
        """Replace fields; nothing changes where one of them is not there or not valid."""
        async with self._store.turn:
            updated = [await self._changed_field(group_id, field) for field in fields]
            for new in updated:
                await self._store.property_fields.put(new)
        return updated

    async def _changed_field(self, group_id: str, field: PropertyField) -> PropertyField:
        kept = await self.get_property_field(group_id, field.id)
        if kept.delete_at:
            raise missing("app.property_field.get.app_error", "The property field", "UpdatePropertyField")
        new = PropertyField()
        new.CopyFrom(field)
        new.group_id, new.create_at, new.delete_at = group_id, kept.create_at, 0
        new.update_at = now_ms()
        await self._check_field(new)
        return new

    async def delete_property_field(self, group_id: str, field_id: str) -> None:
        """Delete a field and its values; they stay for whoever asks for what is deleted."""
        field = await self.get_property_field(group_id, field_id)
        if field.delete_at:
            raise missing("app.property_field.get.app_error", "The property field", "DeletePropertyField")
        field.delete_at = field.update_at = now_ms()
        await self._store.property_fields.put(field)
        await self._delete_values("field_id = ?", field_id)

    async def search_property_fields(
        self, group_id: str, *, opts: PropertyFieldSearchOpts | None = None
    ) -> list[PropertyField]:
        """Return a page of a group's fields, in the order in which they were made."""
        wanted = opts or PropertyFieldSearchOpts()
        where, values = _conditions(group_id, wanted.target_type, wanted.target_id, wanted.include_deleted)
        window = paging(wanted.page, wanted.per_page or _PER_PAGE, most=limits.devserver_page_entries)
        return await self._store.property_fields.find(where, *values, order="rowid", **window)

    async def count_property_fields(self, group_id: str, *, include_deleted: bool = False) -> int:
        """Count a group's fields."""
        where, values = _conditions(group_id, "", "", include_deleted)
        return await self._store.property_fields.count(where, *values)

    async def count_property_fields_for_target(
        self, group_id: str, target_type: str, target_id: str, *, include_deleted: bool = False
    ) -> int:
        """Count the fields of a group that belong to one target."""
        where = "group_id = ? AND target_type = ? AND target_id = ?" + ("" if include_deleted else " AND delete_at = 0")
        return await self._store.property_fields.count(where, group_id, target_type, target_id)

    # -- within -----------------------------------------------------------------------------------------------

    async def _check_field(self, field: PropertyField) -> None:
        if not field.name or field.type not in _TYPES:
            raise _unfit(f"A property field has a name, and a type: {', '.join(_TYPES)}.")
        if await self._store.property_groups.get(field.group_id) is None:
            raise missing("app.property_group.get.app_error", "The field's property group", "CreatePropertyField")
        place = (field.group_id, field.target_type, field.target_id, field.name, field.id)
        if await self._store.property_fields.count(_SAME_PLACE, *place):
            raise invalid(
                "app.property_field.create.conflict.app_error",
                f"There is a property field {field.name} for that target already.",
                "CreatePropertyField",
            )

    async def _delete_values(self, where: str, *values: SQLValue) -> None:
        now = now_ms()

        def mark(value: PropertyValue) -> None:
            value.delete_at = value.update_at = now

        for value in await self._store.property_values.find(f"{where} AND delete_at = 0", *values):
            await self._store.property_values.change(mark, value.id)


def _conditions(
    group_id: str, target_type: str, target_id: str, include_deleted: bool
) -> tuple[str, tuple[SQLValue, ...]]:
    where = "group_id = ? AND ? IN ('', target_type) AND ? IN ('', target_id)"
    return where + ("" if include_deleted else " AND delete_at = 0"), (group_id, target_type, target_id)


def _unfit(text: str) -> Exception:
    return invalid("model.property_field.is_valid.app_error", text, "PropertyField.IsValid")
