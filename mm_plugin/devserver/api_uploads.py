"""Uploads in pieces and public links as plugins see them."""

from __future__ import annotations

import re

import anyio

from mm_plugin import limits
from mm_plugin.devserver.api_base import APIBase, needed
from mm_plugin.devserver.config import check_enabled
from mm_plugin.devserver.errors import invalid, missing, too_large
from mm_plugin.devserver.filing import NOBODY
from mm_plugin.devserver.public_links import public_link
from mm_plugin.host.hook_client import HookContext
from mm_plugin.messages.files import FileInfo, UploadSession
from mm_plugin.messages.helpers import new_id, now_ms

__all__ = ("UploadsHandler",)

_ID = re.compile(r"([a-z0-9]{26})?")
_TYPES = {"", "attachment"}


class UploadsHandler(APIBase):
    """Uploads and links."""

    async def create_upload_session(self, upload_session: UploadSession | None) -> UploadSession:
        """Start an upload; imports of whole servers are not taken."""
        draft = needed(upload_session, "upload_session")
        if draft.type not in _TYPES or not draft.filename or draft.file_size <= 0:
            raise invalid(
                "model.upload_session.is_valid.app_error",
                "An upload has a filename, a file_size above 0 and the type attachment.",
                "CreateUploadSession",
            )
        if draft.file_size > limits.devserver_file_octets:
            raise too_large(f"A file has at most {limits.devserver_file_octets} octets, not {draft.file_size}.")
        channel = await self._store.channels.get(draft.channel_id)
        if channel is None or channel.delete_at:
            raise missing("app.channel.get.existing.app_error", "The upload's channel", "CreateUploadSession")
        if draft.user_id not in {"", NOBODY}:
            await self._app.accounts.get(draft.user_id)
        wanted_id = draft.req_file_id
        if not _ID.fullmatch(wanted_id) or (wanted_id and await self._store.files.get(wanted_id)):
            text = f"req_file_id {wanted_id!r} is no id, or a file has it already."
            raise invalid("model.upload_session.is_valid.app_error", text, "CreateUploadSession")
        new = UploadSession()
        new.CopyFrom(draft)
        new.id, new.type, new.user_id = new_id(), "attachment", draft.user_id or NOBODY
        new.create_at, new.file_offset = now_ms(), 0
        await self._store.uploads.insert(new)
        await self._store.put_blob(_content_name(new.id), b"")
        return new

    async def get_upload_session(self, upload_id: str) -> UploadSession:
        """Return an upload."""
        session = await self._store.uploads.get(upload_id)
        if session is None:
            raise missing("app.upload.get.app_error", "The upload", "GetUploadSession")
        return session

    async def upload_data(self, upload_session: UploadSession | None, data: bytes) -> FileInfo | None:
        """Take the next piece; the last one makes the file, after the plugins were asked, and ends the upload."""
        given = needed(upload_session, "upload_session")
        async with self._store.turn:
            session = await self.get_upload_session(given.id)
            content = await self._add_piece(session, given.file_offset, data)
        if content is None:
            return None
        return await self._app.filing.keep(
            content,
            session.channel_id,
            session.filename,
            HookContext(user_id=session.user_id),
            file_id=session.req_file_id,
        )

    async def _add_piece(self, session: UploadSession, offset: int, data: bytes) -> bytes | None:
        """Add a piece to an upload; return the whole content, and end the upload, where it is complete."""
        if offset != session.file_offset:
            raise _unfit(f"The upload stands at octet {session.file_offset}, not at {offset}.")
        if session.file_offset + len(data) > session.file_size:
            left = session.file_size - session.file_offset
            raise _unfit(f"{left} octets are left of the upload, this piece has {len(data)}.")
        content = (await self._store.get_blob(_content_name(session.id)) or b"") + data
        with anyio.CancelScope(shield=True):  # offset and content change together; waits for the state's file only
            if len(content) == session.file_size:
                await self._store.uploads.delete("id = ?", session.id)
                await self._store.delete_blob(_content_name(session.id))
                return content
            session.file_offset = len(content)
            await self._store.put_blob(_content_name(session.id), content)
            await self._store.uploads.put(session)
        return None

    # -- public links -----------------------------------------------------------------------------------------

    async def get_file_link(self, file_id: str) -> str:
        """Return a link by which anybody can fetch a file that belongs to a post."""
        await check_enabled(
            self._store,
            "FileSettings",
            "EnablePublicLink",
            "plugin_api.get_file_link.disabled.app_error",
            "GetFileLink",
        )
        info = await self._store.files.get(file_id)
        if info is None or info.delete_at:
            raise missing("app.file_info.get.app_error", "The file", "GetFileLink")
        if not info.post_id:
            text = "The file belongs to no post yet, so it has no link."
            raise invalid("plugin_api.get_file_link.no_post.app_error", text, "GetFileLink")
        return self._app.site_url + await public_link(self._store, file_id)


def _content_name(upload_id: str) -> str:
    return f"upload/{upload_id}"


def _unfit(text: str) -> Exception:
    return invalid("app.upload.upload_data.app_error", text, "UploadData")
