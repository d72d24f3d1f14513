"""Hold back what a plugin writes while it starts, so that a start which soon fails shows it once and readably.

Layer:  cli, over logging.
"""

from __future__ import annotations

import logging
from collections import deque
from typing import TYPE_CHECKING

from mm_plugin import limits
from mm_plugin.host.state import PluginState

if TYPE_CHECKING:
    from mm_plugin.host.running_plugin import RunningPlugin

__all__ = ("HeldLog",)

_PLUGINS = "mm_plugin.host.plugin."


class HeldLog(logging.Filter):
    """A filter for the log's handlers; of what it holds back of each plugin it keeps the newest lines."""

    def __init__(self) -> None:
        super().__init__()
        self._held: dict[str, deque[logging.LogRecord]] = {}

    def install(self) -> None:
        """Stand before all handlers of the log."""
        for handler in logging.getLogger().handlers:
            handler.addFilter(self)

    def filter(self, record: logging.LogRecord) -> bool:
        """Keep a plugin's line back while it starts; see logging.Filter."""
        held = self._held.get(record.name.removeprefix(_PLUGINS)) if record.name.startswith(_PLUGINS) else None
        if held is None:
            return True
        held.append(record)
        return False

    def follow(self, plugin: RunningPlugin) -> None:
        """Hold or let go as a plugin changes its state; what a failed start wrote is told with its error."""
        match plugin.state:
            case PluginState.STARTING if not plugin.restarts:
                self._held[plugin.id] = deque(maxlen=limits.stderr_tail_lines)
            case PluginState.FAILED_TO_START:
                self._held.pop(plugin.id, None)
            case _:
                self.let_go(plugin.id)

    def let_go(self, plugin_id: str) -> None:
        """Show what is held back of a plugin, and what it writes from now on."""
        for record in self._held.pop(plugin_id, ()):
            logging.getLogger().handle(record)
