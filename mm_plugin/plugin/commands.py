"""The tree of slash commands that a plugin class has.

Job:    read ``@command`` methods and their signatures, refuse what cannot work, say how each command is used.
Layer:  plugin.
Errors: DeclarationError, raised by the ``class`` statement.
See:    docs/how-to/slash-commands.md
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import get_args, get_origin, get_type_hints

from mm_plugin.exceptions import DeclarationError
from mm_plugin.plugin.command_line import Form, Parameter
from mm_plugin.plugin.command_mark import CommandMark, command_marks
from mm_plugin.plugin.value_types import ValueType, value_type

__all__ = ("CommandNode", "collect_commands")

_WORD = re.compile(r"[a-z0-9][a-z0-9_.-]{0,127}")
_TAKES = {"text", "number", "boolean", "choice", "any"}


_NO_MARK = CommandMark((), "", "", "")


@dataclass(slots=True)
class CommandNode:
    """A command or subcommand.

    Attributes:
        words: What leads to it, the trigger first.
        method: The method that answers it; "" where it has subcommands only.
        mark: What the decorator said.
        description: What it does.
        parameters: The method's.
        children: Its subcommands by their words.
    """

    words: tuple[str, ...]
    method: str = ""
    mark: CommandMark = _NO_MARK
    description: str = ""
    parameters: tuple[Parameter, ...] = ()
    children: dict[str, CommandNode] = field(default_factory=dict[str, "CommandNode"])

    @property
    def hint(self) -> str:
        """Its arguments, for the list of commands."""
        children = f"[{'|'.join(sorted(self.children))}]" if self.children else ""
        return self.mark.hint or " ".join(filter(None, (children, *map(_usage_of, self.parameters))))

    def help(self) -> str:
        """Return how it and its subcommands are used, in Markdown."""
        lines: list[str] = []
        if self.method:
            usage = " ".join((f"/{' '.join(self.words)}", *filter(None, map(_usage_of, self.parameters))))
            lines.append(f"`{usage}`{f': {self.description}' if self.description else ''}")
        lines += (child.help() for _, child in sorted(self.children.items()))
        return "\n".join(lines)


def collect_commands(cls: type) -> Mapping[str, CommandNode]:
    """Return the commands of a class by their triggers.

    Raises:
        DeclarationError: See ``command``.
    """
    roots: dict[str, CommandNode] = {}
    for method, mark in command_marks(cls).items():
        where = f"{cls.__qualname__}.{method}"
        if not mark.words:
            raise DeclarationError(f'{where}: @command needs the word after the slash, such as @command("remind")')
        level, node = roots, CommandNode(())
        for depth, word in enumerate(mark.words, 1):
            if not _WORD.fullmatch(word):
                raise DeclarationError(
                    f"{where}: {word!r} cannot be the word of a command; use a-z, 0-9, _ . - and no slash"
                )
            node = level.setdefault(word, CommandNode(mark.words[:depth]))
            level = node.children
        if node.method:
            raise DeclarationError(f"{where}: /{' '.join(mark.words)} has a method already, {node.method}; keep one")
        function = getattr(cls, method)
        node.method, node.mark = method, mark
        node.description = mark.description or (inspect.getdoc(function) or "").partition("\n")[0]
        node.parameters = _parameters(function, where, has_self=inspect.isfunction(inspect.getattr_static(cls, method)))
    return roots


# -- signatures -----------------------------------------------------------------------------------------------


def _parameters(function: Callable[..., object], where: str, *, has_self: bool) -> tuple[Parameter, ...]:
    try:
        hints = get_type_hints(function)
    except NameError as error:
        raise DeclarationError(f"{where}: {error}; the types of a command must be importable at run time") from None
    parameters = list(inspect.signature(function).parameters.values())[has_self:]
    found = [_parameter(parameter, hints.get(parameter.name, str), where) for parameter in parameters]
    flags = [parameter.flag for parameter in found if parameter.form is Form.FLAG]
    if "help" in flags:
        raise DeclarationError(f"{where}: --help is answered already; give the parameter another name")
    places = [parameter for parameter in found if parameter.form in {Form.WORD, Form.REST}]
    for earlier in places[:-1]:
        if earlier.form is Form.REST:
            raise DeclarationError(f"{where}: {earlier.name} takes all words; it must be the last before the flags")
    return tuple(found)


def _parameter(parameter: inspect.Parameter, hint: object, where: str) -> Parameter:
    from mm_plugin.messages.commands import CommandArgs
    from mm_plugin.messages.common import PluginContext

    where = f"{where}({parameter.name})"
    required = parameter.default is parameter.empty
    keyword = parameter.kind is parameter.KEYWORD_ONLY
    if parameter.kind is parameter.VAR_KEYWORD:
        raise DeclarationError(f"{where}: a command cannot take any flag there is; name them")
    for form, message in ((Form.ARGS, CommandArgs), (Form.CONTEXT, PluginContext)):
        if hint is message:
            return Parameter(parameter.name, form, value_type(object, where), keyword=keyword)
    variadic = parameter.kind is parameter.VAR_POSITIONAL
    inner = _item_of(hint)
    repeated = variadic or inner is not None
    kind = _word_type(hint if inner is None else inner, where)
    place = Form.REST if repeated else Form.WORD
    form = Form.FLAG if keyword else place
    default = None if required else parameter.default
    return Parameter(
        parameter.name,
        form,
        kind,
        required and not repeated,
        default,
        repeated=repeated,
        variadic=variadic,
        keyword=keyword,
    )


def _item_of(hint: object) -> object | None:
    """Return of what a list is; None for what is no list."""
    members: tuple[object, ...] = get_args(hint)
    return members[0] if get_origin(hint) is list else None


def _word_type(hint: object, where: str) -> ValueType:
    found = value_type(hint, where)
    if found.kind not in _TAKES:
        raise DeclarationError(f"{where}: a word cannot be {found.expected}; use str, int, float, bool or choices")
    return found


def _usage_of(parameter: Parameter) -> str:
    choices = "|".join(parameter.type.choices)
    match parameter.form:
        case Form.WORD:
            name = choices or parameter.name
            return f"<{name}>" if parameter.required else f"[{name}]"
        case Form.REST:
            return f"[{parameter.name} ...]"
        case Form.FLAG:
            value = "" if parameter.type.kind == "boolean" else f" {choices or parameter.name.upper()}"
            usage = f"--{parameter.flag}{value}"
            return usage if parameter.required else f"[{usage}]"
        case _:
            return ""
