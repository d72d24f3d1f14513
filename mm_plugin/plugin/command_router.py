"""Slash commands at work: registered at activation, and answered by the methods that declare them.

Job:    from ExecuteCommand to the method and back; help and usage errors on the way.
Layer:  plugin. Has the place of the author's execute_command, which gets the commands that nobody declares.
Errors: what the author's method raises, answered by the hook's failure policy.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from mm_plugin.exceptions import HookResultError
from mm_plugin.hooks.results import Reject
from mm_plugin.messages.commands import Command, CommandArgs, CommandResponse
from mm_plugin.plugin.command_line import Arguments, Form, Parameter, UsageError, Word, read_arguments, split_words
from mm_plugin.plugin.declared import call

if TYPE_CHECKING:
    from mm_plugin.hooks.threads import HookThreads
    from mm_plugin.messages.common import PluginContext
    from mm_plugin.plugin.commands import CommandNode
    from mm_plugin.plugin.plugin import Plugin

__all__ = ("CommandRouter",)


class CommandRouter:
    """Answers the commands of one plugin.

    Args:
        plugin: The plugin, attached.
        commands: Its commands by their triggers.
        other: The author's execute_command, where there is one.
        threads: Where blocking methods run.
    """

    def __init__(
        self,
        plugin: Plugin,
        commands: Mapping[str, CommandNode],
        other: Callable[[PluginContext, CommandArgs], object] | None,
        threads: HookThreads,
    ) -> None:
        self._plugin = plugin
        self._commands = commands
        self._other = other
        self._threads = threads

    async def register(self) -> None:
        """Register each command with the server, for all teams; it forgets them when the plugin stops.

        Raises:
            PluginAPIError: The server refuses one.
        """
        for trigger, node in self._commands.items():
            description = node.description or f"Subcommands: {', '.join(sorted(node.children))}"
            await self._plugin.api.register_command(
                Command(
                    trigger=trigger,
                    display_name=node.mark.display_name or trigger,
                    description=description,
                    auto_complete=True,
                    auto_complete_desc=description,
                    auto_complete_hint=node.hint,
                )
            )

    async def execute(self, context: PluginContext, args: CommandArgs) -> object:
        """Answer one command; see ExecuteCommand."""
        trigger = next(iter(args.command.split(maxsplit=1)), "").removeprefix("/").lower()
        node = self._commands.get(trigger)
        if node is None:
            if self._other is not None:
                return await call(partial(self._other, context, args), self._threads)
            return _tell(f"There is no command `/{trigger}` here.")
        try:
            node, words = _descend(node, split_words(args.command)[1:])
            if _asks_for_help(node, words):
                return _tell(node.help())
            if not node.method:
                raise UsageError(f"There is no subcommand `{words[0].text}`." if words else "A subcommand is missing.")
            values = read_arguments(node.parameters, words)
        except UsageError as error:
            return _tell(f"{error}\n\n{node.help()}")
        positional, keywords = _bind(node.parameters, values, context, args)
        method = partial(getattr(self._plugin, node.method), *positional, **keywords)
        result = await call(method, self._threads)
        if result is None:
            return CommandResponse()
        if isinstance(result, str):
            return _tell(result)
        if not isinstance(result, CommandResponse | Reject):
            wrong = HookResultError(
                f"ExecuteCommand: /{trigger} returned {type(result).__name__}; it may return str, CommandResponse, "
                "Reject or None"
            )
            wrong.blame(method)
            raise wrong
        return result


def _tell(text: str) -> CommandResponse:
    """Return an answer that the user alone sees."""
    return CommandResponse(response_type="ephemeral", text=text)


def _descend(node: CommandNode, words: Sequence[Word]) -> tuple[CommandNode, Sequence[Word]]:
    """Follow the words of subcommands; return the last one's node and the words left."""
    while words and not words[0].quoted and words[0].text.lower() in node.children:
        node, words = node.children[words[0].text.lower()], words[1:]
    return node, words


def _asks_for_help(node: CommandNode, words: Sequence[Word]) -> bool:
    """Tell whether help is asked for; the bare word counts where it can be nothing else."""
    if len(words) != 1 or words[0].quoted:
        return not words and not node.method
    takes_words = any(parameter.form in {Form.WORD, Form.REST} for parameter in node.parameters)
    return words[0].text == "--help" or (words[0].text.lower() == "help" and not takes_words)


def _bind(
    parameters: Sequence[Parameter], values: Arguments, context: PluginContext, args: CommandArgs
) -> tuple[list[object], dict[str, object]]:
    positional: list[object] = []
    keywords: dict[str, object] = {}
    given = {Form.ARGS: args, Form.CONTEXT: context}
    for parameter in parameters:
        absent = list[object]() if parameter.repeated and parameter.default is None else parameter.default
        value = given[parameter.form] if parameter.form in given else values.get(parameter.name, absent)
        if parameter.keyword:
            keywords[parameter.name] = value
        elif parameter.variadic:
            assert isinstance(value, list)
            positional += value
        else:
            positional.append(value)
    return positional, keywords
