"""The decorator that makes a method a slash command.

Layer:  plugin. Light: what reads the signatures is loaded for plugins that have commands.
See:    docs/how-to/slash-commands.md
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from mm_plugin.exceptions import DeclarationError
from mm_plugin.plugin.declared import marked, marks_of_class

__all__ = ("CommandMark", "command", "command_marks")

_F = TypeVar("_F", bound=Callable[..., object])
_ATTRIBUTE = "__mm_plugin_command__"


@dataclass(frozen=True, slots=True)
class CommandMark:
    """What ``@command`` said about one method.

    Attributes:
        words: The trigger, and the words of a subcommand.
        description: What it does; the first line of the docstring where empty.
        hint: Its arguments for the list of commands; made of the signature where empty.
        display_name: Its name for people; the trigger where empty.
    """

    words: tuple[str, ...]
    description: str
    hint: str
    display_name: str


def command(words: str, *, description: str = "", hint: str = "", display_name: str = "") -> Callable[[_F], _F]:
    """Answer a slash command, or a subcommand of one, by a method of a Plugin.

    The method's parameters are the command's arguments: positional ones take a word each, ``*words`` or a last ``list``
    takes the rest, keyword-only ones are flags. They may be str, int, float, bool, Literal, an Enum, Optional; one
    annotated CommandArgs or PluginContext gets the hook's own. What does not fit is answered with help. The method
    returns a str, which the user alone sees, a CommandResponse, Reject, or None.

    Args:
        words: ``"remind"``, or ``"remind list"`` for a subcommand.
        description: What it does; the first line of the docstring by default.
        hint: Its arguments for the list of commands; made of the signature by default.
        display_name: Its name for people; the trigger by default.

    Raises:
        DeclarationError: By the ``class`` statement: a word is malformed or taken, or a parameter has a type that no
            word can be.
    """
    if not isinstance(words, str):  # pyright: ignore[reportUnnecessaryIsInstance] - @command without parentheses
        raise DeclarationError('@command needs the words that call it, such as @command("remind")')
    mark = CommandMark(tuple(words.split()), description, hint, display_name)
    return lambda function: marked(function, _ATTRIBUTE, mark)


def command_marks(cls: type) -> Mapping[str, CommandMark]:
    """Return what ``@command`` said about the methods of a class, by their names."""
    return marks_of_class(cls, _ATTRIBUTE, CommandMark)
