"""The entry point of ``mm-plugin``: works without the extra ``dev`` as far as to say that it is needed."""

from __future__ import annotations

import os
import signal
import sys
from importlib import import_module

__all__ = ("main",)

#: What the extra ``dev`` brings.
_EXTRA = ("click", "hypercorn", "starlette", "watchfiles")


def main() -> None:
    """Run the command line; always ends with SystemExit."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        # Until the loop listens for Ctrl-C there is nothing to stop; a traceback through imports tells nobody anything.
        signal.signal(signal.SIGINT, lambda _number, _frame: os._exit(130))
    for name in _EXTRA:
        try:
            import_module(name)
        except ModuleNotFoundError as error:
            if error.name != name:
                raise
            sys.stderr.write(f"mm-plugin needs {name}; install it with: pip install 'mm-plugin[dev]'\n")
            raise SystemExit(1) from None
    from mm_plugin.cli.commands import commands

    commands(prog_name="mm-plugin")
