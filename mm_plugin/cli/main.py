"""The entry point of ``mm-plugin``: everything heavy is imported only when a command needs it."""

from __future__ import annotations

import sys

__all__ = ("main",)

#: What the extra ``dev`` brings.
_EXTRA = {"click", "hypercorn", "starlette"}


def main() -> None:
    """Run the command line; always ends with SystemExit."""
    try:
        from mm_plugin.cli.commands import commands

        commands(prog_name="mm-plugin")
    except ModuleNotFoundError as error:
        if error.name not in _EXTRA:
            raise
        sys.stderr.write(f"mm-plugin needs {error.name}; install it with: pip install 'mm-plugin[dev]'\n")
        raise SystemExit(1) from None
