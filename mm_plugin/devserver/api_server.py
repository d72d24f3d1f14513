"""The server itself as plugins see it: configuration, plugins, log lines, version."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING

from mm_plugin.devserver.api_base import APIBase
from mm_plugin.devserver.config import plugin_config_name
from mm_plugin.devserver.errors import invalid, missing
from mm_plugin.devserver.json_forms import parse_object
from mm_plugin.messages.helpers import new_id
from mm_plugin.messages.plugins import Manifest as ManifestMessage, PluginStatus
from mm_plugin.types import JSONObject, JSONValue

if TYPE_CHECKING:
    from mm_plugin.host.running_plugin import RunningPlugin

__all__ = ("SERVER_VERSION", "ServerHandler", "manifest_message", "plugin_status")

#: The version whose behaviour the server stands in for.
SERVER_VERSION = "11.0.0"
_SYSTEM = "system"


def manifest_message(plugin: RunningPlugin) -> ManifestMessage:
    """Return a plugin's manifest as plugins and people see it."""
    manifest = plugin.manifest
    return ManifestMessage(
        id=manifest.id,
        name=manifest.name,
        description=manifest.description,
        homepage_url=manifest.homepage_url,
        support_url=manifest.support_url,
        release_notes_url=manifest.release_notes_url,
        icon_path=manifest.icon_path,
        version=manifest.version,
        min_server_version=manifest.min_server_version,
    )


def plugin_status(plugin: RunningPlugin) -> PluginStatus:
    """Return a plugin's state as plugins and people see it."""
    return PluginStatus(
        plugin_id=plugin.id,
        plugin_path=str(plugin.bundle),
        state=int(plugin.state),
        name=plugin.manifest.name,
        description=plugin.manifest.description,
        version=plugin.manifest.version,
    )


class ServerHandler(APIBase):
    """Configuration, plugins, log."""

    # -- configuration ----------------------------------------------------------------------------------------

    async def get_config(self) -> JSONObject:
        """Return the server's configuration, the settings of all plugins in it; nothing in it is taken for a secret."""
        return await self._app.configuration.read()

    async def get_unsanitized_config(self) -> JSONObject:
        """Return what ``get_config`` returns."""
        return await self.get_config()

    async def save_config(self, config_json: bytes) -> None:
        """Replace the server's configuration as the plugins leave it (ConfigurationWillBeSaved), and tell them all."""
        try:
            config = parse_object(config_json)
        except ValueError as error:
            text = f"The configuration must be a JSON object: {error}."
            raise invalid("api.config.update_config.app_error", text, "SaveConfig") from None
        await self._app.configuration.save(config)

    async def get_plugin_config(self) -> JSONObject:
        """Return the plugin's own configuration as it was saved."""
        return await self._store.get_document(plugin_config_name(self._plugin_id)) or {}

    async def save_plugin_config(self, config: Mapping[str, JSONValue] | None) -> None:
        """Replace the plugin's own configuration, and tell it."""
        self._app.events.check_room()
        await self._store.put_document(plugin_config_name(self._plugin_id), dict(config or {}))
        self._app.events.tell_configuration_changed(self._plugin_id)

    async def load_plugin_configuration(self) -> JSONObject:
        """Return the plugin's configuration over the defaults of its settings schema."""
        return {**_defaults(self._manifest.settings_schema if self._manifest else {}), **await self.get_plugin_config()}

    # -- plugins ----------------------------------------------------------------------------------------------

    async def get_plugin_id(self) -> str:
        """Return the calling plugin's id."""
        return self._plugin_id

    async def get_bundle_path(self) -> str:
        """Return the folder the calling plugin runs from."""
        return str(self._app.host.plugins[self._plugin_id].bundle)

    async def get_plugins(self) -> list[ManifestMessage]:
        """Return the manifests of the plugins that run."""
        return [manifest_message(plugin) for plugin in self._app.host.plugins.values() if plugin.hooks is not None]

    async def get_plugin_status(self, id: str) -> PluginStatus:  # noqa: A002 - the wire's own name
        """Return a plugin's state."""
        plugin = self._app.host.plugins.get(id)
        if plugin is None:
            raise missing("app.plugin.not_installed.app_error", f"The plugin {id!r}", "GetPluginStatus")
        return plugin_status(plugin)

    # -- log --------------------------------------------------------------------------------------------------

    async def log_debug(self, msg: str, key_value_pairs: JSONObject) -> None:
        """Write a line."""
        self._log(logging.DEBUG, msg, key_value_pairs)

    async def log_info(self, msg: str, key_value_pairs: JSONObject) -> None:
        """Write a line."""
        self._log(logging.INFO, msg, key_value_pairs)

    async def log_warn(self, msg: str, key_value_pairs: JSONObject) -> None:
        """Write a line."""
        self._log(logging.WARNING, msg, key_value_pairs)

    async def log_error(self, msg: str, key_value_pairs: JSONObject) -> None:
        """Write a line."""
        self._log(logging.ERROR, msg, key_value_pairs)

    def _log(self, level: int, text: str, pairs: JSONObject) -> None:
        logger = logging.getLogger(f"mm_plugin.devserver.plugin.{self._plugin_id}")
        logger.log(level, "%s%s", text, "".join(f" {key}={json.dumps(value)}" for key, value in pairs.items()))

    # -- what it is -------------------------------------------------------------------------------------------

    async def get_server_version(self) -> str:
        """Return the version of Mattermost that this stands in for."""
        return SERVER_VERSION

    async def get_system_install_date(self) -> int:
        """Return when the first user was made, in milliseconds."""
        first = await self._store.users.find(limit=1)
        return first[0].create_at if first else 0

    async def get_license(self) -> bytes:
        """Return that there is none."""
        return b""

    async def get_diagnostic_id(self) -> str:
        """Return the id that this state was given when it was first asked for."""
        return str((await self._store.first_document(_SYSTEM, {"DiagnosticId": new_id()}))["DiagnosticId"])

    async def get_telemetry_id(self) -> str:
        """Return what ``get_diagnostic_id`` returns; the newer name."""
        return await self.get_diagnostic_id()

    async def get_cloud_limits(self) -> bytes:
        """Return that there are none, as on every server outside the cloud."""
        return b""

    async def is_enterprise_ready(self) -> bool:
        """Return that this is no enterprise build."""
        return False


def _defaults(schema: JSONObject) -> dict[str, JSONValue]:
    """Return the defaults of a settings schema, by key in lower case, as the server has them."""
    settings = schema.get("settings")
    if not isinstance(settings, list):
        return {}
    return {
        str(setting["key"]).lower(): setting["default"]
        for setting in settings
        if isinstance(setting, Mapping) and "key" in setting and "default" in setting
    }
