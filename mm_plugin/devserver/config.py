"""The server's configuration: what it says where nobody has saved one, and which features it switches on.

Job:    keep the few settings that this server heeds; all others are kept as they were saved, and mean nothing here.
Layer:  devserver, over the store.
See:    the names of Mattermost's config.json.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from mm_plugin.devserver.errors import unavailable

if TYPE_CHECKING:
    from mm_plugin.devserver.store import Store
    from mm_plugin.types import JSONObject, JSONValue

__all__ = ("CONFIG", "check_enabled", "default_config", "plugin_config_name")

#: The document's name in the store.
CONFIG = "config"

# A new Mattermost has some of these switched off; here is nobody to switch them on.
_FEATURES: dict[str, dict[str, bool]] = {
    "ServiceSettings": {
        "EnableCommands": True,
        "EnableCustomEmoji": True,
        "EnableOAuthServiceProvider": True,
        "EnableUserAccessTokens": True,
    },
    "FileSettings": {"EnablePublicLink": True},
    "PluginSettings": {"Enable": True},
}


def default_config(site_url: str) -> dict[str, JSONValue]:
    """Return the configuration of a server that nobody has configured."""
    config: dict[str, dict[str, JSONValue]] = {section: {**features} for section, features in _FEATURES.items()}
    config["ServiceSettings"]["SiteURL"] = site_url
    return dict(config)


def plugin_config_name(plugin_id: str) -> str:
    """Return the name under which a plugin's settings are kept."""
    return f"config/{plugin_id}"


async def check_enabled(store: Store, section: str, setting: str, error_id: str, where: str) -> None:
    """Make sure that a feature is switched on; one that the saved configuration does not name is as it was born.

    Raises:
        PluginAPIError: HTTP 501, it is switched off.
    """
    config: JSONObject = await store.get_document(CONFIG) or {}
    settings = config.get(section)
    enabled = settings.get(setting) if isinstance(settings, Mapping) else None
    if not (_FEATURES[section][setting] if enabled is None else enabled):
        text = f"{section}.{setting} is false in the server's configuration; set it to true by save_config."
        raise unavailable(error_id, text, where)
