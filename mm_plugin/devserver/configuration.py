"""Read and change the configuration, the plugins' settings in it, as the server's v4 paths for it do.

Job:    show one document, keep it in parts (the server's own, and one for each plugin, as the API's handler has them).
Layer:  devserver, over the store and the host.
Errors: ValidationError where a patch is no configuration or a plugin refuses it (ConfigurationWillBeSaved); nothing is
        changed then.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, cast

import anyio

from mm_plugin._proto.system_pb2 import ConfigJson
from mm_plugin.devserver.config import CONFIG, default_config, plugin_config_name
from mm_plugin.devserver.config_hints import probable_mistakes
from mm_plugin.devserver.errors import invalid
from mm_plugin.devserver.json_forms import parse_object
from mm_plugin.exceptions import PluginAPIError
from mm_plugin.hooks.names import HookName
from mm_plugin.transport.link import CallFailure

if TYPE_CHECKING:
    from mm_plugin.devserver.app import App
    from mm_plugin.host.hook_client import HookContext
    from mm_plugin.messages.manifest import Manifest
    from mm_plugin.types import JSONObject, JSONValue

__all__ = ("Configuration", "merged")

logger = logging.getLogger("mm_plugin.devserver")

_SECTION, _PLUGINS = "PluginSettings", "Plugins"


class Configuration:
    """The server's configuration as one JSON object, each plugin's settings at ``PluginSettings.Plugins.<id>``.

    Args:
        app: The server.
    """

    def __init__(self, app: App) -> None:
        self._app = app

    async def read(self) -> JSONObject:
        """Return all of it."""
        store = self._app.store
        kept = await store.get_document(CONFIG)
        config = default_config(self._app.site_url) if kept is None else kept
        plugins = {
            plugin_id: await store.get_document(plugin_config_name(plugin_id)) or {}
            for plugin_id in self._app.host.plugins
        }
        return {**config, _SECTION: {**_object(config.get(_SECTION), _SECTION), _PLUGINS: plugins}}

    async def patch(self, patch: JSONObject, *, context: HookContext | None = None) -> JSONObject:
        """Merge a patch into it, object by object, and tell all plugins; null takes a field away.

        Returns once the running plugins have taken the new settings (OnConfigurationChange has come to its end, or to
        its deadline, ``limits.host_hook_timeout_s``). Cancellation no longer waits; what is saved stays, and is told.

        Args:
            patch: Such as ``{"PluginSettings": {"Plugins": {"com.example.guard": {"Words": "secret"}}}}``.
            context: Who asks for it.

        Returns:
            All of it as it is now.

        Raises:
            ValidationError: A plugin refuses it, or a section is no object.
            RateLimitedError: The plugins are too far behind.
        """
        saved = await self.save(merged(await self.read(), patch), context=context)
        manifests = {plugin_id: plugin.manifest for plugin_id, plugin in self._app.host.plugins.items()}
        for mistake in probable_mistakes(patch, manifests):  # a server takes it without a word, so we refuse nothing
            logger.warning("configuration: %s", mistake)
        for over in saved:
            await over.wait()
        return await self.read()

    async def save(self, config: JSONObject, *, context: HookContext | None = None) -> list[anyio.Event]:
        """Put a configuration in the place of all of it, as the plugins leave it, and tell all plugins.

        The settings of a plugin that is not in it are empty afterwards. Arguments and errors as for ``patch``. Does not
        wait for the plugins: one that saves a configuration would wait for itself.

        Returns:
            What is set as the plugins have been told, one for each.
        """
        self._app.events.check_room()
        wanted = await self._allowed(config, context)
        section = _object(wanted.get(_SECTION), _SECTION)
        plugins = _object(section.get(_PLUGINS), f"{_SECTION}.{_PLUGINS}")
        settings: dict[str, JSONObject] = {plugin_id: {} for plugin_id in self._app.host.plugins}
        settings |= {name: _object(value, f"{_SECTION}.{_PLUGINS}.{name}") for name, value in plugins.items()}
        own = {**wanted, _SECTION: {name: value for name, value in section.items() if name != _PLUGINS}}
        await self._app.store.put_document(CONFIG, own)
        for plugin_id, values in settings.items():
            await self._app.store.put_document(plugin_config_name(plugin_id), values)
        return self._app.events.tell_configuration_changed()

    async def preset(self, manifest: Manifest, values: JSONObject) -> None:
        """Set some settings of a plugin that does not run yet; names are those of its settings schema, in any case."""
        listed = cast("list[Mapping[str, JSONValue]]", manifest.settings_schema.get("settings") or [])
        keys = {str(setting.get("key", "")).lower(): str(setting.get("key", "")) for setting in listed}
        named = {keys.get(name.lower(), name): value for name, value in values.items()}
        kept = await self._app.store.get_document(plugin_config_name(manifest.id)) or {}
        await self._app.store.put_document(plugin_config_name(manifest.id), {**kept, **named})

    async def _allowed(self, config: JSONObject, context: HookContext | None) -> JSONObject:
        """Ask the plugins, and return what they made of it."""
        error_id = "app.config.plugin_rejected.app_error"
        new_config = ConfigJson(config_json=json.dumps(config).encode())
        try:
            decision = await self._app.host.ask(
                HookName.ConfigurationWillBeSaved, context=context, new_config=new_config
            )
        except (PluginAPIError, CallFailure) as error:
            raise invalid(error_id, f"A plugin refused the configuration: {error}", "SaveConfig") from None
        saved = cast("ConfigJson", decision.fields["new_config"]).config_json
        try:
            return parse_object(saved)
        except ValueError as error:
            raise invalid(error_id, f"A plugin made the configuration no JSON: {error}", "SaveConfig") from None


def _object(value: object, name: str) -> JSONObject:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise invalid("api.config.patch_config.app_error", f"{name} must be a JSON object.", "PatchConfig")
    return cast("JSONObject", value)


def merged(kept: JSONObject, patch: JSONObject) -> JSONObject:
    """Return an object with another one's fields over its own (RFC 7396)."""
    result: dict[str, JSONValue] = dict(kept)
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        elif isinstance(value, Mapping):
            inner = result.get(name)
            result[name] = merged(inner if isinstance(inner, Mapping) else {}, value)
        else:
            result[name] = value
    return result
