"""What does a bundle's code declare that can be tried? Read, not run.

Layer:  cli.
Output: method and pattern of each ``@route("GET", "/pattern")`` with literal arguments, the places of mounted apps,
        whether there is a ``serve_http``, and the class in the brackets of ``Plugin[…]``; in the order of the code.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from pathlib import Path

from mm_plugin.devserver.watch import is_source

__all__ = ("DeclaredCode", "declared_code")

_US = "mm_plugin"  # what a plugin's code imports from, and the folder of the package itself


@dataclass(slots=True)
class DeclaredCode:
    """What was found.

    Attributes:
        routes: Method and pattern.
        mounts: Where apps are mounted, "/" for the whole plugin.
        serves_http: Whether a method answers whatever is left.
        settings: Module and name of the class that holds the settings; None where none is named.
    """

    routes: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    mounts: list[str] = field(default_factory=list[str])
    serves_http: bool = False
    settings: tuple[str, str] | None = None


def declared_code(bundle: Path) -> DeclaredCode:
    """Return what the code of a bundle declares; files that cannot be read or parsed declare nothing.

    Packages that pip has put into the bundle are passed over: they are thousands of files, and nobody's routes.
    """
    found = DeclaredCode()
    for path in sorted(bundle.rglob("*.py")):
        inside = path.relative_to(bundle)
        if _US in inside.parts or not is_source(path, bundle):
            continue
        try:
            text = path.read_bytes()
            tree = ast.parse(text if _US.encode() in text else b"")
        except (OSError, SyntaxError, ValueError, RecursionError):
            continue
        for node in ast.walk(tree):
            _note(node, ".".join(inside.with_suffix("").parts), found)
    return found


def _note(node: ast.AST, module: str, found: DeclaredCode) -> None:
    match node:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
            found.routes += [route for decorator in node.decorator_list for route in _route(decorator)]
            found.serves_http |= name == "serve_http" or any("ServeHTTP" in ast.unparse(d) for d in node.decorator_list)
        case ast.Call(func=ast.Name(id="mount_asgi" | "mount_wsgi") | ast.Attribute(attr="mount_asgi" | "mount_wsgi")):
            found.mounts += [_place(node)]
        case ast.ClassDef(bases=bases):
            for base in bases:
                match base:
                    case ast.Subscript(
                        value=ast.Name(id="Plugin") | ast.Attribute(attr="Plugin"), slice=ast.Name(id=settings)
                    ):
                        found.settings = (module, settings)
                    case _:
                        pass
        case _:
            pass


def _place(mount: ast.Call) -> str:
    for keyword in mount.keywords:
        match keyword:
            case ast.keyword(arg="at", value=ast.Constant(value=str(place))):
                return place
            case _:
                pass
    return "/"


def _route(decorator: ast.expr) -> list[tuple[str, str]]:
    match decorator:
        case ast.Call(
            func=ast.Name(id="route") | ast.Attribute(attr="route"),
            args=[ast.Constant(value=str(method)), ast.Constant(value=str(pattern))],
        ):
            return [(method.upper(), pattern)]
        case _:
            return []
