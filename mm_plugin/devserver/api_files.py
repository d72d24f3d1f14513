"""Files as plugins and the REST door see them: records as messages, contents as blobs of the state."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mm_plugin.devserver.api_base import APIBase, paging
from mm_plugin.devserver.errors import invalid, missing
from mm_plugin.devserver.filing import NOBODY
from mm_plugin.host.hook_client import HookContext
from mm_plugin.messages.files import FileInfo, GetFileInfosOptions
from mm_plugin.messages.helpers import new_id, now_ms

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ("FilesHandler",)

_ORDERS = {"": "create_at, rowid", "CreateAt": "create_at, rowid", "Size": "size, rowid"}


class FilesHandler(APIBase):
    """Files."""

    async def upload_file(self, data: bytes, channel_id: str, filename: str) -> FileInfo:
        """Keep a file; the plugins are asked, the calling one too."""
        return await self._app.filing.keep(data, channel_id, filename, HookContext(user_id=NOBODY))

    async def get_file_info(self, file_id: str) -> FileInfo:
        """Return a file's record."""
        info = await self._store.files.get(file_id)
        if info is None or info.delete_at:
            raise missing("app.file_info.get.app_error", "The file", "GetFileInfo")
        return info

    async def get_file_infos(
        self, *, page: int = 0, per_page: int = 60, options: GetFileInfosOptions | None = None
    ) -> list[FileInfo]:
        """Return the records of files, by user and channel where asked."""
        wanted = options or GetFileInfosOptions()
        if wanted.sort_by not in _ORDERS or wanted.sort_order not in {"", "asc", "desc"}:
            raise invalid("api.file.get_file_infos.app_error", "sort_by is CreateAt or Size, sort_order asc or desc.")
        where, values = ["TRUE" if wanted.include_deleted else "delete_at = 0"], list[str]()
        for field, value in (("creator_id", wanted.user_id), ("channel_id", wanted.channel_id)):
            if value:
                where.append(f"{field} = ?")
                values.append(value)
        order = _ORDERS[wanted.sort_by]
        if wanted.sort_order == "desc":
            order = ", ".join(f"{column} DESC" for column in order.split(", "))
        return await self._store.files.find(" AND ".join(where), *values, order=order, **paging(page, per_page))

    async def get_file(self, file_id: str) -> bytes:
        """Return a file's content."""
        await self.get_file_info(file_id)
        return await self._content(file_id, "GetFile")

    async def read_file(self, path: str) -> bytes:
        """Return the content of a path in the server's file store; here that is a file's id."""
        return await self._content(path, "ReadFile")

    async def copy_file_infos(self, user_id: str, file_ids: Sequence[str]) -> list[str]:
        """Copy files for another user; the copies belong to no post yet."""
        copies: list[str] = []
        for file_id in file_ids:
            info = await self.get_file_info(file_id)
            content = await self.get_file(file_id)
            info.id, info.creator_id, info.post_id = new_id(), user_id, ""
            info.create_at = info.update_at = now_ms()
            await self._store.put_blob(info.id, content)
            await self._store.files.put(info)
            copies.append(info.id)
        return copies

    async def set_file_searchable_content(self, file_id: str, content: str) -> None:  # noqa: ARG002 - no search here
        """Take what a file is to be found by; this server searches no files."""
        await self.get_file_info(file_id)

    async def _content(self, name: str, where: str) -> bytes:
        content = await self._store.get_blob(name)
        if content is None:
            raise missing("api.file.read_file.app_error", "The file", where)
        return content
