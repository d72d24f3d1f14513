"""What two tasks of a plugin ask for at the same time is done once, and neither of them sees an error."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import anyio
import pytest

from mm_plugin.exceptions import ValidationError
from mm_plugin.messages.bots import Bot
from mm_plugin.messages.channels import SidebarCategoryWithChannels
from mm_plugin.messages.groups import Group
from mm_plugin.messages.properties import PropertyField, PropertyValue
from tests.devserver.worlds import World, open_world

TIMES = 6


async def at_once(call: Callable[[], Awaitable[object]]) -> list[object]:
    """Make a call several times at once; return the answers."""
    answers: list[object] = []

    async def ask() -> None:
        answers.append(await call())

    async with anyio.create_task_group() as tasks:
        for _ in range(TIMES):
            tasks.start_soon(ask)
    return answers


def people(world: World) -> tuple[str, str]:
    return world.seed.users["ada"].id, world.seed.users["bob"].id


async def test_one_direct_channel_one_bot_one_remote() -> None:
    """What is made where there is none is made once, and everybody gets it."""
    async with open_world() as world, world.client() as api:
        ada, bob = people(world)

        async def direct() -> str:
            return (await api.get_direct_channel(ada, bob)).id

        calls = (direct, lambda: api.ensure_bot_user(Bot(username="robot")), api.register_plugin_for_shared_channels)
        for call in calls:
            answers = await at_once(call)
            assert len(answers) == TIMES
            assert len(set(answers)) == 1


async def test_a_target_has_one_value_of_a_field() -> None:
    """Upserts at the same time replace each other instead of standing side by side."""
    async with open_world() as world, world.client() as api:
        group = (await api.register_property_group("g")).id
        field = await api.create_property_field(PropertyField(group_id=group, name="f", type="text"))
        value = PropertyValue(group_id=group, field_id=field.id, target_type="post", target_id="p")
        await at_once(lambda: api.upsert_property_value(value))
        assert len(await api.search_property_values(group)) == 1


@pytest.mark.parametrize("kind", ["group", "field"])
async def test_a_name_is_taken_once(kind: str) -> None:
    """Of several who ask for one name at the same time, one gets it and the others are told."""
    async with open_world() as world, world.client() as api:
        properties = (await api.register_property_group("g")).id

        async def create() -> bool:
            try:
                if kind == "group":
                    await api.create_group(Group(name="crew", display_name="Crew", source="custom"))
                else:
                    await api.create_property_field(PropertyField(group_id=properties, name="f", type="text"))
            except ValidationError:
                return False
            return True

        assert sorted(map(bool, await at_once(create))) == [*[False] * (TIMES - 1), True]


async def test_no_category_is_lost() -> None:
    """Categories that are added at the same time all stand in the sidebar."""
    async with open_world() as world, world.client() as api:
        (ada, _), team = people(world), world.seed.team.id
        category = SidebarCategoryWithChannels(display_name="Mine")
        await at_once(lambda: api.create_channel_sidebar_category(ada, team, category))
        sidebar = await api.get_channel_sidebar_categories(ada, team)
        assert [each.display_name for each in sidebar.categories].count("Mine") == TIMES
