"""Users as plugins and the REST door see them: accounts, lists, searches, status."""

from __future__ import annotations

from mm_plugin.devserver.accounts import public
from mm_plugin.devserver.api_base import APIBase, needed, paging
from mm_plugin.devserver.errors import invalid, missing
from mm_plugin.devserver.message_table import SQLValue
from mm_plugin.hooks.names import HookName
from mm_plugin.messages.helpers import now_ms
from mm_plugin.messages.users import Status, User

__all__ = ("UsersHandler",)

_IN_TEAM = "id IN (SELECT user_id FROM team_members WHERE team_id = ? AND delete_at = 0)"
_IN_CHANNEL = "id IN (SELECT user_id FROM channel_members WHERE channel_id = ?)"
_STATUSES = ("online", "away", "dnd", "offline")


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
        in_team_id: str = "",
        not_in_team_id: str = "",
        in_channel_id: str = "",
        not_in_channel_id: str = "",
        inactive: bool = False,
        active: bool = False,
        role: str = "",
        page: int = 0,
        per_page: int = 60,
        **others: object,
    ) -> list[User]:
        """Return users by team, channel, activity and role, in the order of their names."""
        _refuse_others(others, ignored=("sort", "view_restrictions", "updated_after"))
        conditions: list[tuple[str, str]] = [
            (_IN_TEAM, in_team_id),
            (f"NOT {_IN_TEAM}", not_in_team_id),
            (_IN_CHANNEL, in_channel_id),
            (f"NOT {_IN_CHANNEL}", not_in_channel_id),
        ]
        conditions = [(where, value) for where, value in conditions if value]
        where = " AND ".join(["TRUE", *(where for where, _ in conditions)])
        users = await self._store.users.find(where, *(value for _, value in conditions), order="username")
        chosen = [
            user
            for user in users
            if (not role or role in user.roles.split())
            and not (active and user.delete_at)
            and not (inactive and not user.delete_at)
        ]
        window = paging(page, per_page)
        return [public(user) for user in chosen[window["offset"] :][: window["limit"]]]

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
        in_channel_id: str = "",
        allow_inactive: bool = False,
        limit: int = 100,
        **others: object,
    ) -> list[User]:
        """Return users whose name, nickname or address begins with a term."""
        _refuse_others(others)
        found = await self.get_users(
            in_team_id=team_id, in_channel_id=in_channel_id, active=not allow_inactive, per_page=limit
        )
        wanted = term.removeprefix("@").lower()
        return [
            user
            for user in found
            if any(
                text.lower().startswith(wanted)
                for text in (user.username, user.nickname, user.first_name, user.last_name, user.email)
            )
        ]

    # -- status -----------------------------------------------------------------------------------------------

    async def get_user_status(self, user_id: str) -> Status:
        """Return a user's status; offline where nobody has said anything."""
        await self._app.accounts.get(user_id)
        return await self._store.statuses.get(user_id) or Status(user_id=user_id, status="offline")

    async def get_user_statuses_by_ids(self, user_ids: list[str]) -> list[Status]:
        """Return the status of several users."""
        return [await self.get_user_status(user_id) for user_id in user_ids]

    async def update_user_status(self, user_id: str, status: str) -> Status:
        """Set a user's status by hand."""
        if status not in _STATUSES:
            raise invalid("plugin.api.update_user_status.bad_status", f"A status is one of {', '.join(_STATUSES)}.")
        await self._app.accounts.get(user_id)
        new = Status(user_id=user_id, status=status, manual=True, last_activity_at=now_ms())
        await self._store.statuses.put(new)
        return new

    async def _only(self, where: str, value: SQLValue) -> User:
        found = await self._store.users.find(where, value)
        if not found:
            raise _no_user("GetUser")
        return public(found[0])


def _no_user(where: str) -> Exception:
    return missing("app.user.missing_account.const", "The user", where)


def _refuse_others(others: dict[str, object], *, ignored: tuple[str, ...] = ()) -> None:
    """Refuse filters that this server does not know, rather than to answer with too much."""
    used = [name for name, value in others.items() if value and name not in ignored]
    if used:
        raise invalid("api.context.invalid_url_param.app_error", f"This server cannot filter by {', '.join(used)}.")
