"""Slash commands as plugins see them."""

from __future__ import annotations

from mm_plugin.devserver.api_base import APIBase, needed
from mm_plugin.devserver.errors import missing
from mm_plugin.messages.commands import Command, CommandArgs, CommandResponse

__all__ = ("CommandsHandler",)


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
        return await self._app.commands.execute(needed(command_args, "command_args"))

    async def list_commands(self, team_id: str) -> list[Command]:
        """Return all commands of a team."""
        return await self._app.commands.list(team_id)

    async def list_plugin_commands(self, team_id: str) -> list[Command]:
        """Return the commands that plugins have registered, which are all."""
        return await self._app.commands.list(team_id)

    async def list_custom_commands(self, team_id: str) -> list[Command]:  # noqa: ARG002 - there are none
        """Return the commands that people have made: none here."""
        return []

    async def list_built_in_commands(self) -> list[Command]:
        """Return the server's own commands: none here."""
        return []

    async def get_command(self, command_id: str) -> Command:
        """Return a command."""
        command = await self._store.commands.get(command_id)
        if command is None:
            raise missing("store.sql_command.get.missing.app_error", "The command", "GetCommand")
        return command
