"""Teams and their members as plugins and the REST door see them."""

from __future__ import annotations

from mm_plugin.devserver.api_base import APIBase, needed, paging
from mm_plugin.devserver.errors import invalid, missing
from mm_plugin.devserver.group_rules import TEAM, check_may_join
from mm_plugin.devserver.pictures import check_picture
from mm_plugin.exceptions import PluginAPIError
from mm_plugin.hooks.names import HookName
from mm_plugin.messages.errors import app_error_of
from mm_plugin.messages.helpers import new_id, now_ms
from mm_plugin.messages.teams import Team, TeamMember, TeamMemberWithError, TeamStats, TeamType

__all__ = ("TeamsHandler",)

_IN_TEAM = "id IN (SELECT user_id FROM team_members WHERE team_id = ? AND delete_at = 0)"
_OF_USER = "id IN (SELECT team_id FROM team_members WHERE user_id = ? AND delete_at = 0) AND delete_at = 0"


class TeamsHandler(APIBase):
    """Teams."""

    async def create_team(self, team: Team | None) -> Team:
        """Add a team."""
        draft = needed(team, "team")
        if not draft.name or not draft.display_name:
            raise invalid("model.team.is_valid.name.app_error", "A team has name and display_name.", "Team.IsValid")
        new = Team()
        new.CopyFrom(draft)
        new.id, new.name, new.invite_id = new_id(), draft.name.lower(), new_id()
        new.create_at = new.update_at = now_ms()
        new.type = draft.type or TeamType.TEAM_TYPE_OPEN
        if not await self._store.teams.insert(new):
            raise invalid("app.team.save.existing.app_error", f"A team named {new.name} exists.", "CreateTeam")
        return new

    async def update_team(self, team: Team | None) -> Team:
        """Change a team's texts."""
        changed = needed(team, "team")

        def change(kept: Team) -> None:
            kept.display_name, kept.description = changed.display_name, changed.description
            kept.company_name, kept.allowed_domains = changed.company_name, changed.allowed_domains
            kept.allow_open_invite, kept.group_constrained = changed.allow_open_invite, changed.group_constrained
            kept.update_at = now_ms()

        return _found(await self._store.teams.change(change, changed.id))

    async def delete_team(self, team_id: str) -> None:
        """Archive a team."""

        def change(team: Team) -> None:
            team.delete_at = team.update_at = now_ms()

        _found(await self._store.teams.change(change, team_id))

    async def get_teams(self) -> list[Team]:
        """Return all teams."""
        return await self._store.teams.find("delete_at = 0", order="name")

    async def get_team(self, team_id: str) -> Team:
        """Return a team."""
        return _found(await self._store.teams.get(team_id))

    async def get_team_by_name(self, name: str) -> Team:
        """Return a team by the name in its URL."""
        found = await self._store.teams.find("name = ?", name.lower())
        if not found:
            raise missing("app.team.get_by_name.missing.app_error", f"The team {name!r}", "GetTeamByName")
        return found[0]

    async def get_teams_for_user(self, user_id: str) -> list[Team]:
        """Return the teams of a user."""
        return await self._store.teams.find(_OF_USER, user_id, order="name")

    async def search_teams(self, term: str) -> list[Team]:
        """Return teams whose name begins with a term."""
        wanted = term.lower()
        return [
            team
            for team in await self.get_teams()
            if team.name.startswith(wanted) or team.display_name.lower().startswith(wanted)
        ]

    async def get_team_stats(self, team_id: str) -> TeamStats:
        """Count a team's members."""
        await self.get_team(team_id)
        members = await self._store.users.find(_IN_TEAM, team_id)
        active = sum(not user.delete_at for user in members)
        return TeamStats(team_id=team_id, total_member_count=len(members), active_member_count=active)

    # -- icon -------------------------------------------------------------------------------------------------

    async def get_team_icon(self, team_id: str) -> bytes:
        """Return a team's icon."""
        await self.get_team(team_id)
        icon = await self._store.get_blob(_icon_name(team_id))
        if icon is None:
            raise missing("api.team.get_team_icon.read_file.app_error", "The team's icon", "GetTeamIcon")
        return icon

    async def set_team_icon(self, team_id: str, data: bytes) -> None:
        """Set a team's icon."""
        await self.get_team(team_id)
        check_picture(data, "SetTeamIcon")
        await self._store.put_blob(_icon_name(team_id), data)
        await self._note_icon(team_id, now_ms())

    async def remove_team_icon(self, team_id: str) -> None:
        """Remove a team's icon; a team that has none keeps none."""
        await self.get_team(team_id)
        await self._store.delete_blob(_icon_name(team_id))
        await self._note_icon(team_id, 0)

    async def _note_icon(self, team_id: str, time_ms: int) -> None:
        def change(team: Team) -> None:
            team.last_team_icon_update, team.update_at = time_ms, now_ms()

        await self._store.teams.change(change, team_id)

    # -- members ----------------------------------------------------------------------------------------------

    async def create_team_member(self, team_id: str, user_id: str) -> TeamMember:
        """Let a user join a team; joining twice changes nothing."""
        self._app.events.check_room()
        team = await self.get_team(team_id)
        await self._app.accounts.get(user_id)
        await check_may_join(self._store, TEAM, team_id, user_id, group_constrained=team.group_constrained)
        kept = await self._store.team_members.get(team_id, user_id)
        if kept is not None and not kept.delete_at:
            return kept
        member = TeamMember(team_id=team_id, user_id=user_id, roles="team_user", scheme_user=True, create_at=now_ms())
        await self._store.team_members.put(member)
        self._app.events.tell(HookName.UserHasJoinedTeam, team_member=member)
        return member

    async def create_team_members(
        self,
        team_id: str,
        user_ids: list[str],
        requestor_id: str = "",  # noqa: ARG002 - nobody is told who it was
    ) -> list[TeamMember]:
        """Let several users join a team."""
        return [await self.create_team_member(team_id, user_id) for user_id in user_ids]

    async def create_team_members_gracefully(
        self,
        team_id: str,
        user_ids: list[str],
        requestor_id: str = "",  # noqa: ARG002 - nobody is told who it was
    ) -> list[TeamMemberWithError]:
        """Let several users join a team; each has a membership or an error of their own."""
        await self.get_team(team_id)
        return [await self._joined(team_id, user_id) for user_id in user_ids]

    async def _joined(self, team_id: str, user_id: str) -> TeamMemberWithError:
        try:
            return TeamMemberWithError(user_id=user_id, member=await self.create_team_member(team_id, user_id))
        except PluginAPIError as error:
            return TeamMemberWithError(user_id=user_id, error=app_error_of(error))

    async def delete_team_member(
        self,
        team_id: str,
        user_id: str,
        requestor_id: str = "",  # noqa: ARG002 - nobody is told who it was
    ) -> None:
        """Let a user leave a team."""
        self._app.events.check_room()

        def change(member: TeamMember) -> None:
            member.delete_at = now_ms()

        member = _member(await self._store.team_members.change(change, team_id, user_id))
        self._app.events.tell(HookName.UserHasLeftTeam, team_member=member)

    async def get_team_member(self, team_id: str, user_id: str) -> TeamMember:
        """Return a membership."""
        return _member(await self._store.team_members.get(team_id, user_id))

    async def get_team_members(self, team_id: str, *, page: int = 0, per_page: int = 60) -> list[TeamMember]:
        """Return a team's memberships."""
        return await self._store.team_members.find("team_id = ? AND delete_at = 0", team_id, **paging(page, per_page))

    async def get_team_members_for_user(self, user_id: str, *, page: int = 0, per_page: int = 60) -> list[TeamMember]:
        """Return a user's memberships."""
        return await self._store.team_members.find("user_id = ? AND delete_at = 0", user_id, **paging(page, per_page))


def _icon_name(team_id: str) -> str:
    return f"team-icon/{team_id}"


def _found(team: Team | None) -> Team:
    if team is None:
        raise missing("app.team.get.find.app_error", "The team", "GetTeam")
    return team


def _member(member: TeamMember | None) -> TeamMember:
    if member is None:
        raise missing("app.team.get_member.missing.app_error", "The team member", "GetTeamMember")
    return member
