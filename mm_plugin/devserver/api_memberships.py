"""What members of teams and channels hold there, as plugins see it: roles, notifications, what is unread."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from mm_plugin.devserver.api_base import APIBase, paging
from mm_plugin.devserver.errors import invalid, missing
from mm_plugin.devserver.permissions import CHANNEL_ROLES, TEAM_ROLES, unknown_roles
from mm_plugin.devserver.reading import unread_of_teams
from mm_plugin.messages.channels import ChannelMember, ChannelMemberIdentifier
from mm_plugin.messages.helpers import now_ms
from mm_plugin.messages.teams import TeamMember, TeamUnread

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ("MembershipsHandler",)

_IN_TEAM = "channel_id IN (SELECT id FROM channels WHERE team_id IN ('', ?) AND delete_at = 0)"
_NOTIFY_KEYS = frozenset(
    {
        "desktop", "desktop_sound", "desktop_notification_sound", "desktop_threads", "email", "push", "push_threads",
        "mark_unread", "ignore_channel_mentions", "channel_auto_follow_threads",
    }
)  # fmt: skip


class _HasRoles(Protocol):
    roles: str
    scheme_guest: bool
    scheme_user: bool
    scheme_admin: bool


class MembershipsHandler(APIBase):
    """Roles and notifications of members."""

    async def update_team_member_roles(self, team_id: str, user_id: str, new_roles: str) -> TeamMember:
        """Replace what a member may do in a team."""
        _check_roles(new_roles, TEAM_ROLES, "api.team.update_team_member_roles.invalid.app_error")
        member = await self._store.team_members.change(_set_roles(new_roles, "team"), team_id, user_id)
        if member is None:
            raise missing("app.team.get_member.missing.app_error", "The team member", "UpdateTeamMemberRoles")
        return member

    async def get_teams_unread_for_user(self, user_id: str) -> list[TeamUnread]:
        """Count what a user has not read, by team."""
        await self._app.accounts.get(user_id)
        return await unread_of_teams(self._store, user_id)

    # -- channels ---------------------------------------------------------------------------------------------

    async def get_channel_members_for_user(
        self, team_id: str, user_id: str, *, page: int = 0, per_page: int = 60
    ) -> list[ChannelMember]:
        """Return a user's memberships of a team's channels, and of direct ones."""
        where = f"user_id = ? AND {_IN_TEAM}"
        return await self._store.channel_members.find(where, user_id, team_id, **paging(page, per_page))

    async def update_channel_member_roles(self, channel_id: str, user_id: str, new_roles: str) -> ChannelMember:
        """Replace what a member may do in a channel."""
        _check_roles(new_roles, CHANNEL_ROLES, "api.channel.update_channel_member_roles.invalid.app_error")
        return await self._change(_set_roles(new_roles, "channel"), channel_id, user_id)

    async def update_channel_member_notifications(
        self, channel_id: str, user_id: str, notifications: Mapping[str, str]
    ) -> ChannelMember:
        """Change how a member is notified; keys that are not named stay, keys that the server does not know go."""
        return await self._change(_notify(notifications), channel_id, user_id)

    async def patch_channel_members_notifications(
        self, members: list[ChannelMemberIdentifier], notify_props: Mapping[str, str]
    ) -> None:
        """Change how many members are notified; nothing changes where one of them is no member."""
        for member in members:
            if await self._store.channel_members.get(member.channel_id, member.user_id) is None:
                raise _no_member("PatchChannelMembersNotifications")
        for member in members:
            await self._change(_notify(notify_props), member.channel_id, member.user_id)

    async def _change(self, change: Callable[[ChannelMember], None], channel_id: str, user_id: str) -> ChannelMember:
        def transact(member: ChannelMember) -> None:
            change(member)
            member.last_update_at = now_ms()

        member = await self._store.channel_members.change(transact, channel_id, user_id)
        if member is None:
            raise _no_member("UpdateChannelMember")
        return member


def _no_member(where: str) -> Exception:
    return missing("app.channel.get_member.missing.app_error", "The channel member", where)


def _check_roles(roles: str, known: frozenset[str], error_id: str) -> None:
    if unknown := unknown_roles(roles, known):
        raise invalid(error_id, f"There is no role {unknown[0]!r} here.")


def _set_roles(roles: str, place: str) -> Callable[[_HasRoles], None]:
    def change(member: _HasRoles) -> None:
        names = roles.split()
        member.roles = " ".join(names)
        member.scheme_guest = f"{place}_guest" in names
        member.scheme_user = f"{place}_user" in names
        member.scheme_admin = f"{place}_admin" in names

    return change


def _notify(props: Mapping[str, str]) -> Callable[[ChannelMember], None]:
    def change(member: ChannelMember) -> None:
        member.notify_props.update({key: value for key, value in props.items() if key in _NOTIFY_KEYS})

    return change
