"""Slash commands as plugins see them."""

from __future__ import annotations

import re

from mm_plugin.devserver.api_base import APIBase, needed
from mm_plugin.devserver.config import check_enabled
from mm_plugin.devserver.custom_commands import execute
from mm_plugin.devserver.errors import invalid, missing
from mm_plugin.devserver.outgoing import is_web_url
from mm_plugin.messages.commands import Command, CommandArgs, CommandResponse
from mm_plugin.messages.helpers import new_id, now_ms

__all__ = ("CommandsHandler",)

_TRIGGER = re.compile(r"[^/\s]\S{0,127}")


class CommandsHandler(APIBase):
    """Slash commands."""

    async def register_command(self, command: Command | None) -> None:
        """Have a slash command call the plugin."""
        await self._app.commands.register(self._plugin_id, needed(command, "command"))

    async def unregister_command(self, team_id: str, trigger: str) -> None:
        """Give a slash command up; one that does not exist is no error."""
        if trigger:
            await self._app.commands.unregister(self._plugin_id, team_id, trigger)

    async def execute_slash_command(self, command_args: CommandArgs | None) -> CommandResponse:
        """Run a slash command as a user would."""
        return await execute(self._app, needed(command_args, "command_args"))

    async def list_commands(self, team_id: str) -> list[Command]:
        """Return all commands of a team."""
        return [*await self._app.commands.list(team_id), *await self.list_custom_commands(team_id)]

    async def list_plugin_commands(self, team_id: str) -> list[Command]:
        """Return the commands that plugins have registered."""
        return await self._app.commands.list(team_id)

    async def list_custom_commands(self, team_id: str) -> list[Command]:
        """Return the commands that ``create_command`` has made in a team."""
        return await self._store.custom_commands.find("team_id = ?", team_id, order="trigger")

    async def list_built_in_commands(self) -> list[Command]:
        """Return the server's own commands: none here."""
        return []

    # -- custom commands --------------------------------------------------------------------------------------

    async def create_command(self, cmd: Command | None) -> Command:
        """Add a command of a team that calls a URL; token and id are made here."""
        await check_enabled(
            self._store, "ServiceSettings", "EnableCommands", "api.command.disabled.app_error", "CreateCommand"
        )
        new = Command()
        new.CopyFrom(needed(cmd, "cmd"))
        new.id, new.token, new.plugin_id = new_id(), new_id(), self._plugin_id
        new.create_at = new.update_at = now_ms()
        return await self._keep_command(new)

    async def get_command(self, command_id: str) -> Command:
        """Return a command, of a plugin or a custom one."""
        command = await self._store.commands.get(command_id) or await self._store.custom_commands.get(command_id)
        if command is None:
            raise missing("store.sql_command.get.missing.app_error", "The command", "GetCommand")
        return command

    async def update_command(self, command_id: str, updated_cmd: Command | None) -> Command:
        """Replace a custom command; id, token, creator and time of creation stay, the team where none is given."""
        changed = needed(updated_cmd, "updated_cmd")
        kept = await self._custom(command_id)
        new = Command()
        new.CopyFrom(changed)
        new.id, new.token, new.plugin_id = kept.id, kept.token, kept.plugin_id
        new.creator_id, new.create_at, new.team_id = kept.creator_id, kept.create_at, changed.team_id or kept.team_id
        new.update_at = now_ms()
        return await self._keep_command(new)

    async def delete_command(self, command_id: str) -> None:
        """Delete a custom command."""
        await self._custom(command_id)
        await self._store.custom_commands.delete("id = ?", command_id)

    async def _custom(self, command_id: str) -> Command:
        command = await self._store.custom_commands.get(command_id)
        if command is None:
            raise missing("store.sql_command.get.missing.app_error", "The custom command", "GetCommand")
        return command

    async def _keep_command(self, command: Command) -> Command:
        command.trigger = command.trigger.lower()
        if not _TRIGGER.fullmatch(command.trigger):
            text = f"A command's trigger is one word without a slash, not {command.trigger[:200]!r}."
            raise invalid("model.command.is_valid.trigger.app_error", text, "Command.IsValid")
        if not is_web_url(command.url):
            text = "A command's url is an http or https URL."
            raise invalid("model.command.is_valid.url_http.app_error", text, "Command.IsValid")
        command.method = command.method or "P"
        if command.method not in {"P", "G"}:
            raise invalid("model.command.is_valid.method.app_error", "A command's method is P or G.", "Command.IsValid")
        if await self._store.teams.get(command.team_id) is None:
            raise missing("app.team.get.find.app_error", "The command's team", "CreateCommand")
        of_plugin = await self._store.commands.count(
            "trigger = ? AND team_id IN ('', ?)", command.trigger, command.team_id
        )
        if of_plugin or not await self._store.custom_commands.put(command):
            text = f"The team has a command /{command.trigger} already."
            raise invalid("api.command.duplicate_trigger.app_error", text, "CreateCommand")
        return command
