"""Properties: groups, fields and values, through the client."""

from __future__ import annotations

import pytest

from mm_plugin.exceptions import NotFoundError, ValidationError
from mm_plugin.messages.properties import (
    PropertyField,
    PropertyFieldSearchOpts,
    PropertyValue,
    PropertyValueSearchOpts,
)
from mm_plugin.messages.structs import dict_of_struct
from tests.devserver.worlds import open_world


def text_value(group_id: str, field_id: str, target_id: str, text: str, *, value_id: str = "") -> PropertyValue:
    value = PropertyValue(id=value_id, group_id=group_id, field_id=field_id, target_id=target_id, target_type="post")
    value.value.string_value = text
    return value


async def test_groups_and_fields() -> None:
    """A group is registered once; fields are found by id, name and search, and each name is taken once."""
    async with open_world() as world, world.client() as api:
        group = await api.register_property_group("boards")
        assert await api.register_property_group("boards") == group
        assert await api.get_property_group("boards") == group
        other = await api.register_property_group("other")
        state = PropertyField(group_id=group.id, name="state", type="select", target_type="post")
        state.attrs["options"] = ["open", "done"]
        state = await api.create_property_field(state)
        owner = await api.create_property_field(
            PropertyField(group_id=group.id, name="owner", type="user", target_type="post", target_id="p1")
        )
        assert dict_of_struct(state.attrs) == {"options": ["open", "done"]}
        assert await api.get_property_field(group.id, state.id) == state
        assert (await api.get_property_field_by_name(group.id, "p1", "owner")).id == owner.id
        assert [field.id for field in await api.get_property_fields(group.id, [owner.id, state.id])] == [
            owner.id,
            state.id,
        ]
        for opts, expected in (
            (None, [state.id, owner.id]),
            (PropertyFieldSearchOpts(target_id="p1"), [owner.id]),
            (PropertyFieldSearchOpts(page=1, per_page=1), [owner.id]),
        ):
            assert [field.id for field in await api.search_property_fields(group.id, opts=opts)] == expected
        assert await api.count_property_fields(group.id) == 2
        assert await api.count_property_fields_for_target(group.id, "post", "p1") == 1
        state.name = "status"
        assert (await api.update_property_field(group.id, state)).name == "status"
        owner.name, state.name = "who", ""
        with pytest.raises(ValidationError):
            await api.update_property_fields(group.id, [owner, state])
        assert (await api.get_property_field(group.id, owner.id)).name == "owner"
        state.name = "status"
        assert [field.name for field in await api.update_property_fields(group.id, [owner, state])] == ["who", "status"]
        for bad in (
            PropertyField(group_id=group.id, type="text"),
            PropertyField(group_id=group.id, name="x", type="colour"),
            PropertyField(group_id=group.id, name="status", type="text", target_type="post"),
        ):
            with pytest.raises(ValidationError):
                await api.create_property_field(bad)
        await api.delete_property_field(group.id, state.id)
        assert await api.count_property_fields(group.id) == 1
        assert await api.count_property_fields(group.id, include_deleted=True) == 2
        assert await api.count_property_fields_for_target(group.id, "post", "", include_deleted=True) == 1
        for call in (
            api.get_property_group("none"),
            api.get_property_field(other.id, owner.id),
            api.get_property_fields(group.id, [owner.id, "none"]),
            api.get_property_field_by_name(group.id, "p1", "none"),
            api.update_property_field(group.id, state),
            api.delete_property_field(group.id, state.id),
            api.create_property_field(PropertyField(group_id="none", name="x", type="text")),
        ):
            with pytest.raises(NotFoundError):
                await call


async def test_values() -> None:
    """A field has one value for each target: it is made once, upserted, searched and deleted."""
    async with open_world() as world, world.client() as api:
        group = await api.register_property_group("boards")
        field = await api.create_property_field(PropertyField(group_id=group.id, name="note", type="text"))
        first = await api.create_property_value(text_value(group.id, field.id, "p1", "one"))
        with pytest.raises(ValidationError):
            await api.create_property_value(text_value(group.id, field.id, "p1", "again"))
        assert await api.get_property_value(group.id, first.id) == first
        replaced = await api.upsert_property_value(text_value(group.id, field.id, "p1", "uno"))
        assert (replaced.id, replaced.value.string_value) == (first.id, "uno")
        with pytest.raises(NotFoundError):
            await api.upsert_property_values(
                [text_value(group.id, field.id, "p9", "x"), text_value(group.id, "none", "p9", "x")]
            )
        second, _ = await api.upsert_property_values(
            [text_value(group.id, field.id, "p2", "two"), text_value(group.id, field.id, "p3", "three")]
        )
        found = await api.get_property_values(group.id, [second.id, first.id])
        assert [value.value.string_value for value in found] == ["two", "uno"]
        changed = await api.update_property_value(group.id, text_value("", "", "", "eins", value_id=first.id))
        assert (changed.target_id, changed.value.string_value) == ("p1", "eins")
        with pytest.raises(NotFoundError):
            await api.update_property_values(
                group.id,
                [text_value("", "", "", "x", value_id=first.id), text_value("", "", "", "x", value_id="none")],
            )
        updated = await api.update_property_values(group.id, [text_value("", "", "", "ein", value_id=first.id)])
        assert [value.value.string_value for value in updated] == ["ein"]

        async def texts(**opts: str | int | bool) -> list[str]:
            wanted = PropertyValueSearchOpts(**opts)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
            return [value.value.string_value for value in await api.search_property_values(group.id, opts=wanted)]

        assert await texts() == ["ein", "two", "three"]
        assert await texts(target_id="p2", field_id=field.id) == ["two"]
        assert await texts(page=1, per_page=2) == ["three"]
        await api.delete_property_value(group.id, first.id)
        await api.delete_property_values_for_target(group.id, "post", "p2")
        assert await texts() == ["three"]
        assert await texts(include_deleted=True, target_type="post") == ["ein", "two", "three"]
        await api.delete_property_values_for_field(group.id, field.id)
        assert await texts() == []
        again = await api.create_property_value(text_value(group.id, field.id, "p1", "new"))
        await api.delete_property_field(group.id, field.id)
        assert (await api.get_property_value(group.id, again.id)).delete_at > 0
        for call in (
            api.get_property_value("other", first.id),
            api.get_property_values(group.id, ["none"]),
            api.delete_property_value(group.id, first.id),
            api.create_property_value(text_value(group.id, field.id, "p1", "x")),
        ):
            with pytest.raises(NotFoundError):
                await call
        with pytest.raises(ValidationError):
            await api.create_property_value(text_value(group.id, field.id, "", "x"))
