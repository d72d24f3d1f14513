"""The process of a plugin: what ``run_plugin`` starts around it, and how it ends.

Job:    start the event loop; cookie, signals, host watch, standard output, logs, exit code.
Layer:  supervisor (process layer), the part that a test leaves out.
Output: the handshake as the first line on standard output; hclog lines on standard error; exit code 0 after an orderly
        stop, 1 after a crash, a wrong environment, or a stop that overran its time or left a thread of the author's
        running.
See:    docs/explanation/lifecycle.md
"""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING, TypedDict, cast

import anyio

from mm_plugin import limits
from mm_plugin.exceptions import ConfigurationError, MMPluginError, NotMagicCookieError
from mm_plugin.hooks.source_places import describe
from mm_plugin.hooks.threads import threads_at_work
from mm_plugin.plugin.runtime import PluginRuntime
from mm_plugin.settings import BACKEND, COOKIE_KEY, COOKIE_VALUE, RuntimeConfig, load_runtime_config
from mm_plugin.supervisor.host_watch import guard_against_lost_host, watch_host
from mm_plugin.supervisor.logs import configure_logging
from mm_plugin.supervisor.plugin_server import APP_PROTOCOL_VERSIONS, PluginServer
from mm_plugin.supervisor.signals import leave_interrupts_to_the_host, watch_signals
from mm_plugin.supervisor.stdio import StdoutClaim, claim_stdout
from mm_plugin.supervisor.stop import StopControl
from mm_plugin.supervisor.supervise import supervise
from mm_plugin.supervisor.watchdog import Watchdog
from mm_plugin.transport.goplugin.cookie import check_cookie
from mm_plugin.transport.goplugin.plugin_end import open_plugin_link
from mm_plugin.transport.goplugin.versions import negotiate_version
from mm_plugin.wire.drain import Phase
from mm_plugin.wire.handshake import format_handshake

if TYPE_CHECKING:
    from mm_plugin.plugin.plugin import Plugin
    from mm_plugin.types import EventLoop

__all__ = ("PluginServer", "run_plugin", "serve_plugin")

logger = logging.getLogger("mm_plugin.supervisor")


def run_plugin(plugin_class: type[Plugin], *, backend: EventLoop | None = None) -> None:
    """Be the process of a plugin: serve it until the host asks for a stop; the last line of a plugin's script.

    Ctrl-C is left to the host, which stops its plugins in order.

    Args:
        plugin_class: The author's class.
        backend: The event loop; MM_PLUGIN_BACKEND where absent, and asyncio without that. ``uvloop`` is asyncio on
            uvloop's loop.

    Raises:
        SystemExit: With 1, after a line on standard error, where the process was not started by a host, where the
            environment is wrong, after a crash, or where a thread of a hook or of background work has not returned by
            the end of the stop. After an orderly stop it returns.
    """
    parent = os.getppid()  # first of all, so that a host that dies now is missed
    try:
        check_cookie(os.environ, key=COOKIE_KEY, value=COOKIE_VALUE)
        _check_class(plugin_class)
        del os.environ[COOKIE_KEY]  # the plugin's children are no plugins
        leave_interrupts_to_the_host()
        stdout = claim_stdout()
        # The argument wins, so what the environment says beside it does not matter.
        config = load_runtime_config(os.environ if backend is None else {**os.environ, BACKEND: ""})
        configure_logging(config.log_level)
        event_loop = _event_loop(backend or config.backend)
    except (NotMagicCookieError, ConfigurationError) as error:
        by_hand = isinstance(error, NotMagicCookieError)
        sys.stderr.write(f"{error} Run it with: mm-plugin dev {_folder()}\n" if by_hand else f"{_with_code(error)}\n")
        raise SystemExit(1) from None
    watchdog = Watchdog()
    guard_against_lost_host(parent, watchdog.end_after)
    try:
        anyio.run(partial(_serve, plugin_class, config, stdout, watchdog, parent=parent), **event_loop)
    except BaseException as error:  # noqa: BLE001 - the process ends here, whatever it was, sys.exit in a task included
        _report(error)
        raise SystemExit(1) from None
    stuck = _threads_left(watchdog)
    for work, place in stuck:
        logger.error("the stop left a thread behind: %s does not return, at %s", work, place)
    if stuck:
        raise SystemExit(1)


