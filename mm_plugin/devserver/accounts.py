"""Who somebody is: accounts, logins and sessions.

Layer:  devserver, over the store and the host.
Errors: the server's own, from ``errors``.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mm_plugin.devserver.errors import invalid, missing, unauthenticated
from mm_plugin.devserver.passwords import hash_password, password_matches
from mm_plugin.hooks.names import HookName
from mm_plugin.host.hook_client import HookContext
from mm_plugin.messages.helpers import new_id, now_ms
from mm_plugin.messages.users import Session, User

if TYPE_CHECKING:
    from mm_plugin.devserver.events import Events
    from mm_plugin.devserver.store import Store
    from mm_plugin.host.host import Host

__all__ = ("Accounts", "check_names", "public")

_USERNAME = re.compile(r"[a-z0-9._-]{1,64}")
_SESSION_MS = 30 * 24 * 60 * 60 * 1000


def public(user: User) -> User:
    """Return a copy of a user without what nobody else may know."""
    copy = User()
    copy.CopyFrom(user)
    for secret in ("password", "auth_data", "mfa_secret"):
        copy.ClearField(secret)
    return copy


def check_names(username: str, email: str) -> None:
    """Make sure that a user may be named so; whether somebody else is, the store tells.

    Raises:
        ValidationError: The username or the address is malformed.
    """
    if not _USERNAME.fullmatch(username):
        raise invalid(
            "model.user.is_valid.username.app_error",
            "A username has 1 to 64 of the characters a-z 0-9 . - _ .",
            "User.IsValid",
        )
    if "@" not in email:
        raise invalid("model.user.is_valid.email.app_error", "An email address is needed.", "User.IsValid")


class Accounts:
    """The users' accounts and sessions."""

    def __init__(self, store: Store, host: Host, events: Events) -> None:
        self._store = store
        self._host = host
        self._events = events

    async def get(self, user_id: str) -> User:
        """Return a user as everybody may see them.

        Raises:
            NotFoundError: There is no such user.
        """
        user = await self._store.users.get(user_id)
        if user is None:
            raise missing("app.user.missing_account.const", "The user", "GetUser")
        return public(user)

    async def create(self, user: User, *, tell: bool = True, user_id: str = "") -> User:
        """Add a user; ``password`` is plain text and kept as a hash.

        Args:
            user: Username and email must be there; id, times, roles and locale are filled in.
            tell: Whether the plugins hear of it (UserHasBeenCreated).
            user_id: The id; "" makes a new one.

        Raises:
            ValidationError: A field is missing, wrong or taken.
            RateLimitedError: The plugins are too far behind.
        """
        self._events.check_room()
        username, email = user.username.lower(), user.email.lower()
        check_names(username, email)
        new = User()
        new.CopyFrom(user)
        new.id, new.username, new.email = user_id or new_id(), username, email
        new.create_at = new.update_at = now_ms()
        new.delete_at = 0
        new.roles = user.roles or "system_user"
        new.locale = user.locale or "en"
        new.password = hash_password(user.password) if user.password else ""
        if not await self._store.users.insert(new):
            taken = await self._store.users.find("username = ?", username)
            field = "username" if taken else "email"
            raise invalid(
                f"app.user.save.{field}_exists.app_error", f"An account with that {field} exists.", "CreateUser"
            )
        if tell:
            self._events.tell(HookName.UserHasBeenCreated, user=public(new))
        return public(new)

    async def log_in(self, login_id: str, password: str, context: HookContext) -> tuple[User, Session]:
        """Start a session, if username or email and password are right and no plugin objects.

        Raises:
            UnauthenticatedError: They are not.
            ValidationError: A plugin rejected the login, with its reason.
            RateLimitedError: The plugins are too far behind.
        """
        self._events.check_room()
        name = login_id.lower()
        found = await self._store.users.find("username = ? OR email = ?", name, name)
        if not found or found[0].delete_at or not password_matches(password, found[0].password):
            raise unauthenticated(
                "api.user.login.invalid_credentials_email_username", "Enter a valid email or username and/or password."
            )
        user = public(found[0])
        reason = await self._host.user_will_log_in(user, context=context)
        if reason:
            text = f"Login rejected by plugin: {reason}"
            raise invalid(text, text, "DoLogin")
        session = await self.start_session(user)
        self._events.tell(HookName.UserHasLoggedIn, context=context, user=user)
        return user, session

    async def start_session(self, user: User, draft: Session | None = None) -> Session:
        """Start a session for a user without asking anybody.

        Args:
            user: Whose.
            draft: Its device, props and end, where asked for; it ends after a month where it names no end.
        """
        now = now_ms()
        session = Session()
        session.CopyFrom(draft or session)
        session.id, session.token, session.user_id, session.roles = new_id(), new_id(), user.id, user.roles
        session.create_at = session.last_activity_at = now
        session.expires_at = session.expires_at or now + _SESSION_MS
        await self._store.sessions.insert(session)
        return session

    async def session_of(self, token: str) -> Session | None:
        """Return the session of a token, of a login or a personal one; None where there is none, or no more."""
        found = await self._store.sessions.find("token = ?", token) if token else []
        if not found:
            return await self._session_of_access_token(token) if token else None
        return None if 0 < found[0].expires_at <= now_ms() else found[0]

    async def _session_of_access_token(self, token: str) -> Session | None:
        """Return what a personal access token acts as: a session without end, kept nowhere."""
        found = await self._store.access_tokens.find("token = ?", token)
        user = await self._store.users.get(found[0].user_id) if found and found[0].is_active else None
        if user is None or user.delete_at:
            return None
        props = {"type": "UserAccessToken", "user_access_token_id": found[0].id}
        return Session(id=found[0].id, token=token, user_id=user.id, roles=user.roles, props=props)
