"""What a plugin class serves beside, or instead of, ``serve_http``: routes, and mounted ASGI and WSGI apps.

Job:    collect them when a class is created; find who answers a request.
Layer:  serve_http.
Errors: HookRegistrationError, raised by the ``class`` statement.
See:    docs/how-to/http.md, docs/how-to/asgi.md
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, cast

from anyio.abc import TaskGroup

from mm_plugin.exceptions import HookRegistrationError
from mm_plugin.serve_http.exchange import HTTPHandler, RunInThread, call_handler
from mm_plugin.serve_http.request import Request
from mm_plugin.serve_http.response import Response
from mm_plugin.serve_http.routing import Route, RouteTable, collect_routes

if TYPE_CHECKING:
    from mm_plugin.serve_http.asgi import ASGIApp
    from mm_plugin.serve_http.lifespan import Lifespan
    from mm_plugin.serve_http.wsgi import WSGIApp

__all__ = ("HTTPSurface", "Mount", "Surface", "collect_surface", "mount_asgi", "mount_wsgi")


@dataclass(frozen=True, slots=True)
class Mount:
    """An app of a plugin class; see ``mount_asgi`` and ``mount_wsgi``.

    Attributes:
        at: "" or a path without a slash at its end.
    """

    at: str
    asgi: ASGIApp | None = None
    wsgi: WSGIApp | None = None

    def covers(self, path: str) -> bool:
        """Tell whether requests to this path are the app's."""
        return path == self.at or path.startswith(self.at + "/")


def mount_asgi(app: object, *, at: str = "/") -> Mount:
    """Mount an ASGI 3 app (Starlette, FastAPI, Django); make the result an attribute of a plugin class.

    Bodies stream both ways. The app's lifespan runs from the plugin's activation to its deactivation; a client that
    goes is told to it as ``http.disconnect``. ``scope["mattermost"]`` has ``user_id``, ``context`` and ``plugin``.

    Args:
        app: The app. It must run on the plugin's backend: Django's needs asyncio.
        at: Where, below the plugin. Routes are tried before mounts, longer mounts before shorter ones.
    """
    return Mount(_checked(at, app), asgi=cast("ASGIApp", app))


def mount_wsgi(app: object, *, at: str = "/") -> Mount:
    """Mount a WSGI app (Flask, Django); make the result an attribute of a plugin class.

    Each request runs in a worker thread.

    ``environ`` has ``mattermost.user_id``, ``mattermost.context`` and ``mattermost.plugin``.

    Args:
        app: The app.
        at: Where, below the plugin.
    """
    return Mount(_checked(at, app), wsgi=cast("WSGIApp", app))


def _checked(at: str, app: object) -> str:
    if not at.startswith("/"):
        raise HookRegistrationError(f"an app is mounted at a path that begins with '/', not at {at!r}")
    if not callable(app):
        raise HookRegistrationError(f"an app is a callable, this is a {type(app).__name__}")
    return at.rstrip("/")


@dataclass(frozen=True, slots=True)
class Surface:
    """What a plugin class serves by routes and mounts; false where it has none."""

    routes: tuple[Route, ...] = ()
    mounts: tuple[Mount, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.routes or self.mounts)


def collect_surface(cls: type) -> Surface:
    """Return the routes and mounts of a class, parents included.

    Raises:
        HookRegistrationError: A route is wrong, or two apps are mounted at one place.
    """
    found: dict[str, Mount] = {}
    for owner in reversed(cls.__mro__):
        for attribute, value in vars(owner).items():
            found.pop(attribute, None)
            if isinstance(value, Mount):
                found[attribute] = value
    mounts = tuple(sorted(found.values(), key=lambda mount: -len(mount.at)))
    for one, other in pairwise(mounts):
        if one.at == other.at:
            raise HookRegistrationError(f"{cls.__qualname__}: two apps are mounted at {one.at or '/'!r}; move one")
    return Surface(collect_routes(cls), mounts)


@dataclass(slots=True)
class HTTPSurface:
    """The routes and mounts of one plugin at work.

    Attributes:
        plugin: The plugin.
        surface: What its class has.
        fallback: Its ``serve_http``; None where it has none.
        task_group: Gives the group of its activation.
        run_in_thread: Runs blocking handlers and WSGI apps.
        max_body_octets: The longest body taken where a route says nothing else.
    """

    plugin: object
    surface: Surface
    fallback: HTTPHandler | None
    task_group: Callable[[], TaskGroup]
    run_in_thread: RunInThread
    max_body_octets: int | None = None
    _table: RouteTable = field(init=False)
    _lifespans: dict[str, Lifespan] = field(init=False, default_factory=dict[str, "Lifespan"])

    def __post_init__(self) -> None:
        self._table = RouteTable(self.surface.routes)

    # -- the plugin's activation ------------------------------------------------------------------------------

    async def start(self) -> None:
        """Run the startup of every mounted ASGI app, in the plugin's group, whose cancellation shuts them down.

        Raises:
            LifespanError: One of them refused.
        """
        from mm_plugin.serve_http.lifespan import Lifespan

        self._lifespans.clear()
        for mount in self.surface.mounts:
            if mount.asgi is not None:
                lifespan = self._lifespans[mount.at] = Lifespan(mount.asgi)
                await self.task_group().start(lifespan.run, name=f"ASGI lifespan {mount.at or '/'}")

    # -- requests ---------------------------------------------------------------------------------------------

    async def answer(self, request: Request, response: Response) -> None:
        """Answer a request by its route, else by a mount, else by ``serve_http``, else with 404 or 405."""
        found = self._table.find(request.method, request.raw_path)
        own = None if found is None else found[0].max_body_octets
        limit = self.max_body_octets if own is None else own
        if limit is not None:
            request.body.limit(limit)
        if found is not None:
            one, parameters = found
            handler = partial(getattr(self.plugin, one.attribute), **parameters)
            await call_handler(handler, request, response, self.run_in_thread)
            return
        for mount in self.surface.mounts:
            if mount.covers(request.path):
                await self._serve_mount(mount, request, response)
                return
        if self.fallback is not None:
            await call_handler(self.fallback, request, response, self.run_in_thread)
            return
        methods = self._table.methods_of(request.raw_path)
        if methods:
            response.headers["Allow"] = ", ".join(methods)
        await response.text("Method Not Allowed\n" if methods else "Not Found\n", status=405 if methods else 404)

    async def _serve_mount(self, mount: Mount, request: Request, response: Response) -> None:
        if mount.wsgi is not None:
            from mm_plugin.serve_http.wsgi import serve_wsgi

            wsgi = partial(serve_wsgi, mount.wsgi, request, response, at=mount.at, plugin=self.plugin)
            await self.run_in_thread(wsgi)
            return
        from mm_plugin.serve_http.asgi import ASGIConnection, build_scope

        assert mount.asgi is not None
        lifespan = self._lifespans.get(mount.at)
        if lifespan is None:
            await response.text("Service Unavailable\n", status=503)  # the plugin is not active
            return
        scope = build_scope(request, at=mount.at, plugin=self.plugin, state=lifespan.state)
        await ASGIConnection(request, response).serve(mount.asgi, scope, self.task_group())
