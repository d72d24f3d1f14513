"""Check a handler object before it plays the server: its methods against the 236 of the API.

Layer:  testing. ``host/api_receiver.py`` calls the handler's methods by name and keyword; a misspelt one would just be
        UNIMPLEMENTED, and a wrong parameter an INTERNAL error.
"""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Iterator

from mm_plugin.api.table import api_table

__all__ = ("answered_methods", "handler_problems")


def answered_methods(handler: object) -> list[str]:
    """Return the names of the API methods that a handler, or a class of handlers, has, in the contract's order."""
    return [row.name for row in api_table().values() if callable(getattr(handler, row.name, None))]


def handler_problems(handler: object) -> list[str]:
    """Return what is wrong with a handler, one sentence each; none where all is well.

    A method must take its parameters by keyword, under the names that PluginAPIClient has. Every other public method
    is taken for a misspelt one where an API method has nearly its name.

    Args:
        handler: The object; not its class, whose functions want a ``self``.
    """
    rows = {row.name: row for row in api_table().values()}
    problems: list[str] = []
    for name, method in _methods_of(handler):
        if name in rows:
            parameters = [parameter.name for parameter in rows[name].parameters]
            try:
                inspect.signature(method).bind(**dict.fromkeys(parameters))
            except TypeError as error:
                expected = ", ".join(parameters) or "nothing"
                problems.append(f"{name} must take {expected} by keyword: {error}")
        elif not name.startswith("_") and (close := difflib.get_close_matches(name, rows, n=1, cutoff=0.9)):
            problems.append(f"{name} is no API method; {close[0]} is one")
    return problems


def _methods_of(handler: object) -> Iterator[tuple[str, Callable[..., object]]]:
    """Give what can be called; properties are not looked at, since they are code of the handler's."""
    for name in dir(handler):
        if not isinstance(inspect.getattr_static(handler, name, None), property):
            method = getattr(handler, name, None)
            if callable(method):
                yield name, method
