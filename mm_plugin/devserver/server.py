"""The development server: state, plugins, REST door and gateway, opened and closed as one.

Job:    tie the pieces together in the order in which they may end.
Layer:  devserver, the top of it.
Tasks:  the telling of events outlives the plugins (who still post while they stop), the plugins outlive the HTTP
        server (whose requests they answer).
Errors: ConfigurationError, ManifestError and PluginStartError while it opens; nothing is left running then.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import anyio

from mm_plugin.devserver.api import DevServerAPI
from mm_plugin.devserver.app import App
from mm_plugin.devserver.rest import rest_app
from mm_plugin.devserver.seed import Seed, open_seed
from mm_plugin.devserver.store import Store, open_store
from mm_plugin.exceptions import ConfigurationError
from mm_plugin.host.api_receiver import HandlerAPI
from mm_plugin.host.gateway import Gateway, Session
from mm_plugin.host.host import open_host
from mm_plugin.host.http_server import ASGIApp, Receive, Scope, Send, serve_http_app
from mm_plugin.host.options import HostOptions
from mm_plugin.host.running_plugin import RunningPlugin
from mm_plugin.host.ungrouped import ungrouped
from mm_plugin.host.wires import HostWire
from mm_plugin.messages.manifest import Manifest
from mm_plugin.serve_http.target import split_target

__all__ = ("DevServer", "open_app", "open_devserver", "open_door", "open_doorway")

#: Ends the sentence about an API method that the stand-in does not have.
_ABSENT = (
    "the stand-in Mattermost of mm-plugin; a real server has it. Catch PluginAPIError (status_code 501) around the "
    "call, or answer it in a test with a handler of your own (docs: how to test a plugin)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class DevServer:
    """A server that runs.

    Attributes:
        app: The server without its doors; ``app.host`` has the plugins, ``app.store`` the state.
        url: Where people reach it, without a slash at the end.
        seed: Team, channel, users and their tokens.
    """

    app: App
    url: str
    seed: Seed


@asynccontextmanager
async def open_app(
    store: Store,
    *,
    options: HostOptions | None = None,
    wire: HostWire | None = None,
    on_change: Callable[[RunningPlugin], None] | None = None,
) -> AsyncGenerator[App]:
    """Open the server without doors, without plugins; leaving the context stops the plugins, in good order.

    Args:
        store: The state.
        options: The host's options.
        wire: How the plugins' calls are carried; gRPC where None.
        on_change: Called after each change of a plugin's state; what it raises is logged and changes nothing.
    """

    def answer_for(manifest: Manifest) -> HandlerAPI:
        return HandlerAPI(DevServerAPI(app, manifest), absent=_ABSENT)

    with ungrouped():
        async with anyio.create_task_group() as tasks:
            async with open_host(answer_for, options=options, wire=wire, on_change=on_change) as host:
                app = App(store, host, tasks)
                # Plugins register their commands anew each time they are activated.
                await store.commands.delete("plugin_id <> ''")
                yield app
            tasks.cancel_scope.cancel()


@asynccontextmanager
async def open_devserver(
    bundles: Sequence[Path],
    *,
    state: Path | None = None,
    host: str = "127.0.0.1",
    port: int = 0,
    options: HostOptions | None = None,
    on_change: Callable[[RunningPlugin], None] | None = None,
) -> AsyncGenerator[DevServer]:
    """Open a development server and start plugins in it.

    Leaving the context, also by cancellation, stops taking requests, stops the plugins (OnDeactivate runs), and closes
    the state.

    Args:
        bundles: The plugins' folders.
        state: The SQLite file; None keeps everything in memory.
        host: Address to listen on.
        port: 0 takes a free one.
        options: The host's options.
        on_change: Called after each change of a plugin's state; what it raises is logged and changes nothing.

    Raises:
        ConfigurationError: The state or the port cannot be used.
        ManifestError: A plugin.json is missing or wrong.
        PluginStartError: A plugin did not start.
    """
    async with (
        open_store(state) as store,
        open_app(store, options=options, on_change=on_change) as app,
        open_door(app, host, port) as url,
    ):
        seed = await open_seed(app)
        for bundle in bundles:
            await app.plugins.start(bundle)
        yield DevServer(app=app, url=url, seed=seed)


@asynccontextmanager
async def open_door(app: App, host: str, port: int) -> AsyncGenerator[str]:
    """Serve REST and the gateway over HTTP while the context is open; see ``open_doorway``."""
    async with open_doorway(_asgi_app(app), host, port) as url:
        app.site_url = url
        try:
            yield url
        finally:
            app.clients.end_all()


@asynccontextmanager
async def open_doorway(asgi_app: ASGIApp, host: str, port: int) -> AsyncGenerator[str]:
    """Serve an ASGI app over HTTP while the context is open.

    Args:
        asgi_app: The app.
        host: Address to listen on.
        port: 0 takes a free one.

    Returns:
        The URL, without a slash at the end.

    Raises:
        ConfigurationError: The address cannot be used.
    """
    with ungrouped():
        async with anyio.create_task_group() as tasks:
            try:
                port = await tasks.start(partial(serve_http_app, asgi_app, host=host, port=port))
            except OSError as error:
                raise ConfigurationError(error.strerror or str(error)) from error
            shown = f"[{host}]" if ":" in host else host
            yield f"http://{shown}:{port}"
            tasks.cancel_scope.cancel()


def _asgi_app(app: App) -> ASGIApp:
    """Join gateway and REST door: ``/plugins/…`` goes to the plugins, everything else to REST."""

    async def find_session(token: str) -> Session | None:
        session = await app.accounts.session_of(token)
        return None if session is None else Session(user_id=session.user_id, session_id=session.id)

    gateway: ASGIApp = Gateway(app.host.http_link, find_session)
    rest: ASGIApp = rest_app(app)

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        path = "" if scope["type"] == "lifespan" else split_target(str(scope["path"]))[0]
        if path.startswith("/plugins/"):
            await app.plugins.wait_restarted(path.split("/", 3)[2])
            await gateway(scope, receive, send)
        else:
            await rest(scope, receive, send)

    return serve
