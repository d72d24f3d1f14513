"""The states of a plugin in a host."""

from __future__ import annotations

from enum import IntEnum, unique

__all__ = ("PluginState",)


@unique
class PluginState(IntEnum):
    """The states of a plugin, numbered as in the server's PluginStatus (reference of the Go host, section 1.6)."""

    NOT_RUNNING = 0
    STARTING = 1
    RUNNING = 2
    FAILED_TO_START = 3
    FAILED_TO_STAY_RUNNING = 4
    STOPPING = 5

    @property
    def is_over(self) -> bool:
        """Whether nothing of the plugin runs."""
        return self not in {PluginState.STARTING, PluginState.RUNNING, PluginState.STOPPING}
