"""OAuth 2.0 applications as plugins see them; this server keeps them, nobody can log in by one here."""

from __future__ import annotations

from urllib.parse import urlsplit

from mm_plugin.devserver.api_base import APIBase, needed
from mm_plugin.devserver.config import check_enabled
from mm_plugin.devserver.errors import invalid, missing
from mm_plugin.messages.helpers import new_id, now_ms
from mm_plugin.messages.oauth import OAuthApp

__all__ = ("OAuthHandler",)


class OAuthHandler(APIBase):
    """OAuth 2.0 applications."""

    async def create_oauth_app(self, app: OAuthApp | None) -> OAuthApp:
        """Register an application; id and secret are made here."""
        await self._check_enabled("CreateOAuthApp")
        new = OAuthApp()
        new.CopyFrom(needed(app, "app"))
        _check(new)
        new.id, new.client_secret = new_id(), new_id()
        new.create_at = new.update_at = now_ms()
        await self._store.oauth_apps.insert(new)
        return new

    async def get_oauth_app(self, app_id: str) -> OAuthApp:
        """Return an application, its secret included."""
        await self._check_enabled("GetOAuthApp")
        app = await self._store.oauth_apps.get(app_id)
        if app is None:
            raise missing("app.oauth.get_app.find.app_error", "The application", "GetOAuthApp")
        return app

    async def update_oauth_app(self, app: OAuthApp | None) -> OAuthApp:
        """Replace an application; id, secret, creator and time of creation stay."""
        changed = needed(app, "app")
        kept = await self.get_oauth_app(changed.id)
        new = OAuthApp()
        new.CopyFrom(changed)
        _check(new)
        new.client_secret, new.creator_id, new.create_at = kept.client_secret, kept.creator_id, kept.create_at
        new.update_at = now_ms()
        await self._store.oauth_apps.put(new)
        return new

    async def delete_oauth_app(self, app_id: str) -> None:
        """Delete an application."""
        await self.get_oauth_app(app_id)
        await self._store.oauth_apps.delete("id = ?", app_id)

    async def _check_enabled(self, where: str) -> None:
        error_id = "api.oauth.register_oauth_app.turn_off.app_error"
        await check_enabled(self._store, "ServiceSettings", "EnableOAuthServiceProvider", error_id, where)


def _check(app: OAuthApp) -> None:
    if not 0 < len(app.name) <= 64:
        raise _unfit("name", "An application's name has 1 to 64 characters.")
    callbacks = [url.strip() for url in app.callback_urls.split(",") if url.strip()]
    if not callbacks or not all(map(_is_url, callbacks)):
        raise _unfit("callback", "An application has callback_urls: http or https URLs, separated by commas.")
    if not _is_url(app.homepage):
        raise _unfit("homepage", "An application has a homepage, an http or https URL.")


def _is_url(text: str) -> bool:
    try:
        url = urlsplit(text)
    except ValueError:
        return False
    return url.scheme in {"http", "https"} and bool(url.netloc)


def _unfit(field: str, text: str) -> Exception:
    return invalid(f"model.oauth.is_valid.{field}.app_error", text, "OAuthApp.IsValid")
