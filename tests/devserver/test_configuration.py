"""The configuration over REST: read and patched by the administrator, with the plugins asked and told."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace

import anyio
import httpx
import pytest
from hypothesis import given, strategies as st

from mm_plugin import Plugin, Reject
from mm_plugin.devserver.configuration import merged
from mm_plugin.devserver.server import open_door
from mm_plugin.exceptions import ValidationError
from mm_plugin.messages.json_fields import Configuration
from mm_plugin.messages.manifest import Manifest
from mm_plugin.types import JSONObject, JSONValue
from tests.devserver.worlds import World, open_world

PLUGIN_ID = "com.example.test"
PLACE = "PluginSettings.Plugins"


class Settled(Plugin):
    """Notes what it is told, and refuses what it was told to refuse."""

    def __init__(self) -> None:
        super().__init__()
        self.changes = 0
        self.slow = False
        self.answer: JSONObject | Reject | None = None

    async def on_configuration_change(self) -> None:
        if self.slow:
            await anyio.wait_all_tasks_blocked()  # until everybody else has done all that can be done
        self.changes += 1

    async def configuration_will_be_saved(self, new_config: Configuration) -> JSONObject | Reject | None:
        return self.answer


def settings(values: Mapping[str, JSONValue]) -> JSONObject:
    return {"PluginSettings": {"Plugins": {PLUGIN_ID: values}}}


@asynccontextmanager
async def open_site() -> AsyncGenerator[tuple[World, Settled, httpx.AsyncClient, httpx.AsyncClient]]:
    plugin = Settled()
    async with open_world() as world, open_door(world.app, "127.0.0.1", 0) as url, world.running(plugin):
        headers = [{"Authorization": f"Bearer {world.seed.tokens[name]}"} for name in ("admin", "ada")]
        async with (
            httpx.AsyncClient(base_url=f"{url}/api/v4", headers=headers[0]) as admin,
            httpx.AsyncClient(base_url=f"{url}/api/v4", headers=headers[1]) as ada,
        ):
            yield world, plugin, admin, ada


async def test_a_patch_reaches_the_plugin() -> None:
    """Settings are merged, kept, read back and told; null takes one away; the server's own part is beside them."""
    async with open_site() as (_, plugin, admin, _ada):
        url = (await admin.get("/config")).json()["ServiceSettings"]["SiteURL"]
        before = plugin.changes
        answer = await admin.put("/config/patch", json=settings({"Words": "a", "Limit": 3}))
        assert plugin.changes == before + 1
        assert answer.status_code == 200
        assert await plugin.api.get_plugin_config() == {"Words": "a", "Limit": 3}
        patch = {**settings({"Words": None, "Limit": 4}), "TeamSettings": {"SiteName": "here"}}
        config = (await admin.put("/config/patch", json=patch)).json()
        assert config == (await admin.get("/config")).json()
        assert config["PluginSettings"]["Plugins"] == {PLUGIN_ID: {"Limit": 4}}
        assert (config["TeamSettings"], config["ServiceSettings"]["SiteURL"]) == ({"SiteName": "here"}, url)


