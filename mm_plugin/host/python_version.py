"""Does an interpreter have the version that a manifest asks for?

Layer:  host. Asks the interpreter itself, unless it is the one that runs this.
Input:  ``server.python_version``: ``3.11`` (that one or newer), or comparisons such as ``>=3.11,<3.14``.
Errors: ManifestError for a text that is neither, ConfigurationError for an interpreter that does not do.
"""

from __future__ import annotations

import operator
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import anyio

from mm_plugin import limits
from mm_plugin.exceptions import ConfigurationError, ManifestError

__all__ = ("check_python_version", "parse_python_version")

_Version = tuple[int, ...]
_COMPARISON = re.compile(r"(>=|<=|==|!=|~=|>|<|)\s*(\d{1,3}(?:\.\d{1,4}){0,2})(\.\*)?\+?")
_ASK = "import sys; print(*sys.version_info[:3])"


def _same_series(version: _Version, wanted: _Version) -> bool:
    return version[: len(wanted)] == wanted


_OPERATORS: dict[str, Callable[[_Version, _Version], bool]] = {
    "": operator.ge,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": lambda version, wanted: version[: len(wanted)] <= wanted,
    ">": lambda version, wanted: version[: len(wanted)] > wanted,
    "==": _same_series,
    "!=": lambda version, wanted: not _same_series(version, wanted),
    "~=": lambda version, wanted: version >= wanted and _same_series(version, wanted[:-1]),
}


def parse_python_version(text: str) -> Callable[[_Version], bool] | None:
    """Return what tells whether a version is meant by a text; None where the text says nothing that is understood.

    Args:
        text: Comparisons separated by commas; a number alone means that version or a newer one.
    """
    tests: list[tuple[Callable[[_Version, _Version], bool], _Version]] = []
    for part in text.split(","):
        match = _COMPARISON.fullmatch(part.strip())
        if match is None:
            return None
        tests.append((_OPERATORS[match[1]], tuple(int(number) for number in match[2].split("."))))
    return lambda version: all(test(version, wanted) for test, wanted in tests)


async def check_python_version(bundle: Path, interpreter: Path, text: str) -> None:
    """Check that an interpreter has the version a manifest asks for.

    Args:
        bundle: The bundle's folder, for errors.
        interpreter: The Python that is to run the plugin.
        text: ``server.python_version``; nothing is checked where it is "".

    Raises:
        ManifestError: The text is no version.
        ConfigurationError: The interpreter has another version, or is no Python.
    """
    if not text:
        return
    fits = parse_python_version(text)
    if fits is None:
        raise ManifestError(
            f"{bundle}: server.python_version: expected a version such as 3.11 or >=3.11,<3.14, found {text!r}"
        )
    version = sys.version_info[:3] if str(interpreter) == sys.executable else await _version_of(bundle, interpreter)
    if not fits(version):
        raise ConfigurationError(
            f"{bundle}: server.python_version: expected Python {text}, but {interpreter} is "
            f"{'.'.join(str(number) for number in version)}; give the bundle a venv made with such a Python"
        )


async def _version_of(bundle: Path, interpreter: Path) -> _Version:
    output = b""
    try:
        with anyio.move_on_after(limits.host_interpreter_answer_s):
            output = (
                await anyio.run_process([str(interpreter), "-I", "-S", "-c", _ASK], stdin=subprocess.DEVNULL)
            ).stdout
        return tuple(int(number) for number in output.split())[:3] or _no_python(bundle, interpreter)
    except (OSError, ValueError, subprocess.CalledProcessError):
        return _no_python(bundle, interpreter)


def _no_python(bundle: Path, interpreter: Path) -> _Version:
    raise ConfigurationError(f"{bundle}: {interpreter} does not say its version; is it a Python?")
