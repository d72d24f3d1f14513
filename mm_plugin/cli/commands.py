"""The commands and their options."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast

import click

if TYPE_CHECKING:
    from collections.abc import Callable

    from mm_plugin.types import Backend

__all__ = ("commands",)

_Function = TypeVar("_Function", bound="Callable[..., Any]")


class _Option(Protocol):
    def __call__(self, function: _Function, /) -> _Function: ...


class _Command(click.Command):
    """A command whose examples stand at the end of its help as they are."""

    def __init__(self, *args: Any, examples: tuple[str, ...] = (), **more: Any) -> None:
        super().__init__(*args, **more)
        self.examples = examples

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's own
        """Write the examples."""
        with formatter.section("Examples"):
            for example in self.examples:
                formatter.write(f"{'':>{formatter.current_indent}}{example}\n")


def _log_level(default: str | None, note: str = "") -> _Option:
    levels = click.Choice(["debug", "info", "warning", "error"])
    what = f"Of the server and of the plugins; the log goes to standard error.{note}"
    return click.option("--log-level", type=levels, default=default, show_default=default is not None, help=what)


_backend = click.option(
    "--backend",
    type=click.Choice(["asyncio", "trio"]),
    default="asyncio",
    show_default=True,
    help="The event loop, of the server and of the plugins.",
)
_host = click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    help="Address to listen on; whoever reaches it can log in with the password printed.",
)
_port = click.option(
    "--port",
    type=click.IntRange(0, 65535),
    help="0 takes a free one.  [default: 8065; with --once a free one]",
)
_state = click.option(
    "--state", type=click.Path(path_type=Path, dir_okay=False), help="SQLite file of the server; in memory without."
)
_faults = click.option(
    "--fault",
    "faults",
    multiple=True,
    metavar="NAME[=VALUE]",
    help="Misbehave on purpose; may be repeated: delay_s=0.5 (each hook), api_delay_s=0.5 (each API call), drop=3 "
    "(every third answer), kill=5, hang=5 (at the fifth hook), garbage_handshake, kv_full.",
)
_install = click.option(
    "--install/--no-install",
    default=True,
    show_default=True,
    help='Where a manifest says "dependency_mode": "venv" and the bundle has none, make one in the user\'s cache and '
    "install requirements_path there, once.",
)
_debugger = click.option(
    "--debugger",
    is_flag=True,
    help="The plugin is being debugged: no deadlines, no health checks.  [default: found out]",
)
_config = click.option(
    "--config",
    "settings",
    multiple=True,
    metavar="KEY=VALUE",
    help="A setting of the plugin, as the System Console would set it; VALUE is read as the settings_schema of "
    "plugin.json declares it, else as JSON, else as text; may be repeated.",
)
_config_file = click.option(
    "--config-file", type=click.Path(path_type=Path), help="Settings of the plugin: a JSON object in a file."
)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="mm-plugin", message="%(prog)s %(version)s")
def commands() -> None:
    """Write, run and try Mattermost plugins in Python."""


@commands.command(
    cls=_Command,
    short_help="Run one plugin in a stand-in Mattermost; restart it at each save.",
    examples=(
        "mm-plugin dev .",
        "mm-plugin dev . --config Words=secret --config Limit=3",
        "mm-plugin dev examples/guard --tour --once",
        "mm-plugin dev . --backend trio --state state.sqlite",
        "mm-plugin dev . --fault delay_s=0.5 --fault kv_full",
    ),
)
@click.argument("path", type=click.Path(path_type=Path))
@_backend
@_host
@_port
@_state
@click.option("--reload/--no-reload", default=True, show_default=True, help="Restart the plugin when its files change.")
@click.option("--tour", is_flag=True, help="First show examples/guard at work.")
@click.option("--once", is_flag=True, help="End after the start, or after the tour; non-zero if a step went wrong.")
@click.option("--json", "as_json", is_flag=True, help="Write events for programs, one JSON object in each line.")
@click.option("--ignore", multiple=True, metavar="PATTERN",
              help="Files or folders that restart nothing, such as data/ or '*.json'; may be repeated.")  # fmt: skip
@_config
@_config_file
@_install
@_debugger
@_faults
@_log_level(None, "  [default: info; for --tour --once error]")
def dev(backend: str, **options: Any) -> None:
    """Run the plugin in the folder PATH in a stand-in Mattermost, until Ctrl-C.

    Save a file and the plugin is restarted; the server, its state and its sessions stay. A plugin that does not start
    shows why, and is tried again at the next save.
    """
    from mm_plugin.cli.dev import DevOptions, run_dev

    raise SystemExit(run_dev(DevOptions(backend=cast("Backend", backend), **options)))


@commands.command(
    cls=_Command,
    short_help="Run several plugins side by side, with their states.",
    examples=(
        "mm-plugin host plugins/one plugins/two",
        "mm-plugin host plugins/* --port 0 --json",
        "mm-plugin host . --no-api --fault kill=10",
    ),
)
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="PATH...")
@_backend
@_host
@_port
@_state
@click.option("--api/--no-api", "api", default=True, show_default=True,
              help="Answer the plugins' API calls from the state; without, each is UNIMPLEMENTED.")  # fmt: skip
@_config
@_config_file
@click.option("--once", is_flag=True, help="End once all have started; non-zero if one has not.")
@click.option("--json", "as_json", is_flag=True, help="Write each change of state as one JSON object in one line.")
@_install
@_debugger
@_faults
@_log_level("warning")
def host(paths: tuple[Path, ...], backend: str, **options: Any) -> None:
    """Run the plugins in the folders PATH side by side, with their states on standard output, until Ctrl-C.

    They are asked in the order given. One that fails is started again after a pause, as on the server; the others go
    on. HTTP requests reach them at /plugins/ID/; with the API there is all that mm-plugin dev serves.
    """
    from mm_plugin.cli.host import HostCommandOptions, run_host

    raise SystemExit(run_host(HostCommandOptions(paths=paths, backend=cast("Backend", backend), **options)))


@commands.command(
    cls=_Command,
    short_help="Start a plugin, call one hook, print the answer.",
    examples=(
        """mm-plugin call . MessageWillBePosted --json '{"post": {"message": "hello"}}'""",
        """mm-plugin call . execute_command --json '{"args": {"command": "/guard words"}}' --as bob""",
        """mm-plugin call . RunDataRetention --json '{"now_time": 1700000000000, "batch_size": 10}'""",
        """mm-plugin call . UserHasBeenCreated --json - < user.json""",
    ),
)
@click.argument("path", type=click.Path(path_type=Path))
@click.argument("hook")
@click.option("--json", "text", default="{}", metavar="JSON", help="The hook's fields by name; - reads standard input.")
@click.option("--as", "username", type=click.Choice(["admin", "ada", "bob"]), default="ada", show_default=True,
              help="For whom; also fills an empty user_id.")  # fmt: skip
@_backend
@_state
@_config
@_config_file
@_install
@_debugger
@_faults
@_log_level("warning")
def call(backend: str, **options: Any) -> None:
    """Start the plugin in the folder PATH, call one HOOK, print the answer as JSON, and stop the plugin.

    HOOK is the server's name or the method's. Fields have the names of the contract; bytes are base64. An empty
    user_id, channel_id or team_id inside a message becomes that of the user, of the town square and of its team.
    """
    from mm_plugin.cli.call import CallOptions, run_call

    raise SystemExit(run_call(CallOptions(backend=cast("Backend", backend), **options)))
