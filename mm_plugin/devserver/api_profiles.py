"""What users show of themselves, as plugins see it: status, custom status, picture, that they type."""

from __future__ import annotations

import json

from mm_plugin.devserver.api_base import APIBase, needed
from mm_plugin.devserver.errors import invalid
from mm_plugin.devserver.outbox import OutboxKind
from mm_plugin.devserver.pictures import check_picture, drawn_picture
from mm_plugin.messages.helpers import now_ms
from mm_plugin.messages.users import CustomStatus, Status, User

__all__ = ("ProfilesHandler", "picture_name")

_STATUSES = ("online", "away", "dnd", "offline")
_DURATIONS = ("", "thirty_minutes", "one_hour", "four_hours", "today", "this_week", "date_and_time")
_CUSTOM_STATUS = "customStatus"
_TEXT_CHARACTERS = 100


def picture_name(user_id: str) -> str:
    """Return the name under which a user's picture is kept."""
    return f"picture/{user_id}"


class ProfilesHandler(APIBase):
    """What users show of themselves."""

    # -- status -----------------------------------------------------------------------------------------------

    async def get_user_status(self, user_id: str) -> Status:
        """Return a user's status; offline where nobody has said anything."""
        await self._app.accounts.get(user_id)
        return await self._current(user_id) or Status(user_id=user_id, status="offline")

    async def get_user_statuses_by_ids(self, user_ids: list[str]) -> list[Status]:
        """Return the status of several users; unknown ones are left out."""
        return [await self.get_user_status(user_id) for user_id in user_ids if await self._store.users.get(user_id)]

    async def update_user_status(self, user_id: str, status: str) -> Status:
        """Set a user's status by hand."""
        if status not in _STATUSES:
            raise invalid("plugin.api.update_user_status.bad_status", f"A status is one of {', '.join(_STATUSES)}.")
        return await self._set_status(Status(user_id=user_id, status=status, manual=True))

    async def set_user_status_timed_dnd(self, user_id: str, end_time: int) -> Status:
        """Let nobody disturb a user until a time in seconds; the status of before comes back then."""
        await self._app.accounts.get(user_id)
        before = await self._current(user_id)
        if before is None or before.status != "dnd":
            await self._store.put_document(_before(user_id), {"status": before.status if before else "online"})
        return await self._set_status(Status(user_id=user_id, status="dnd", manual=True, dnd_end_time=end_time))

    async def _set_status(self, new: Status) -> Status:
        await self._app.accounts.get(new.user_id)
        new.last_activity_at = now_ms()
        await self._store.statuses.put(new)
        event: dict[str, str] = {"event": "status_change", "user_id": new.user_id, "status": new.status}
        await self._store.outbox.put(OutboxKind.WEBSOCKET, event)
        await self._app.client_events.status_changed(new)
        return new

    async def _current(self, user_id: str) -> Status | None:
        status = await self._store.statuses.get(user_id)
        if status is None or not 0 < status.dnd_end_time * 1000 <= now_ms():
            return status
        before = await self._store.get_document(_before(user_id)) or {}
        return await self._set_status(Status(user_id=user_id, status=str(before.get("status", "online"))))

    # -- custom status ----------------------------------------------------------------------------------------

    async def update_user_custom_status(self, user_id: str, custom_status: CustomStatus | None) -> None:
        """Set the emoji and text beside a user's name; they stand in the user's props, as on the server."""
        wanted = needed(custom_status, "custom_status")
        if not wanted.emoji and not wanted.text:
            raise _bad_custom_status("An emoji or a text is needed.")
        if wanted.duration not in _DURATIONS:
            raise _bad_custom_status(f"A duration is empty or one of {', '.join(_DURATIONS[1:])}.")
        if wanted.duration and wanted.expires_at <= now_ms():
            raise _bad_custom_status("With a duration, expires_at must be a time to come.")
        value = {
            "emoji": wanted.emoji or "speech_balloon",
            "text": wanted.text[:_TEXT_CHARACTERS],
            "duration": wanted.duration,
            "expires_at": wanted.expires_at,
        }

        def change(user: User) -> None:
            user.props[_CUSTOM_STATUS] = json.dumps(value)
            user.update_at = now_ms()

        await self._app.accounts.get(user_id)
        await self._store.users.change(change, user_id)

    async def remove_user_custom_status(self, user_id: str) -> None:
        """Clear the emoji and text beside a user's name."""

        def change(user: User) -> None:
            if _CUSTOM_STATUS in user.props:
                del user.props[_CUSTOM_STATUS]
                user.update_at = now_ms()

        await self._app.accounts.get(user_id)
        await self._store.users.change(change, user_id)

    # -- picture ----------------------------------------------------------------------------------------------

    async def get_profile_image(self, user_id: str) -> bytes:
        """Return a user's picture; a drawn one where the user has set none."""
        await self._app.accounts.get(user_id)
        return await self._store.get_blob(picture_name(user_id)) or drawn_picture(user_id)

    async def set_profile_image(self, user_id: str, data: bytes) -> None:
        """Set a user's picture."""
        await self._app.accounts.get(user_id)
        check_picture(data, "SetProfileImage")

        def change(user: User) -> None:
            user.last_picture_update = user.update_at = now_ms()

        await self._store.put_blob(picture_name(user_id), data)
        await self._store.users.change(change, user_id)

    # -- typing -----------------------------------------------------------------------------------------------

    async def publish_user_typing(self, user_id: str, channel_id: str, parent_id: str = "") -> None:
        """Tell a channel's clients that a user types; the outbox has the event, too."""
        await self._store.outbox.put(
            OutboxKind.WEBSOCKET,
            {
                "event": "typing",
                "data": {"user_id": user_id, "parent_id": parent_id},
                "broadcast": {"channel_id": channel_id, "omit_users": [user_id]},
            },
            plugin_id=self._plugin_id,
        )
        await self._app.client_events.typing(user_id, channel_id, parent_id)


def _before(user_id: str) -> str:
    return f"status/{user_id}"


def _bad_custom_status(text: str) -> Exception:
    return invalid("api.custom_status.set_custom_statuses.update.app_error", text, "SetCustomStatus")