async def serve_plugin(plugin_class: type[Plugin], config: RuntimeConfig | None = None) -> None:
    """Serve a plugin inside a running event loop until its host, SIGTERM or SIGINT asks for a stop.

    The handshake goes to standard output, which comes back to the program at the end; until then what is printed
    goes to standard error. No cookie is needed, and logging stays as the program has set it. Cancellation cuts the
    plugin. Outside the main thread no signals are heard.

    Args:
        plugin_class: The author's class.
        config: Settings; read from the environment where absent.

    Raises:
        ConfigurationError: The environment holds what it must not.
        BaseExceptionGroup: A task of the plugin crashed.
    """
    config = config or load_runtime_config(os.environ)
    stdout = claim_stdout()
    try:
        await _serve(plugin_class, config, stdout, None, parent=None)
    finally:
        stdout.restore()


async def _serve(
    plugin_class: type[Plugin],
    config: RuntimeConfig,
    stdout: StdoutClaim,
    watchdog: Watchdog | None,
    *,
    parent: int | None,
) -> None:
    """Serve a plugin with its process layer; with a parent it is the host, which owns Ctrl-C and is watched."""
    end_after = None if watchdog is None else watchdog.end_after
    stop = StopControl(on_deadline=end_after)
    version = negotiate_version(os.environ, APP_PROTOCOL_VERSIONS)
    async with (
        open_plugin_link(config, os.environ, app_version=version) as (link, handshake),
        anyio.create_task_group() as process_layer,
    ):
        if threading.current_thread() is threading.main_thread():
            await process_layer.start(
                partial(
                    watch_signals,
                    stop,
                    within_s=config.stop_grace_s,
                    obey_interrupts=parent is None,
                    on_signal=end_after,
                ),
                name="signals",
            )
        if parent is not None:
            process_layer.start_soon(watch_host, stop, parent, name="host watch")
        runtime = PluginRuntime(plugin_class(), link, config)
        async with anyio.create_task_group() as root:
            await root.start(partial(supervise, runtime, link, stop=stop), name="plugin")
            if stop.phase is Phase.SERVING:  # a signal may have been faster
                stdout.announce(format_handshake(handshake))
        process_layer.cancel_scope.cancel()


def _threads_left(watchdog: Watchdog) -> list[tuple[str, str]]:
    """Give threads of the author's what is left of the stop's time, and return those that have not returned by then."""
    while (stuck := threads_at_work()) and watchdog.remaining_s > 0:
        time.sleep(min(limits.stop_thread_poll_s, max(watchdog.remaining_s, 0)))
    return stuck


def _folder() -> str:
    """Return the plugin's folder, as a shell takes it: where plugin.json lies, at or above the script."""
    import shlex
    from pathlib import Path

    script = Path(sys.argv[0]).absolute()
    found = [folder for folder in script.parents if (folder / "plugin.json").exists()]
    return shlex.quote(os.path.relpath(found[0] if found else script.parent))


class _EventLoop(TypedDict, total=False):
    """What ``anyio.run`` takes."""

    backend: str
    backend_options: dict[str, bool]


def _check_class(plugin_class: object) -> None:
    from mm_plugin.plugin.plugin import Plugin

    if isinstance(plugin_class, type):
        if not issubclass(plugin_class, Plugin):
            name = plugin_class.__qualname__
            raise ConfigurationError(
                f"run_plugin expects a subclass of Plugin, found class {name}, which does not derive from Plugin; "
                f"write: class {name}(Plugin)"
            )
    else:
        raise ConfigurationError(f"run_plugin expects a subclass of Plugin, not an instance, found {plugin_class!r}")


def _event_loop(name: str) -> _EventLoop:
    if name not in {"", "asyncio", "trio", "uvloop"}:
        raise ConfigurationError(f"backend={name!r}: expected asyncio, trio or uvloop")
    if name in {"trio", "uvloop"} and find_spec(name) is None:
        raise ConfigurationError(f"the backend is {name}, which is not installed: pip install 'mm-plugin[{name}]'")
    if name == "uvloop":
        return {"backend": "asyncio", "backend_options": {"use_uvloop": True}}
    return {"backend": name or "asyncio"}


def _report(error: BaseException) -> None:
    """Log once why the process ends; one sentence for what an operator can mend, a traceback for the rest."""
    error = _lone_cause(error)
    if isinstance(error, ConfigurationError):
        logger.critical("the plugin cannot start: %s", _with_code(error))
    else:
        logger.critical("the plugin crashed: %s", describe(error), exc_info=error)


def _with_code(error: MMPluginError) -> str:
    """Return an error's text with the code under which docs/reference/errors.md explains it."""
    text, code = str(error), f"[{error.docs_code}]"
    return text if text.endswith(code) else f"{text} {code}"


def _lone_cause(error: BaseException) -> BaseException:
    """Return what nested groups of one hold."""
    if not isinstance(error, BaseExceptionGroup):
        return error
    group = cast("BaseExceptionGroup[BaseException]", error)
    return _lone_cause(group.exceptions[0]) if len(group.exceptions) == 1 else group
