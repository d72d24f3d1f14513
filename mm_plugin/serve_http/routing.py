"""A small router for plugins that want no framework: ``@route("GET", "/items/{id}")`` on methods.

Layer:  serve_http.
Errors: HookRegistrationError for a pattern or a handler that cannot work, raised by the ``class`` statement.
See:    docs/how-to/http.md
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, cast
from urllib.parse import unquote
from uuid import UUID

from mm_plugin.exceptions import HookRegistrationError

__all__ = ("Route", "RouteMark", "RouteTable", "collect_routes", "route")

_F = TypeVar("_F", bound=Callable[..., Any])
_ATTRIBUTE = "__mm_plugin_routes__"
_METHOD = re.compile(r"[A-Z][A-Z0-9-]*")
_PARAMETER = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)(:path)?\}")


@dataclass(frozen=True, slots=True)
class _Kind:
    """What a parameter may be annotated with.

    Attributes:
        expression: What a segment must match, as it stands on the wire.
        convert: Makes a value of such a segment; never fails.
    """

    expression: str
    convert: Callable[[str], object]


_TEXT = _Kind("[^/]+", unquote)
#: By annotation: the type, or its name where annotations are text. What matches no kind of a number is no such page.
_KINDS: dict[object, _Kind] = {
    **dict.fromkeys((str, "str", object, "object", Any, "Any", inspect.Parameter.empty), _TEXT),
    **dict.fromkeys((int, "int"), _Kind("-?[0-9]{1,18}", int)),
    **dict.fromkeys((float, "float"), _Kind(r"-?[0-9]{1,18}(?:\.[0-9]{1,18})?", float)),
    **dict.fromkeys((UUID, "UUID", "uuid.UUID"), _Kind("[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}", UUID)),
}


@dataclass(frozen=True, slots=True)
class RouteMark:
    """What ``@route`` said about one function; the plugin class reads it when it is created."""

    method: str
    pattern: str
    max_body_octets: int | None


@dataclass(frozen=True, slots=True)
class Route:
    """One route of a plugin class.

    Attributes:
        method: Such as ``GET``.
        pattern: As written.
        attribute: The method that answers.
        max_body_octets: The longest body it takes; None where the plugin's limit holds.
        expression: What a path must match, as it stands on the wire.
        rank: Routes of a lower rank are tried first.
        converters: What makes a value of each parameter.
    """

    method: str
    pattern: str
    attribute: str
    max_body_octets: int | None
    expression: re.Pattern[str]
    rank: tuple[int, ...]
    converters: Mapping[str, Callable[[str], object]]


def route(method: str, pattern: str, *, max_body_octets: int | None = None) -> Callable[[_F], _F]:
    """Answer requests of a method and a path: ``async def item(self, request, response, id)``.

    A handler may be ``def`` too; it then runs in a worker thread. One may have several routes. What no route matches
    goes to ``serve_http`` where the class has one, else to a page: 404, or 405 where only the method is wrong. GET
    routes answer HEAD too.

    Args:
        method: Such as ``GET``.
        pattern: A path below the plugin. ``{name}`` matches one segment, ``{name:path}`` at the end the whole rest;
            both are given to the handler by name, percent-decoded. Literal segments win over parameters. A parameter
            annotated as int, float or UUID is given as one; a segment that is none does not match.
        max_body_octets: The longest body taken; a longer one is answered with 413.
    """
    mark = RouteMark(method, pattern, max_body_octets)

    def bind(function: _F) -> _F:
        setattr(function, _ATTRIBUTE, (*_marks_of(function), mark))
        return function

    return bind


def _marks_of(function: object) -> tuple[RouteMark, ...]:
    return cast("tuple[RouteMark, ...]", getattr(function, _ATTRIBUTE, ()))


def collect_routes(cls: type) -> tuple[Route, ...]:
    """Return the routes of a class, parents included; an override without ``@route`` keeps its parent's.

    Raises:
        HookRegistrationError: A pattern is none, two handlers share one, or a handler cannot take its arguments.
    """
    marks: dict[str, tuple[RouteMark, ...]] = {}
    for owner in reversed(cls.__mro__):
        for attribute, value in vars(owner).items():
            if value is None:
                marks.pop(attribute, None)
            elif own := _marks_of(value):
                marks[attribute] = own
    routes = [_compile(cls, attribute, mark) for attribute, each in marks.items() for mark in each]
    taken: dict[tuple[str, str], Route] = {}
    for one in routes:
        shape = _PARAMETER.sub(lambda match: f"{{{match.group(2) or ''}}}", one.pattern)
        other = taken.setdefault((one.method, shape), one)
        if other is not one:
            raise HookRegistrationError(
                f"{cls.__qualname__}: {one.method} {one.pattern} has two handlers, {other.attribute} and "
                f"{one.attribute}; keep one"
            )
    return tuple(sorted(routes, key=lambda one: one.rank))


def _compile(cls: type, attribute: str, mark: RouteMark) -> Route:
    where = f"{cls.__qualname__}.{attribute}: @route({mark.method!r}, {mark.pattern!r})"
    if not _METHOD.fullmatch(mark.method):
        raise HookRegistrationError(f"{where}: the method must be in capitals, such as 'GET'")
    if not mark.pattern.startswith("/"):
        raise HookRegistrationError(f"{where}: the pattern must begin with '/'")
    names: list[str] = []
    parts: list[str] = []
    rank: list[int] = []
    segments = mark.pattern.split("/")[1:]
    for at, segment in enumerate(segments):
        parameter = _PARAMETER.fullmatch(segment)
        if parameter is None:
            if "{" in segment or "}" in segment:
                raise HookRegistrationError(f"{where}: a parameter is a whole segment, such as '/{{id}}'")
            parts.append(_literal(segment))
            rank.append(0)
            continue
        name, is_rest = parameter.groups()
        if is_rest and at != len(segments) - 1:
            raise HookRegistrationError(f"{where}: {segment} can only stand at the end")
        if name in names:
            raise HookRegistrationError(f"{where}: {name} stands there twice")
        names.append(name)
        parts.append(f"(?P<{name}>.*)" if is_rest else f"{{{name}}}")
        rank.append(2 if is_rest else 1)
    handler = getattr(cls, attribute)
    signature = inspect.signature(handler)
    try:
        signature.bind(None, None, None, **dict.fromkeys(names))
    except TypeError as error:
        arguments = ", ".join(("self", "request", "response", *names))
        raise HookRegistrationError(f"{where}: {error}; expected: def {attribute}({arguments}), async or not") from None
    kinds = {name: _kind_of(signature, name, where) for name in names}
    if rank[-1] == 2 and kinds[names[-1]] is not _TEXT:
        raise HookRegistrationError(f"{where}: {names[-1]} is the rest of a path; annotate it as str")
    for name, kind in kinds.items():
        parts = [f"(?P<{name}>{kind.expression})" if part == f"{{{name}}}" else part for part in parts]
    return Route(
        mark.method,
        mark.pattern,
        attribute,
        mark.max_body_octets,
        re.compile("".join(f"/{part}" for part in parts), re.DOTALL),
        tuple(rank),
        {name: kind.convert for name, kind in kinds.items()},
    )


def _kind_of(signature: inspect.Signature, name: str, where: str) -> _Kind:
    """Find what a handler wants a parameter as; without an annotation, and by ``**``, it is text."""
    parameter = signature.parameters.get(name)
    annotation: object = inspect.Parameter.empty if parameter is None else parameter.annotation
    for known, kind in _KINDS.items():
        if annotation is known or (isinstance(annotation, str) and annotation == known):
            return kind
    raise HookRegistrationError(
        f"{where}: {name} is annotated as {getattr(annotation, '__name__', annotation)}; a parameter is a str, int, "
        "float or UUID: annotate it so and convert it in the handler"
    )


def _literal(segment: str) -> str:
    """Match a segment as clients may write it: each character plain or percent-encoded."""
    return "".join(
        f"(?:{re.escape(char)}|{''.join(f'%{octet:02X}' for octet in char.encode())})"
        if not (char.isascii() and char.isalnum())
        else char
        for char in segment
    )


class RouteTable:
    """Finds the route of a request.

    Args:
        routes: In the order in which they are tried.
    """

    def __init__(self, routes: Sequence[Route]) -> None:
        self._routes = routes

    def find(self, method: str, raw_path: str) -> tuple[Route, Mapping[str, object]] | None:
        """Return the route and its parameters; None where there is none."""
        for wanted in (method, "GET") if method == "HEAD" else (method,):
            for one in self._routes:
                if one.method == wanted and (match := one.expression.fullmatch(raw_path)):
                    return one, {name: convert(match[name]) for name, convert in one.converters.items()}
        return None

    def methods_of(self, raw_path: str) -> tuple[str, ...]:
        """Return the methods that have a route for this path, sorted."""
        methods = {one.method for one in self._routes if one.expression.fullmatch(raw_path)}
        if "GET" in methods:
            methods.add("HEAD")
        return tuple(sorted(methods))
