"""Sessions, personal access tokens and ways to log in as plugins see them."""

from __future__ import annotations

from mm_plugin.devserver.api_base import APIBase, needed
from mm_plugin.devserver.config import check_enabled
from mm_plugin.devserver.errors import invalid, missing
from mm_plugin.messages.helpers import new_id, now_ms
from mm_plugin.messages.users import Session, User, UserAccessToken, UserAuth

__all__ = ("SessionsHandler",)


class SessionsHandler(APIBase):
    """Who is logged in, and by what."""

    async def get_session(self, session_id: str) -> Session:
        """Return a session."""
        return _found(await self._store.sessions.get(session_id), "GetSession")

    async def create_session(self, session: Session | None) -> Session:
        """Start a session for a user; it ends when the session given says, or after a month."""
        draft = needed(session, "session")
        user = await self._app.accounts.get(draft.user_id)
        return await self._app.accounts.start_session(user, draft)

    async def extend_session_expiry(self, session_id: str, new_expiry: int) -> None:
        """Move the end of a session."""

        def change(session: Session) -> None:
            session.expires_at = new_expiry

        _found(await self._store.sessions.change(change, session_id), "ExtendSessionExpiry")

    async def revoke_session(self, session_id: str) -> None:
        """End a session."""
        if not await self._store.sessions.delete("id = ?", session_id):
            _found(None, "RevokeSession")

    # -- tokens -----------------------------------------------------------------------------------------------

    async def create_user_access_token(self, token: UserAccessToken | None) -> UserAccessToken:
        """Make a token that acts for a user without a login; bots may have one whatever the configuration says."""
        draft = needed(token, "token")
        user = await self._app.accounts.get(draft.user_id)
        if not user.is_bot:
            await check_enabled(
                self._store,
                "ServiceSettings",
                "EnableUserAccessTokens",
                "app.user_access_token.disabled",
                "CreateUserAccessToken",
            )
        new = UserAccessToken(
            id=new_id(), token=new_id(), user_id=user.id, description=draft.description, is_active=True
        )
        await self._store.access_tokens.insert(new)
        return new

    async def revoke_user_access_token(self, token_id: str) -> None:
        """Delete a token; what was done by it stays done."""
        if not await self._store.access_tokens.delete("id = ?", token_id):
            raise missing("app.user_access_token.get_by_user.app_error", "The token", "RevokeUserAccessToken")

    # -- ways to log in ---------------------------------------------------------------------------------------

    async def update_user_auth(self, user_id: str, user_auth: UserAuth | None) -> UserAuth:
        """Change how a user logs in; with a login service the password is gone."""
        auth = needed(user_auth, "user_auth")
        if bool(auth.auth_service) != bool(auth.auth_data):
            raise invalid(
                "api.user.update_user_auth.invalid_request.app_error",
                "auth_service and auth_data go together: both for a login service, neither for a password.",
                "UpdateUserAuth",
            )

        def change(user: User) -> None:
            user.auth_service = auth.auth_service
            user.ClearField("auth_data")
            if auth.auth_data:
                user.auth_data = auth.auth_data
                user.password = ""
            user.update_at = now_ms()

        if await self._store.users.change(change, user_id) is None:
            raise missing("app.user.missing_account.const", "The user", "UpdateUserAuth")
        return auth


def _found(session: Session | None, where: str) -> Session:
    if session is None:
        raise missing("app.session.get.app_error", "The session", where)
    return session
