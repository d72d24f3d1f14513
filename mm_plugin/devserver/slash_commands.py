"""Slash commands: which plugin has which, and what becomes of its answer.

Layer:  devserver, over the store, the host and ``posting``.
Errors: the server's own; those of the plugin's ExecuteCommand as they are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mm_plugin.devserver.errors import failed, invalid, missing
from mm_plugin.devserver.triggers import new_trigger_id
from mm_plugin.host.hook_client import HookContext
from mm_plugin.messages.commands import Command, CommandArgs, CommandResponse
from mm_plugin.messages.helpers import new_id, now_ms
from mm_plugin.messages.posts import Post

if TYPE_CHECKING:
    from mm_plugin.devserver.ephemeral import EphemeralPosts
    from mm_plugin.devserver.posting import Posting
    from mm_plugin.devserver.store import Store
    from mm_plugin.host.host import Host

__all__ = ("IN_CHANNEL", "SlashCommands")

#: The response type that everybody in the channel sees; all others are for the user alone.
IN_CHANNEL = "in_channel"


class SlashCommands:
    """The slash commands that plugins have registered."""

    def __init__(self, store: Store, host: Host, posting: Posting, ephemeral: EphemeralPosts) -> None:
        self._store = store
        self._host = host
        self._posting = posting
        self._ephemeral = ephemeral

    async def register(self, plugin_id: str, command: Command) -> None:
        """Add a plugin's command, or replace its own of the same team and trigger.

        Raises:
            ValidationError: The trigger is malformed, or belongs to another plugin.
        """
        trigger = command.trigger.lower()
        if not trigger or trigger.startswith("/") or any(character.isspace() for character in trigger):
            raise invalid(
                "model.command.is_valid.trigger.app_error",
                f"A command's trigger is one word without a slash, not {command.trigger!r}.",
                "RegisterCommand",
            )
        new = Command()
        new.CopyFrom(command)
        new.id, new.trigger, new.plugin_id = new_id(), trigger, plugin_id
        new.create_at = new.update_at = now_ms()
        await self._store.commands.delete(
            "plugin_id = ? AND team_id = ? AND trigger = ?", plugin_id, new.team_id, trigger
        )
        if not await self._store.commands.insert(new):
            raise invalid(
                "api.command.duplicate_trigger.app_error", f"Another plugin has /{trigger} already.", "RegisterCommand"
            )

    async def unregister(self, plugin_id: str, team_id: str = "", trigger: str = "") -> None:
        """Remove a plugin's command, or all of them where no trigger is given."""
        if trigger:
            where = "plugin_id = ? AND team_id = ? AND trigger = ?"
            await self._store.commands.delete(where, plugin_id, team_id, trigger.lower())
        else:
            await self._store.commands.delete("plugin_id = ?", plugin_id)

    async def list(self, team_id: str = "") -> list[Command]:
        """Return the commands of a team, those for all teams among them, whose plugins run or start."""
        found = await self._store.commands.find("team_id IN ('', ?)", team_id, order="trigger")
        return [command for command in found if self._has_plugin(command)]

    def _has_plugin(self, command: Command) -> bool:
        plugin = self._host.plugins.get(command.plugin_id)
        return plugin is not None and not plugin.state.is_over

    async def execute(self, args: CommandArgs, *, context: HookContext | None = None) -> CommandResponse:
        """Run a slash command, and show its answer to whom it is meant for.

        Args:
            args: ``command`` is the whole line, from the slash on; the trigger id is made here.
            context: For whom.

        Raises:
            ValidationError: It is no slash command.
            NotFoundError: Nobody has registered it.
            PluginAPIError: The plugin does not run, answered with an error, or failed.
        """
        if not args.command.startswith("/") or len(args.command.split()) == 0:
            raise invalid("api.context.invalid_body_param.app_error", "A command begins with a slash.", "command")
        trigger = args.command.split()[0][1:].lower()
        found = await self._store.commands.find("trigger = ? AND team_id IN ('', ?)", trigger, args.team_id)
        if not found:
            raise missing(
                "api.command.execute_command.not_found.app_error", f"Command with a trigger of '/{trigger}'", "command"
            )
        plugin = self._host.running(found[0].plugin_id)
        if plugin is None or plugin.hooks is None:
            raise failed(
                "api.command.execute_command.failed.app_error",
                f"The plugin {found[0].plugin_id} of the command /{trigger} does not run.",
                "command",
            )
        args.trigger_id = new_trigger_id(args.user_id)
        response = await plugin.hooks.execute_command(args, context=context or HookContext(user_id=args.user_id))
        if response is None:
            return CommandResponse()
        await self.show(args, response)
        return response

    async def show(self, args: CommandArgs, response: CommandResponse) -> None:
        """Show a command's answer to its user, or to the whole channel; one without text shows nothing."""
        if not response.text:
            return
        post = Post(
            user_id=args.user_id,
            channel_id=response.channel_id or args.channel_id,
            root_id=args.root_id,
            message=response.text,
        )
        post.props.CopyFrom(response.props)
        if response.response_type == IN_CHANNEL:
            await self._posting.create(post)
        else:
            await self._ephemeral.show(args.user_id, post)