@pytest.mark.parametrize(
    ("patch", "told"),
    [
        (
            {"PluginSettings": {"Plugins": {"com.exmaple.test": {"Words": "a"}}}},
            f"{PLACE}.com.exmaple.test: the server has no plugin of this id; did you mean com.example.test?",
        ),
        (
            settings({"Wrods": "a", "words": "b", "Limit": 3}),
            f"{PLACE}.{PLUGIN_ID}: the settings_schema of plugin.json has no setting 'Wrods'; did you mean Words?",
        ),
        (
            {"PluginSetting": {"Plugins": {}}},
            "PluginSetting: plugins have no settings there; did you mean PluginSettings?",
        ),
        (
            {"PluginSettings": {"plugins": {}}},
            "PluginSettings.plugins: plugins have no settings there; did you mean PluginSettings.Plugins?",
        ),
        (settings({"Gone": None, "LIMIT": 1}), ""),
        ({"PluginSettings": {"Plugins": {"com.example.gone": None}, "PluginStates": {}}, "EmailSettings": {}}, ""),
    ],
)
async def test_a_patch_that_nothing_reads_is_taken_and_told(
    patch: JSONObject, told: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A server says nothing of a misspelt name; here the log has what, where, and the name that was meant."""
    async with open_site() as (world, _, admin, _ada):
        plugin = world.app.host.plugins[PLUGIN_ID]
        schema: JSONObject = {"settings": [{"key": "Words", "type": "text"}, {"key": "Limit", "type": "number"}]}
        plugin.manifest = replace(plugin.manifest, settings_schema=schema)
        assert (await admin.put("/config/patch", json=patch)).status_code == 200
    warnings = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert warnings == ([f"configuration: {told}"] if told else [])


async def test_a_patch_is_over_when_the_plugin_has_it() -> None:
    """Both ways to patch return once OnConfigurationChange has, so that what is asked next meets the new settings."""
    async with open_site() as (world, plugin, admin, _ada):
        plugin.slow = True
        before = plugin.changes
        await world.app.configuration.patch(settings({"Words": "a"}))
        assert plugin.changes == before + 1
        await admin.put("/config/patch", json=settings({"Words": "b"}))
        assert plugin.changes == before + 2


async def test_a_plugin_may_refuse_or_change_it() -> None:
    """ConfigurationWillBeSaved is asked first: a refusal changes nothing, a change is what is kept."""
    async with open_site() as (_, plugin, admin, _ada):
        plugin.answer = Reject("not on a Friday")
        refused = await admin.put("/config/patch", json=settings({"Words": "a"}))
        assert refused.status_code == 400
        assert "not on a Friday" in refused.json()["message"]
        assert await plugin.api.get_plugin_config() == {}
        plugin.answer = settings({"Words": "b"})
        await admin.put("/config/patch", json=settings({"Words": "a"}))
        assert await plugin.api.get_plugin_config() == {"Words": "b"}


@pytest.mark.parametrize(
    "patch",
    [
        "[]",
        '{"PluginSettings": 1}',
        '{"PluginSettings": {"Plugins": []}}',
        '{"PluginSettings": {"Plugins": {"x": "y"}}}',
        '{"TeamSettings": {"MaxUsersPerTeam": 1e999}}',
        r'{"TeamSettings": {"SiteName": "\ud800"}}',
        '{"a":' * 100_000,
    ],
)
async def test_what_is_no_configuration_is_refused(patch: str) -> None:
    """What would put something else where an object belongs, or could not be shown again, is a 400 at both doors."""
    async with open_site() as (_, plugin, admin, _ada):
        before = (await admin.get("/config")).json()
        assert (await admin.put("/config/patch", content=patch)).status_code == 400
        with pytest.raises(ValidationError):
            await plugin.api.save_config(patch.encode())
        assert (await admin.get("/config")).json() == before


async def test_only_the_administrator_may() -> None:
    """Everybody else is refused, to read as to write."""
    async with open_site() as (_, plugin, _admin, ada):
        assert (await ada.get("/config")).status_code == 403
        assert (await ada.put("/config/patch", json=settings({"Words": "a"}))).status_code == 403
        assert await plugin.api.get_plugin_config() == {}


async def test_people_and_plugins_see_one_configuration() -> None:
    """Plugins get what REST shows, from the start, and what they save is all there is: what is left out is empty."""
    async with open_site() as (_, plugin, admin, _ada):
        shown = (await admin.get("/config")).json()
        assert shown["ServiceSettings"]["EnableCommands"] is True
        assert json.loads(await plugin.api.get_config()) == shown
        await plugin.api.save_config({**settings({"Words": "a"}), "TeamSettings": {"SiteName": "here"}})
        assert await plugin.api.get_plugin_config() == {"Words": "a"}
        shown = (await admin.get("/config")).json()
        assert shown == {**settings({"Words": "a"}), "TeamSettings": {"SiteName": "here"}}
        assert json.loads(await plugin.api.get_unsanitized_config()) == shown
        await admin.put("/config/patch", json={"PluginSettings": {"Plugins": {PLUGIN_ID: None}}})
        assert await plugin.api.get_plugin_config() == {}


async def test_settings_are_set_before_the_start() -> None:
    """A key of the settings schema is found in any case; what was kept before stays."""
    schema: JSONObject = {"settings": [{"key": "Words"}, {"key": "Limit"}]}
    manifest = Manifest(id=PLUGIN_ID, name="x", settings_schema=schema)
    async with open_world() as world:
        await world.app.configuration.preset(manifest, {"words": "a", "other": True})
        await world.app.configuration.preset(manifest, {"LIMIT": 3})
        async with world.client() as api:
            assert await api.get_plugin_config() == {"Words": "a", "other": True, "Limit": 3}


_json = st.recursive(
    st.booleans() | st.integers(0, 3), lambda v: st.dictionaries(st.sampled_from("abc"), v), max_leaves=8
)


@given(st.dictionaries(st.sampled_from("abc"), _json), st.dictionaries(st.sampled_from("abc"), _json))
def test_merging(kept: JSONObject, patch: JSONObject) -> None:
    """A patch applied twice is a patch applied once; what it does not name stays; an empty one changes nothing."""
    once = merged(kept, patch)
    assert merged(once, patch) == once
    assert all(once[name] == kept[name] for name in kept.keys() - patch.keys())
    assert merged(kept, {}) == kept
