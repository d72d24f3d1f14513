"""What answers a plugin's HTTP requests: its ``serve_http``, its routes, its mounted apps.

Job:    put them behind one handler.
Layer:  plugin. ``serve_http`` is imported when a plugin that serves HTTP is created.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from mm_plugin.hooks.names import HookName
from mm_plugin.hooks.registry import Binding
from mm_plugin.hooks.table import HOOK_TABLE
from mm_plugin.hooks.threads import HookThreads

if TYPE_CHECKING:
    from mm_plugin.plugin.plugin import Plugin
    from mm_plugin.serve_http.exchange import HTTPHandler
    from mm_plugin.serve_http.mounts import HTTPSurface, Surface
    from mm_plugin.serve_http.request import Request
    from mm_plugin.serve_http.response import Response

__all__ = ("PluginHTTP", "http_surface_of", "serve_http_binding")


def http_surface_of(cls: type) -> Surface | None:
    """Return the routes and mounts of a plugin class; None where it has none.

    Raises:
        HookRegistrationError: One of them cannot work.
    """
    if "mm_plugin.serve_http" not in sys.modules:
        return None  # nobody can have made a route or a mount
    from mm_plugin.serve_http.mounts import collect_surface

    return collect_surface(cls) or None


def serve_http_binding() -> Binding:
    """Return the binding of ServeHTTP for a class that has routes or mounts but no ``serve_http`` of its own."""
    row = HOOK_TABLE[HookName.ServeHTTP]
    return Binding(row, row.method, row.default_policy)


class PluginHTTP:
    """The HTTP side of one plugin.

    Attributes:
        handler: What answers its requests; None where it serves no HTTP.
        max_body_octets: The longest body it takes; None where routes have limits of their own.

    Args:
        plugin: The plugin.
        binding: What its class binds to ServeHTTP.
        surface: Its routes and mounts.
        threads: Where blocking handlers run.
    """

    def __init__(self, plugin: Plugin, binding: Binding | None, surface: Surface | None, threads: HookThreads) -> None:
        own: HTTPHandler | None = None if binding is None else getattr(plugin, binding.attribute)
        self.handler: HTTPHandler | None = None if own is None else _called(own, threads)
        self.max_body_octets = plugin.max_body_octets if surface is None else None
        self._surface: HTTPSurface | None = None
        if surface is not None and binding is not None:
            from mm_plugin.serve_http.mounts import HTTPSurface

            is_own = getattr(type(plugin), binding.attribute) is not _base_serve_http(type(plugin))
            self._surface = HTTPSurface(
                plugin, surface, own if is_own else None, lambda: plugin.task_group, threads.run, plugin.max_body_octets
            )
            self.handler = self._surface.answer

    async def start(self) -> None:
        """Start the mounted apps; for the plugin's activation.

        Raises:
            LifespanError: One of them refused.
        """
        if self._surface is not None:
            await self._surface.start()


def _called(handler: HTTPHandler, threads: HookThreads) -> HTTPHandler:
    """Return a handler that calls this one as it wants to be called, and refuses what it returns."""

    async def call(request: Request, response: Response) -> None:
        from mm_plugin.serve_http.exchange import call_handler

        await call_handler(handler, request, response, threads.run)

    return call


def _base_serve_http(cls: type) -> object:
    """Return the ``serve_http`` of Plugin itself, which answers nothing."""
    return next(vars(base)["serve_http"] for base in reversed(cls.__mro__) if "serve_http" in vars(base))
