"""Permissions and preferences as plugins see them.

Permissions come from the roles of a new server (``permissions``): those of a channel, then of its team, then of the
system. A system administrator may do everything.
"""

from __future__ import annotations

from mm_plugin.devserver.api_base import APIBase
from mm_plugin.devserver.errors import denied, missing
from mm_plugin.devserver.permissions import grants
from mm_plugin.hooks.names import HookName
from mm_plugin.messages.preferences import Preference

__all__ = ("AccessHandler",)


class AccessHandler(APIBase):
    """Who may do what, and how they like it."""

    async def has_permission_to(self, user_id: str, permission_id: str) -> bool:
        """Tell whether a user may do something anywhere."""
        user = await self._store.users.get(user_id)
        return user is not None and not user.delete_at and grants(user.roles.split(), permission_id)

    async def has_permission_to_team(self, user_id: str, team_id: str, permission_id: str) -> bool:
        """Tell whether a user may do something in a team."""
        member = await self._store.team_members.get(team_id, user_id)
        if member is not None and not member.delete_at and grants(member.roles.split(), permission_id):
            return True
        return await self.has_permission_to(user_id, permission_id)

    async def has_permission_to_channel(self, user_id: str, channel_id: str, permission_id: str) -> bool:
        """Tell whether a user may do something in a channel."""
        member = await self._store.channel_members.get(channel_id, user_id)
        if member is not None and grants(member.roles.split(), permission_id):
            return True
        channel = await self._store.channels.get(channel_id)
        if channel is not None and channel.team_id:
            return await self.has_permission_to_team(user_id, channel.team_id, permission_id)
        return await self.has_permission_to(user_id, permission_id)

    async def roles_grant_permission(self, role_names: list[str], permission_id: str) -> bool:
        """Tell whether any of the roles grants a permission; the roles are those of a new server."""
        return grants(role_names, permission_id)

    # -- preferences ------------------------------------------------------------------------------------------

    async def get_preference_for_user(self, user_id: str, category: str, name: str) -> Preference:
        """Return a preference."""
        preference = await self._store.preferences.get(user_id, category, name)
        if preference is None:
            raise missing("app.preference.get.app_error", "The preference", "GetPreferenceForUser")
        return preference

    async def get_preferences_for_user(self, user_id: str) -> list[Preference]:
        """Return all preferences of a user."""
        return await self._store.preferences.find("user_id = ?", user_id)

    async def update_preferences_for_user(self, user_id: str, preferences: list[Preference]) -> None:
        """Set preferences, and tell the plugins; one that names nobody is the user's."""
        self._app.events.check_room()
        _check_owner(user_id, preferences, "UpdatePreferences")
        for preference in preferences:
            preference.user_id = user_id
            await self._store.preferences.put(preference)
        self._app.events.tell(HookName.PreferencesHaveChanged, preferences=preferences)

    async def delete_preferences_for_user(self, user_id: str, preferences: list[Preference]) -> None:
        """Forget preferences."""
        _check_owner(user_id, preferences, "DeletePreferences")
        where = "user_id = ? AND category = ? AND name = ?"
        for preference in preferences:
            await self._store.preferences.delete(where, user_id, preference.category, preference.name)


def _check_owner(user_id: str, preferences: list[Preference], where: str) -> None:
    for preference in preferences:
        if preference.user_id not in {"", user_id}:
            raise denied(f"{where}: the preference {preference.name!r} belongs to another user.")
