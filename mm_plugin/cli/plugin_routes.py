"""Which HTTP routes does a bundle's code declare? Read, not run, for the lines to try.

Layer:  cli.
Output: method and pattern of each ``@route("GET", "/pattern")`` with literal arguments, in the order of the code.
"""

from __future__ import annotations

import ast
from pathlib import Path

from mm_plugin.devserver.watch import is_source

__all__ = ("declared_routes",)


def declared_routes(bundle: Path) -> list[tuple[str, str]]:
    """Return the routes; files that cannot be read or parsed have none."""
    found: list[tuple[str, str]] = []
    for path in sorted(bundle.rglob("*.py")):
        if not is_source(path, bundle):
            continue
        try:
            tree = ast.parse(path.read_bytes())
        except (OSError, SyntaxError, ValueError, RecursionError):
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                found += [route for decorator in node.decorator_list for route in _route(decorator)]
    return found


def _route(decorator: ast.expr) -> list[tuple[str, str]]:
    match decorator:
        case ast.Call(
            func=ast.Name(id="route") | ast.Attribute(attr="route"),
            args=[ast.Constant(value=str(method)), ast.Constant(value=str(pattern))],
        ):
            return [(method.upper(), pattern)]
        case _:
            return []
