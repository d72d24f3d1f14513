"""Write mm_plugin/hooks/decorator_types.py, the types of ``@hook``, from the hook table and the methods of Plugin.

Usage: python tools/hook_types.py            write the module
       python tools/hook_types.py --check    write nothing; show what would change and exit 1 if anything would
"""

from __future__ import annotations

import ast
import inspect
import re
import subprocess
import sys
import sysconfig
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from mm_plugin.hooks.table import HOOK_TABLE, HookRow  # noqa: E402 - the package of this tree, wherever this is started
from mm_plugin.plugin.plugin import Plugin  # noqa: E402
from tools.generated_file import write_or_check  # noqa: E402

MODULE = ROOT / "mm_plugin" / "hooks" / "decorator_types.py"
#: Where the names stand that the methods' annotations use.
SOURCES = ("mm_plugin/plugin/hook_methods.py", "mm_plugin/plugin/plugin.py")

HEAD = '''\
"""The types of ``@hook``: a handler under another name is checked as an override by the hook's own name is.

Generated from the hook table by tools/hook_types.py; ``make proto`` writes it anew. For type checkers alone: no running
plugin loads this module.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, overload

if TYPE_CHECKING:
'''

NAMES = """
__all__ = ("HookDecorator",)

if TYPE_CHECKING:
    _AnyF = TypeVar("_AnyF", bound=Callable[..., Any])
    _P = ParamSpec("_P")
    _R = TypeVar("_R")
    _Policy: TypeAlias = FailurePolicy | None
    #: A method, or a static method; ``async def`` or ``def``.
    _Fit: TypeAlias = Callable[Concatenate[Any, _P], Awaitable[_R] | _R] | Callable[_P, Awaitable[_R] | _R]

"""

CLASS = '''

class HookDecorator(Protocol):
    """What ``hook`` is: by the hook's name a decorator of functions that fit the hook, which it returns as they are."""

    # Without a name: that of the method, which is compared with Plugin's by being an override.
    @overload
    def __call__(self, function: _AnyF, /) -> _AnyF: ...
    @overload
    def __call__(self, /, *, on_failure: _Policy = None) -> Callable[[_AnyF], _AnyF]: ...
'''

TAIL = """\
    # A name that is known at run time only; a misspelt one is refused when the class is created.
    @overload
    def __call__(
        self, name: HookName | str, /, *, on_failure: _Policy = None
    ) -> Callable[[_AnyF], _AnyF]: ...
"""


def main() -> int:
    return write_or_check(MODULE, lambda: formatted(module()), root=ROOT, description=__doc__)


def module() -> str:
    """Return the module, not formatted yet."""
    rows = HOOK_TABLE.values()
    bounds = "".join(f'    _{row.name} = TypeVar("_{row.name}", bound={_bound(row)})\n' for row in rows)
    homes = _homes()
    names = "".join(
        f'    _{row.name}Name = Literal[HookName.{row.name}, "{row.name}", "{row.method}"]\n' for row in rows
    )
    used = {name for name in re.findall(r"\b[A-Za-z]\w+", bounds) if name in homes} - {"TypeVar"}
    by_module = {
        "collections.abc": {"Awaitable", "Callable"},
        "typing": {"Any", "Concatenate", "Literal", "ParamSpec", "TypeAlias", "TypeVar"},
        "mm_plugin.hooks.names": {"HookName"},
        "mm_plugin.hooks.policy": {"FailurePolicy"},
    }
    for name in used:
        by_module.setdefault(homes[name], set()).add(name)
    imports = "".join(f"    from {home} import {', '.join(sorted(parts))}\n" for home, parts in by_module.items())
    return HEAD + imports + NAMES + bounds + "\n" + names + CLASS + "".join(map(_overload, rows)) + TAIL


def formatted(text: str) -> str:
    """Return a module as ruff writes it, imports sorted."""
    ruff = str(Path(sysconfig.get_path("scripts")) / "ruff")
    config = ["--no-cache", "--config", str(ROOT / "pyproject.toml"), "--stdin-filename", str(MODULE)]
    for arguments in (["check", "--quiet", "--select", "I", "--fix"], ["format"]):
        done = subprocess.run([ruff, *arguments, *config, "-"], input=text, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"ruff failed:\n{done.stderr}")
        text = done.stdout
    return text


def _homes() -> Mapping[str, str]:
    """Return the module of each name that the annotations of the hook methods may use."""
    return {
        alias.name: node.module
        for source in SOURCES
        for node in ast.walk(ast.parse((ROOT / source).read_text()))
        if isinstance(node, ast.ImportFrom) and node.module
        for alias in node.names
    }


def _bound(row: HookRow) -> str:
    signature = inspect.signature(getattr(Plugin, row.method))
    taken = ", ".join(str(parameter.annotation) for name, parameter in signature.parameters.items() if name != "self")
    result = re.fullmatch(r"MaybeAwaitable\[(.*)\]", str(signature.return_annotation))
    if result is None:
        raise SystemExit(f"Plugin.{row.method} is not annotated to return a MaybeAwaitable")
    return f"_Fit[[{taken}], {result[1]}]"


def _overload(row: HookRow) -> str:
    return (
        "    @overload\n"
        f"    def __call__(self, name: _{row.name}Name, /, *, on_failure: _Policy = None) "
        f"-> Callable[[_{row.name}], _{row.name}]: ...\n"
    )


if __name__ == "__main__":
    raise SystemExit(main())
