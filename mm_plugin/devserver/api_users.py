"""Users as plugins and the REST door see them: accounts, lists, searches."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mm_plugin.devserver.accounts import check_names, public
from mm_plugin.devserver.api_base import APIBase, needed, paging
from mm_plugin.devserver.errors import invalid, missing
from mm_plugin.devserver.message_table import SQLValue
from mm_plugin.devserver.permissions import SYSTEM_ROLES, unknown_roles
from mm_plugin.devserver.user_filter import UserFilter, find_users
from mm_plugin.hooks.names import HookName
from mm_plugin.messages.helpers import now_ms
from mm_plugin.messages.users import User

if TYPE_CHECKING:
    from typing import Unpack

    from mm_plugin.messages.common import ViewUsersRestrictions

__all__ = ("UsersHandler",)


class UsersHandler(APIBase):
    """Users."""

    async def create_user(self, user: User | None) -> User:
        """Add a user and tell the plugins."""
        return await self._app.accounts.create(needed(user, "user"))

    async def delete_user(self, user_id: str) -> None:
        """Deactivate a user."""
        await self.update_user_active(user_id, active=False)

    async def update_user_active(self, user_id: str, active: bool) -> None:
        """Activate or deactivate a user; deactivation ends their sessions."""
        self._app.events.check_room()
        delete_at = 0 if active else now_ms()

        def change(user: User) -> None:
            user.delete_at, user.update_at = delete_at, now_ms()

        user = await self._store.users.change(change, user_id)
        if user is None:
            raise _no_user("UpdateUserActive")
        if not active:
            await self._store.sessions.delete("user_id = ?", user_id)
            self._app.events.tell(HookName.UserHasBeenDeactivated, user=public(user))

    async def update_user(self, user: User | None) -> User:
        """Change what a user may say about themselves; names and address stay unique."""
        changed = needed(user, "user")
        new = await self._store.users.get(changed.id)
        if new is None:
            raise _no_user("UpdateUser")
        new.username, new.email = changed.username.lower(), changed.email.lower()
        check_names(new.username, new.email)
        new.nickname, new.first_name, new.last_name = changed.nickname, changed.first_name, changed.last_name
        new.position, new.locale = changed.position, changed.locale
        for field in ("props", "notify_props", "timezone"):
            new.ClearField(field)
            getattr(new, field).update(getattr(changed, field))
        new.update_at = now_ms()
        if not await self._store.users.put(new):
            raise invalid("app.user.save.username_exists.app_error", "That username or email is taken.", "UpdateUser")
        return public(new)

    async def update_user_roles(self, user_id: str, new_roles: str) -> User:
        """Replace a user's roles."""
        if unknown := unknown_roles(new_roles, SYSTEM_ROLES):
            raise invalid("api.user.update_user_roles.invalid.app_error", f"There is no role {unknown[0]!r}.")

        def change(user: User) -> None:
            user.roles, user.update_at = new_roles, now_ms()

        user = await self._store.users.change(change, user_id)
        if user is None:
            raise _no_user("UpdateUserRoles")
        return public(user)

    async def get_user(self, user_id: str) -> User:
        """Return a user."""
        return await self._app.accounts.get(user_id)

    async def get_user_by_username(self, name: str) -> User:
        """Return a user by name, with or without an @."""
        return await self._only("username = ?", name.removeprefix("@").lower())

    async def get_user_by_email(self, email: str) -> User:
        """Return a user by address."""
        return await self._only("email = ?", email.lower())

    async def get_users_by_ids(self, user_ids: list[str]) -> list[User]:
        """Return those users that there are."""
        return [public(user) for user_id in user_ids if (user := await self._store.users.get(user_id))]

    async def get_users_by_usernames(self, usernames: list[str]) -> list[User]:
        """Return those users that there are."""
        found = [await self._store.users.find("username = ?", name.lower()) for name in usernames]
        return [public(user) for users in found for user in users]

    async def get_users(
        self,
        *,
        page: int = 0,
        per_page: int = 60,
        sort: str = "",  # noqa: ARG002 - by name, always
        updated_after: int = 0,  # noqa: ARG002 - the Go server ignores it too
        view_restrictions: ViewUsersRestrictions | None = None,  # noqa: ARG002 - nobody is hidden here
        **wanted: Unpack[UserFilter],
    ) -> list[User]:
        """Return users by team, channel, group, activity and roles, in the order of their names."""
        window = paging(page, per_page)
        found = await find_users(self._store, wanted)
        return [public(user) for user in found[window["offset"] :][: window["limit"]]]

    async def get_users_in_team(self, team_id: str, *, page: int = 0, per_page: int = 60) -> list[User]:
        """Return a team's members."""
        return await self.get_users(in_team_id=team_id, page=page, per_page=per_page)

    async def get_users_in_channel(
        self,
        channel_id: str,
        *,
        sort_by: str = "",  # noqa: ARG002 - by name, always
        page: int = 0,
        per_page: int = 60,
    ) -> list[User]:
        """Return a channel's members."""
        return await self.get_users(in_channel_id=channel_id, page=page, per_page=per_page)

    async def search_users(
        self,
        term: str,
        *,
        team_id: str = "",
        allow_inactive: bool = False,
        limit: int = 100,
        **wanted: Unpack[UserFilter],
    ) -> list[User]:
        """Return users whose name, nickname or address begins with a term."""
        if team_id:
            wanted["in_team_id"] = team_id
        if not allow_inactive:
            wanted["active"] = True
        prefix = term.removeprefix("@").lower()
        matching = [
            public(user)
            for user in await find_users(self._store, wanted)
            if any(
                text.lower().startswith(prefix)
                for text in (user.username, user.nickname, user.first_name, user.last_name, user.email)
            )
        ]
        return matching[: max(limit, 0)]

    async def _only(self, where: str, value: SQLValue) -> User:
        found = await self._store.users.find(where, value)
        if not found:
            raise _no_user("GetUser")
        return public(found[0])


def _no_user(where: str) -> Exception:
    return missing("app.user.missing_account.const", "The user", where)
