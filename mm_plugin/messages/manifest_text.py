"""Decode the text of a manifest, JSON or YAML, and remember where in it each field stands.

Job:    octets into plain JSON values, and a field's path into its line.
Layer:  messages. PyYAML is imported only where there is YAML to read.
Errors: ManifestError with file and line.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, NoReturn, cast

from mm_plugin.exceptions import ManifestError

if TYPE_CHECKING:
    from yaml import Node

__all__ = ("ManifestText", "decode_json", "decode_yaml", "kind_of")

_BLANKS = re.compile(r"[ \t\r\n]*")
_KINDS: Mapping[type, str] = {
    dict: "an object",
    list: "a list",
    str: "text",
    bool: "a boolean",
    int: "a number",
    float: "a number",
    type(None): "null",
}


def kind_of(value: object) -> str:
    """Return what a JSON value is, in words."""
    return _KINDS.get(type(value), type(value).__name__)


class ManifestText:
    """A decoded manifest.

    Args:
        fields: Its top level.
        where: The file's name for errors.
        find_line: Gives the line of a path, 0 where the text has no such field.
    """

    def __init__(self, fields: dict[str, object], where: str, find_line: Callable[[Sequence[str]], int]) -> None:
        self.fields = fields
        self.where = where
        self._find_line = find_line

    def place(self, path: Sequence[str]) -> str:
        """Return file, line and dotted path of a field; the line of what it is missing from where it is not there."""
        line = next((line for end in range(len(path), 0, -1) if (line := self._find_line(path[:end]))), 0)
        return f"{self.where}: {f'line {line}: ' if line else ''}{'.'.join(path)}"


def decode_json(octets: bytes, where: str) -> ManifestText:
    """Decode plugin.json.

    Raises:
        ManifestError: It is no JSON object in UTF-8.
    """
    if octets.startswith(codecs.BOM_UTF8):
        raise ManifestError(
            f"{where}: line 1: begins with a byte order mark, which is no JSON; save it as UTF-8 without"
        )
    text = _utf_8(octets, where)
    try:
        value: object = json.loads(text, parse_constant=_no_constant)
        _refuse_halves(value)
    except json.JSONDecodeError as error:
        raise ManifestError(f"{where}: line {error.lineno}, column {error.colno}: bad JSON: {error.msg}") from None
    except (ValueError, RecursionError) as error:  # a number too long, NaN, nesting too deep
        raise ManifestError(f"{where}: bad JSON: {error}") from None
    return ManifestText(_object(value, where), where, lambda path: _line_in_json(text, path))


def decode_yaml(octets: bytes, where: str) -> ManifestText:
    """Decode plugin.yaml: what JSON can say, written as YAML; dates stay text.

    Raises:
        ManifestError: It is no such YAML, or PyYAML is not installed.
    """
    text = _utf_8(octets, where)
    try:
        import yaml
    except ImportError:
        raise ManifestError(
            f"{where}: reading YAML needs PyYAML; install it with: pip install 'mm-plugin[dev]', "
            "or write the same as plugin.json"
        ) from None

    try:
        loader = yaml.SafeLoader(text)
        loader.yaml_implicit_resolvers = {  # makes no dates, which JSON does not know
            first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith(":timestamp")]
            for first, resolvers in loader.yaml_implicit_resolvers.items()
        }
        root = loader.get_single_node()
        _refuse_aliases(root, where)
        value: object = None if root is None else loader.construct_document(root)  # pyright: ignore[reportUnknownMemberType]
        value = json.loads(json.dumps(value, allow_nan=False))
        _refuse_halves(value)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark is not None else ""
        raise ManifestError(f"{where}: {place}bad YAML: {error.problem or error.context}") from None
    except (yaml.YAMLError, RecursionError) as error:
        raise ManifestError(f"{where}: bad YAML: {' '.join(str(error).split())}") from None
    except (ValueError, TypeError) as error:  # a value that JSON cannot say
        raise ManifestError(f"{where}: bad YAML: {error}") from None
    return ManifestText(_object(value, where), where, lambda path: _line_in_yaml(root, path))


def _refuse_aliases(root: Node | None, where: str) -> None:
    """Raise where one value stands in two places: a short text could stand for an endless value."""
    from yaml import MappingNode, SequenceNode

    seen: set[int] = set()
    waiting = [] if root is None else [root]
    while waiting:
        node = waiting.pop()
        if id(node) in seen:
            raise ManifestError(
                f"{where}: line {node.start_mark.line + 1}: aliases are not read; write the value again"
            )
        seen.add(id(node))
        if isinstance(node, MappingNode):
            waiting += [part for pair in node.value for part in pair]
        elif isinstance(node, SequenceNode):
            waiting += node.value


def _utf_8(octets: bytes, where: str) -> str:
    try:
        return octets.decode("utf-8")
    except UnicodeDecodeError as error:
        line = octets.count(b"\n", 0, error.start) + 1
        raise ManifestError(f"{where}: line {line}: expected UTF-8, found octet 0x{octets[error.start]:02x}") from None


def _object(value: object, where: str) -> dict[str, object]:
    if not isinstance(value, dict):
        raise ManifestError(f"{where}: expected an object with the plugin's id, found {kind_of(value)}")
    return cast("dict[str, object]", value)


def _refuse_halves(value: object) -> None:
    """Raise where a text holds what no file, message or terminal can."""
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise ValueError("half of a surrogate pair, such as \\ud800, is no character") from None


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"JSON has no {name}")


def _line_in_json(text: str, path: Sequence[str]) -> int:
    """Walk through a text that is known to be JSON; of two fields of one name the last counts, as in the decoder."""
    decode = json.JSONDecoder().raw_decode
    at, found = _after_blanks(text, 0), -1
    for name in path:
        if text[at] != "{":
            return 0
        found = inner = -1
        at = _after_blanks(text, at + 1)
        while text[at] != "}":
            key_at = at
            key, at = decode(text, at)
            value_at = _after_blanks(text, _after_blanks(text, at) + 1)
            if key == name:
                found, inner = key_at, value_at
            at = _after_blanks(text, decode(text, value_at)[1])
            if text[at] == ",":
                at = _after_blanks(text, at + 1)
        if found < 0:
            return 0
        at = inner
    return text.count("\n", 0, found) + 1


def _after_blanks(text: str, at: int) -> int:
    match = _BLANKS.match(text, at)
    assert match is not None
    return match.end()


def _line_in_yaml(root: Node | None, path: Sequence[str]) -> int:
    from yaml import MappingNode

    node, line = root, 0
    for name in path:
        if not isinstance(node, MappingNode):
            return 0
        line = 0
        for key, value in node.value:
            if key.value == name:
                node, line = value, key.start_mark.line + 1
        if not line:
            return 0
    return line
