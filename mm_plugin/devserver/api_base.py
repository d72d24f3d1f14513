"""What the topics of the API handler have in common: the server, the calling plugin, and how arguments are checked."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict, TypeVar

from mm_plugin import limits
from mm_plugin.devserver.database import MOST_INTEGER
from mm_plugin.devserver.errors import invalid

if TYPE_CHECKING:
    from mm_plugin.devserver.app import App
    from mm_plugin.messages.manifest import Manifest

__all__ = ("APIBase", "Window", "needed", "paging")

_T = TypeVar("_T")


class Window(TypedDict):
    """Which part of a list is wanted."""

    limit: int
    offset: int


class APIBase:
    """One caller's view of the server.

    Every public method of the classes below is an API method, named and with parameters as on the client, called by
    keyword; what is not for plugins begins with an underscore.

    Args:
        app: The server.
        manifest: The calling plugin; None for the server's own REST door.
    """

    def __init__(self, app: App, manifest: Manifest | None = None) -> None:
        self._app = app
        self._store = app.store
        self._manifest = manifest
        self._plugin_id = "" if manifest is None else manifest.id


def needed(value: _T | None, name: str) -> _T:
    """Return an argument that the caller must not leave out.

    Raises:
        ValidationError: It was left out.
    """
    if value is None:
        raise invalid("api.context.invalid_body_param.app_error", f"Invalid or missing {name}.")
    return value


def paging(page: int, per_page: int, *, most: int = limits.devserver_page_entries) -> Window:
    """Return limit and offset of a page: its size as the server allows, its place as far as SQLite counts."""
    limit = min(max(per_page, 0), most)
    return {"limit": limit, "offset": min(max(page, 0) * limit, MOST_INTEGER)}
