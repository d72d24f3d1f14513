"""The states of a plugin in a host, and what a host says of a plugin as data."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import IntEnum, unique
from typing import cast

from mm_plugin.types import JSONValue

__all__ = ("PluginReport", "PluginState")


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


@dataclass(frozen=True, slots=True, kw_only=True)
class PluginReport:
    """What a host knows of one plugin at one moment.

    Attributes:
        reason: Why it is where it is, in one sentence; "" where nothing went wrong.
        stderr: The last lines of standard error of a plugin that failed.
        pid: None where there is no process.
        restarts: How often it was started again after a failure.
        hooks: The hooks it implements; empty unless it runs.
    """

    id: str
    name: str
    version: str
    bundle: str
    state: PluginState
    reason: str = ""
    stderr: tuple[str, ...] = ()
    pid: int | None = None
    restarts: int = 0
    hooks: tuple[str, ...] = ()

    def as_json(self) -> dict[str, JSONValue]:
        """Return it as a JSON object; the state stands as its name."""
        return {
            **cast("dict[str, JSONValue]", asdict(self)),
            "state": self.state.name.lower(),
            "stderr": list(self.stderr),
            "hooks": list(self.hooks),
        }
