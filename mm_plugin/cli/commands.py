"""The commands and their options."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from mm_plugin.types import Backend

__all__ = ("commands",)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="mm-plugin", message="%(prog)s %(version)s")
def commands() -> None:
    """Write, run and try Mattermost plugins in Python."""


@commands.command()
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--backend", type=click.Choice(["asyncio", "trio"]), default="asyncio", show_default=True,
              help="The event loop, of the server and of the plugin.")  # fmt: skip
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    help="Address to listen on; whoever reaches it can log in with the password printed.",
)
@click.option("--port", type=click.IntRange(0, 65535), default=8065, show_default=True, help="0 takes a free one.")
@click.option("--state", type=click.Path(path_type=Path, dir_okay=False), help="SQLite file; in memory without.")
@click.option("--tour", is_flag=True, help="First show examples/guard at work.")
@click.option("--once", is_flag=True, help="End after the start, or after the tour; non-zero if a step went wrong.")
@click.option("--log-level", type=click.Choice(["debug", "info", "warning", "error"]), default="info",
              show_default=True, help="Of the server and of the plugin.")  # fmt: skip
def dev(
    path: Path, backend: Backend, host: str, port: int, state: Path | None, tour: bool, once: bool, log_level: str
) -> None:
    """Run the plugin in the folder PATH in a stand-in Mattermost, until Ctrl-C."""
    from mm_plugin.cli.dev import DevOptions, run_dev

    options = DevOptions(
        path=path, backend=backend, host=host, port=port, state=state, tour=tour, once=once, log_level=log_level
    )
    raise SystemExit(run_dev(options))
