"""What ``dev`` and ``host`` say while they run: text for people, or one JSON object in each line for programs.

Layer:  cli.
Output: standard output; as text, what is wrong goes to standard error.
"""

from __future__ import annotations

import json
import os
import re
import signal
import sys
from typing import TYPE_CHECKING

from mm_plugin import limits
from mm_plugin.exceptions import ConfigurationError, MMPluginError, PluginStartError
from mm_plugin.host.state import PluginState

if TYPE_CHECKING:
    from mm_plugin.devserver.reload import Reload
    from mm_plugin.host.running_plugin import RunningPlugin
    from mm_plugin.host.state import PluginReport
    from mm_plugin.types import JSONValue

__all__ = ("Output", "indented", "state_line", "with_code", "write_line")


_CODE = re.compile(r"\[MMP[0-9]{3}\]$")


def write_line(text: str) -> None:
    """Write to standard output; where nobody reads it any more, end the command as SIGTERM does, and say no more."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
        signal.raise_signal(signal.SIGTERM)


class Output:
    """One command's output.

    Args:
        as_json: Whether programs read it.
    """

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json

    def say(self, text: str) -> None:
        """Write something that only people need."""
        if not self._as_json:
            write_line(text)

    def event(self, name: str, /, **fields: JSONValue) -> None:
        """Write something that only programs need: a JSON object in one line, ``event`` first."""
        if self._as_json:
            write_line(json.dumps({"event": name, **fields}))

    def state(self, plugin: RunningPlugin) -> None:
        """Tell programs of a change of a plugin's state."""
        self.event("plugin", **plugin.report().as_json())

    def changed_state(self, plugin: RunningPlugin) -> None:
        """Tell people and programs of a change of a plugin's state."""
        self.state(plugin)
        self.say(state_line(plugin.report()))
        if plugin.state is PluginState.FAILED_TO_START and not self._as_json:
            sys.stderr.write("".join(f"{line}\n" for line in indented(plugin.start_error())))
            sys.stderr.flush()

    def installing(self, plugin: RunningPlugin) -> None:
        """Tell people that a start takes longer, and why."""
        if plugin.state is PluginState.STARTING and plugin.reason and not plugin.restarts:
            self.say(f"{plugin.reason} …")

    def ignored(self, place: str) -> None:
        """Tell that the plugin itself changes files in some place of its bundle."""
        self.event("ignored", place=place)
        self.say(
            f"The plugin itself writes {place} each time it starts: such changes no longer restart it. Files that it "
            f"writes later still do; --ignore '{place}' leaves them out."
        )

    def reloaded(self, reload: Reload) -> None:
        """Tell what came of a change of files."""
        match reload.plugin:
            case PluginStartError() as error:
                trouble = error.reason
                self.start_failed(error, f"{_listed(reload.files)} changed, and the plugin does not start:")
            case ConfigurationError() as error:
                trouble = str(error)
                told = with_code(trouble, error)
                self._complain(f"{_listed(reload.files)} changed, and the plugin stays as it was:", told)
            case _:
                trouble = ""
                self.say(
                    f"{_listed(reload.files)} changed, the plugin runs again after {reload.seconds * 1000:.0f} ms."
                )
        self.event("reload", files=list(reload.files), seconds=round(reload.seconds, 3), error=trouble)

    def start_failed(self, error: PluginStartError, title: str = "The plugin does not start:") -> None:
        """Tell people why a start failed where the next save tries again; programs have the state."""
        self._complain(title, *indented(error), with_code(error.reason, error))

    def _complain(self, *lines: str) -> None:
        if not self._as_json:
            sys.stderr.write("\n".join([*lines, "The next save tries again.", ""]))
            sys.stderr.flush()


def with_code(text: str, error: MMPluginError | type[MMPluginError]) -> str:
    """Return an error's sentence with the code under which docs/reference/errors.md explains it.

    One that ends with a code has that of its cause, which says more.
    """
    return text if _CODE.search(text) else f"{text} [{error.docs_code}]"


def indented(error: PluginStartError) -> list[str]:
    """Return the last lines that a plugin wrote before its start failed, indented; records keep their headline."""
    lines: list[str] = []
    for text in reversed(error.stderr):
        record = text.splitlines()
        room = limits.cli_stderr_lines - len(lines)
        if room < len(record):
            if room > 1 and len(record) > 1:
                lines = [record[0], *record[1 - room :], *lines]
            break
        lines = [*record, *lines]
    return [f"    {line}" for line in lines]


def state_line(report: PluginReport) -> str:
    """Return a plugin's state in one line."""
    words = [f"{report.id} {report.version}".rstrip(), report.state.name.lower().replace("_", " ")]
    if report.state is PluginState.RUNNING:
        words.append(f"pid {report.pid}, {len(report.hooks)} hooks")
    if report.restarts:
        words.append(f"started again {report.restarts} times" if report.restarts > 1 else "started again once")
    if report.reason:
        failed = report.state is PluginState.FAILED_TO_START
        words.append(with_code(report.reason, PluginStartError) if failed else report.reason)
    return "  ".join(words)


def _listed(files: tuple[str, ...]) -> str:
    shown = ", ".join(files[:3])
    return shown if len(files) <= 3 else f"{shown} and {len(files) - 3} more"
