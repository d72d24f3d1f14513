"""Permissions, sessions and preferences as plugins see them.

Permissions are the roles' simplest reading: a system administrator may do everything, a member may read and write
where they are a member, others may not.
"""

from __future__ import annotations

from mm_plugin.devserver.api_base import APIBase, needed
from mm_plugin.devserver.errors import missing
from mm_plugin.hooks.names import HookName
from mm_plugin.messages.preferences import Preference
from mm_plugin.messages.users import Session

__all__ = ("AccessHandler",)


class AccessHandler(APIBase):
    """Who may do what, who is logged in, and how they like it."""

    async def has_permission_to(
        self,
        user_id: str,
        permission_id: str,  # noqa: ARG002 - all the same here
    ) -> bool:
        """Tell whether a user may do something anywhere."""
        user = await self._store.users.get(user_id)
        return user is not None and not user.delete_at and "system_admin" in user.roles.split()

    async def has_permission_to_team(self, user_id: str, team_id: str, permission_id: str) -> bool:
        """Tell whether a user may do something in a team."""
        member = await self._store.team_members.get(team_id, user_id)
        if member is None or member.delete_at:
            return await self.has_permission_to(user_id, permission_id)
        return True

    async def has_permission_to_channel(self, user_id: str, channel_id: str, permission_id: str) -> bool:
        """Tell whether a user may do something in a channel."""
        if await self._store.channel_members.get(channel_id, user_id) is None:
            return await self.has_permission_to(user_id, permission_id)
        return True

    # -- sessions ---------------------------------------------------------------------------------------------

    async def get_session(self, session_id: str) -> Session:
        """Return a session."""
        session = await self._store.sessions.get(session_id)
        if session is None:
            raise missing("app.session.get.app_error", "The session", "GetSession")
        return session

    async def create_session(self, session: Session | None) -> Session:
        """Start a session for a user."""
        user = await self._app.accounts.get(needed(session, "session").user_id)
        return await self._app.accounts.start_session(user)

    async def revoke_session(self, session_id: str) -> None:
        """End a session."""
        await self._store.sessions.delete("id = ?", session_id)

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
        """Set preferences, and tell the plugins."""
        self._app.events.check_room()
        for preference in preferences:
            preference.user_id = user_id
            await self._store.preferences.put(preference)
        self._app.events.tell(HookName.PreferencesHaveChanged, preferences=preferences)

    async def delete_preferences_for_user(self, user_id: str, preferences: list[Preference]) -> None:
        """Forget preferences."""
        where = "user_id = ? AND category = ? AND name = ?"
        for preference in preferences:
            await self._store.preferences.delete(where, user_id, preference.category, preference.name)
