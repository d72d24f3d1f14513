"""The settings of a running plugin: loaded before its first hook, renewed when the server's configuration changes.

Job:    ask the API for the values, keep the last ones that fit, tell the author of a change.
Layer:  plugin.
Errors: SettingsError from the first load, which fails the activation; later ones are logged and the old settings stay.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, cast

import anyio

from mm_plugin.exceptions import PluginAPIError, SettingsError
from mm_plugin.hooks.threads import HookThreads
from mm_plugin.plugin.declared import call
from mm_plugin.plugin.settings_model import read_settings

if TYPE_CHECKING:
    from mm_plugin.plugin.plugin import Attachment, Plugin
    from mm_plugin.types import JSONValue

__all__ = ("SettingsKeeper",)

logger = logging.getLogger("mm_plugin.settings")


class SettingsKeeper:
    """Loads the settings of one plugin.

    Args:
        plugin: The plugin, attached.
        attachment: Where it finds its settings.
        model: The settings class.
        threads: Where a blocking on_settings_change runs.
    """

    def __init__(self, plugin: Plugin, attachment: Attachment, model: type, threads: HookThreads) -> None:
        self._plugin = plugin
        self._attachment = attachment
        self._model: type[object] = model
        self._threads = threads
        # Not held during on_settings_change: that may save the configuration, which calls the hook again.
        self._loading = anyio.Lock()

    async def load(self) -> None:
        """Load the settings; for the beginning of an activation.

        Raises:
            SettingsError: They cannot be read or do not fit; older ones stay.
        """
        async with self._loading:
            self._attachment.settings = await self._read()

    async def renew(self) -> None:
        """Load the settings again and tell the author where they have changed; does nothing before the first load.

        Settings that cannot be read or do not fit are logged, and the old ones stay.

        Raises:
            Exception: What on_settings_change raises; the new settings stay.
        """
        async with self._loading:
            old = self._attachment.settings
            if old is None:
                return
            try:
                new = await self._read()
            except SettingsError as error:
                logger.error("%s; the old settings stay", error, extra={"hook": "OnConfigurationChange"})  # noqa: TRY400
                return
            if new == old:
                return
            self._attachment.settings = new
        tell: Callable[[object, object], object] = self._plugin.on_settings_change
        await call(partial(tell, old, new), self._threads)

    async def _read(self) -> object:
        try:
            octets = await self._plugin.api.load_plugin_configuration()
        except PluginAPIError as error:
            raise SettingsError(f"the plugin's settings cannot be loaded from the server: {error}") from error
        try:
            values: object = json.loads(octets or b"null")
        except ValueError as error:
            raise SettingsError(f"the plugin's settings cannot be read: {error}") from error
        if values is None:
            values = {}
        if not isinstance(values, dict):
            raise SettingsError(f"the plugin's settings must be a JSON object, not {type(values).__name__}")
        return read_settings(self._model, cast("Mapping[str, JSONValue]", values))
