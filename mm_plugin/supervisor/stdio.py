"""Standard output belongs to the handshake; whatever else is printed goes to standard error.

Job:    hold the real standard output back for the one line that the host reads; have what is printed watched.
Layer:  supervisor (process layer).
See:    go-plugin reads one line, then drops what follows, and stops reading at a line over 64 KiB: a plugin that goes
        on printing would then block for ever.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from typing import ClassVar, TextIO, cast

from mm_plugin.exceptions import ConfigurationError
from mm_plugin.supervisor.open_line import OpenLine, watched

__all__ = ("StdoutClaim", "claim_stdout", "claim_stdout_early")


class StdoutClaim:
    """Takes standard output away from everybody else, from its construction to ``restore``.

    File descriptor 1 then is standard error, for Python, for C code and for child processes. Text that waited
    unflushed in ``sys.stdout`` goes there too, so a ``print`` before the claim does not spoil the handshake.
    """

    early: ClassVar[StdoutClaim | None] = None

    def __init__(self) -> None:
        self._real = os.dup(1)  # not inherited, so that the pipe ends with this process
        os.dup2(2, 1)
        reconfigure = getattr(sys.stdout, "reconfigure", None)  # some programs put other objects there
        if reconfigure is not None:
            reconfigure(line_buffering=True)
        _flush()
        self._streams = sys.stdout, sys.stderr
        self._watched = watched(sys.stdout, 1), watched(sys.stderr, 2)
        sys.stdout, sys.stderr = cast("tuple[TextIO, TextIO]", self._watched)  # None where they are so already

    def announce(self, line: str) -> None:
        """Write one line to the real standard output.

        Raises:
            ConfigurationError: It cannot be written to.
        """
        data = line.encode() + b"\n"
        try:
            while data:
                data = data[os.write(self._real, data) :]
        except OSError as error:
            raise ConfigurationError(
                f"the handshake cannot be written to standard output: {error.strerror}; the host must read it"
            ) from error

    def restore(self) -> None:
        """Give standard output back to everybody."""
        _flush()
        if sys.stdout is self._watched[0]:
            sys.stdout = self._streams[0]
        if sys.stderr is self._watched[1]:
            sys.stderr = self._streams[1]
        OpenLine.is_open = False  # nobody watches any longer
        os.dup2(self._real, 1)
        os.close(self._real)


def claim_stdout_early(environ: Mapping[str, str]) -> None:
    """Claim standard output as soon as the package is imported, where a host has started this process.

    ``run_plugin`` is the last line of a script. What the script prints before it would spoil the handshake wherever
    Python does not buffer (PYTHONUNBUFFERED is common in containers).

    Args:
        environ: Usually ``os.environ``.
    """
    if environ.get("MATTERMOST_PLUGIN") and StdoutClaim.early is None and sys.__stdout__ is not None:
        with suppress(OSError):  # without a standard output there is nothing to keep clean
            StdoutClaim.early = StdoutClaim()


def claim_stdout() -> StdoutClaim:
    """Return the early claim where there is one, else make one.

    Raises:
        ConfigurationError: The process was started without a standard output, or without a standard error.
    """
    claim, StdoutClaim.early = StdoutClaim.early, None
    try:
        if sys.__stdout__ is None:  # by now something else may be open as descriptor 1
            raise OSError
        return claim or StdoutClaim()
    except OSError:
        raise ConfigurationError(
            "standard output or standard error is closed; start the plugin with both open, the handshake goes there"
        ) from None


def _flush() -> None:
    if sys.stdout is not None:  # pyright: ignore[reportUnnecessaryComparison] - None in a process without one
        sys.stdout.flush()
