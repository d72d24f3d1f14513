"""The text of a slash command: split into words and read as the arguments of a function.

Job:    words, quotes and flags; values by the parameters' types.
Layer:  plugin; no I/O.
Errors: UsageError, whose text is for the user who typed the command.

Words are parted by spaces. A word that begins with a double quote, straight or typographic, reaches to the closing one
and may hold spaces; inside, a backslash stands before a quote or a backslash. ``--flag value`` and ``--flag=value`` may
stand anywhere until a lone ``--``; phones that write a dash for two hyphens are understood.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from enum import Enum, auto

from mm_plugin import limits
from mm_plugin.plugin.value_types import Unfit, ValueType

__all__ = ("Arguments", "Form", "Parameter", "UsageError", "Word", "read_arguments", "split_words")

_OPENING, _CLOSING = '"“”„', '"“”'


class UsageError(Exception):
    """What was typed does not fit the command; the text says why."""


@dataclass(frozen=True, slots=True)
class Word:
    """One word; a quoted one is never a flag or a subcommand."""

    text: str
    quoted: bool = False


class Form(Enum):
    """How a parameter gets its value."""

    WORD = auto()  # one word
    REST = auto()  # all words that are left
    FLAG = auto()  # --name value
    ARGS = auto()  # the hook's CommandArgs
    CONTEXT = auto()  # the hook's PluginContext


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a command's method.

    Attributes:
        name: Its name.
        form: How it gets its value.
        type: What values it takes; of REST and of a repeated flag that of one of them.
        required: Whether it has no default.
        default: Its default.
        repeated: Whether it takes a list.
        variadic: Whether it is ``*name``.
        keyword: Whether it is passed by its name.
    """

    name: str
    form: Form
    type: ValueType
    required: bool = True
    default: object = None
    repeated: bool = False
    variadic: bool = False
    keyword: bool = False

    @property
    def flag(self) -> str:
        """The flag's name, without hyphens in front."""
        return self.name.replace("_", "-").strip("-")


#: Values by the parameters' names; those that were not given are absent.
Arguments = dict[str, object]


def split_words(line: str) -> list[Word]:
    """Return the words of a line.

    Raises:
        UsageError: A quote is not closed, or there are too many words.
    """
    words: list[Word] = []
    at = 0
    while True:
        while at < len(line) and line[at].isspace():
            at += 1
        if at == len(line):
            return words
        if len(words) == limits.command_words:
            raise UsageError(f"That is too long: a command takes up to {limits.command_words} words.")
        text, quoted = "", line[at] in _OPENING
        while at < len(line) and not line[at].isspace():
            if line[at] in _OPENING and (not text or (text.startswith("--") and text.endswith("="))):
                part, at = _quoted(line, at + 1)
                text += part
                break
            text += line[at]
            at += 1
        words.append(Word(text, quoted))


def _quoted(line: str, at: int) -> tuple[str, int]:
    """Return what stands from here to the closing quote, and the place after that."""
    text = ""
    while at < len(line):
        if line[at] == "\\" and line[at + 1 : at + 2] in (*_CLOSING, "\\"):
            at += 1
        elif line[at] in _CLOSING:
            return text, at + 1
        text += line[at]
        at += 1
    raise UsageError('A quote is not closed: put `"` at its end.')


def read_arguments(parameters: Sequence[Parameter], words: Sequence[Word]) -> Arguments:
    """Return the values that words give to parameters.

    Raises:
        UsageError: A word does not fit, one is too many, a flag is unknown, or a required value is missing.
    """
    flags = {parameter.flag: parameter for parameter in parameters if parameter.form is Form.FLAG}
    places = [parameter for parameter in parameters if parameter.form in {Form.WORD, Form.REST}]
    values: Arguments = {}
    left = list(words[::-1])
    flags_end = not flags
    while left:
        word = left.pop()
        name = "" if word.quoted or flags_end else _flag_name(word.text)
        if name == "--":
            flags_end = True
        elif name:
            _read_flag(name, flags, left, values)
        elif not places:
            raise UsageError(f"I do not know what to do with `{word.text}`. Put text of several words in quotes.")
        else:
            _put(values, places[0], word.text)
            if places[0].form is Form.WORD:
                del places[0]
    for parameter in parameters:
        if parameter.required and parameter.form in {Form.WORD, Form.FLAG} and parameter.name not in values:
            called = f"--{parameter.flag}" if parameter.form is Form.FLAG else parameter.name
            raise UsageError(f"`{called}` is missing; it is {parameter.type.expected}.")
    return values


def _flag_name(text: str) -> str:
    """Return what stands after the hyphens, "--" for hyphens alone, "" for what is no flag."""
    if text == "--":
        return text
    if text.startswith("--"):
        return text[2:]
    return text[1:] if text.startswith("—") and text[1:2].isalpha() else ""


def _read_flag(text: str, flags: dict[str, Parameter], left: list[Word], values: Arguments) -> None:
    name, equals, value = text.partition("=")
    name = name.lower()
    negated = flags.get(name.removeprefix("no-")) if name.startswith("no-") and name not in flags else None
    parameter = negated or flags.get(name)
    if parameter is None or (negated is not None and (negated.type.kind != "boolean" or equals)):
        near = get_close_matches(name, flags, n=1)
        raise UsageError(f"There is no flag `--{name}`{f'; did you mean `--{near[0]}`?' if near else '.'}")
    if parameter.type.kind == "boolean" and not equals:
        values[parameter.name] = negated is None
        return
    if not equals:
        if not left:
            raise UsageError(f"`--{name}` needs a value: {parameter.type.expected}.")
        value = left.pop().text
    _put(values, parameter, value)


def _put(values: Arguments, parameter: Parameter, text: str) -> None:
    try:
        value = parameter.type.convert(text)
    except Unfit:
        called = f"--{parameter.flag}" if parameter.form is Form.FLAG else parameter.name
        raise UsageError(f"`{called}` must be {parameter.type.expected}, not `{text}`.") from None
    if parameter.repeated:
        found = values.setdefault(parameter.name, [])
        assert isinstance(found, list)
        found.append(value)  # pyright: ignore[reportUnknownMemberType] - of whatever the author declared
    else:
        values[parameter.name] = value
