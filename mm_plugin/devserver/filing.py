"""What happens to a file that is uploaded: plugins are asked, it is kept.

Layer:  devserver, over the store and the host.
Errors: the server's own; a rejection is HTTP 400 with the plugin's reason.
"""

from __future__ import annotations

import mimetypes
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, cast

import anyio

from mm_plugin import limits
from mm_plugin.devserver.errors import invalid, missing, too_large
from mm_plugin.hooks.names import HookName
from mm_plugin.messages.files import FileInfo
from mm_plugin.messages.helpers import new_id, now_ms

if TYPE_CHECKING:
    from mm_plugin.devserver.store import Store
    from mm_plugin.host.hook_client import HookContext
    from mm_plugin.host.host import Host
    from mm_plugin.messages.posts import Post

__all__ = ("NOBODY", "Filing", "attach_files")

#: The creator of what plugins upload, as on the server.
NOBODY = "nouser"


async def attach_files(store: Store, post: Post) -> None:
    """Give a new post the files that it names: those of its author, or of a plugin, that no other post has."""

    def attach(info: FileInfo) -> None:
        if not info.post_id and info.creator_id in {post.user_id, NOBODY}:
            info.post_id, info.channel_id, info.creator_id = post.id, post.channel_id, post.user_id

    for file_id in post.file_ids:
        await store.files.change(attach, file_id)


class Filing:
    """The way of a file into the state."""

    def __init__(self, store: Store, host: Host) -> None:
        self._store = store
        self._host = host

    async def keep(
        self, data: bytes, channel_id: str, filename: str, context: HookContext, *, file_id: str = ""
    ) -> FileInfo:
        """Ask the plugins about a file (FileWillBeUploaded), and keep what they make of it.

        Args:
            data: Its content.
            channel_id: Where it belongs.
            filename: Its name.
            context: For whom the plugins are asked; the user in it is the file's creator.
            file_id: The id that it is to have; a new one where empty.

        Raises:
            ValidationError: It has no name, a plugin rejected it, or another file has the id.
            NotFoundError: There is no such channel.
            TooLargeError: It is longer than ``limits.devserver_file_octets``.
        """
        if not filename:
            raise invalid("api.file.upload_file.filename.app_error", "A file needs a name.", "UploadFile")
        if len(data) > limits.devserver_file_octets:
            raise too_large(f"A file has at most {limits.devserver_file_octets} octets, this one has {len(data)}.")
        if await self._store.channels.get(channel_id) is None:
            raise missing("app.channel.get.existing.app_error", "The channel", "UploadFile")
        now = now_ms()
        info = FileInfo(
            id=file_id or new_id(), creator_id=context.user_id, channel_id=channel_id, create_at=now, update_at=now,
            name=filename, extension=PurePosixPath(filename).suffix.removeprefix(".").lower(),
            size=len(data), mime_type=mimetypes.guess_type(filename)[0] or "application/octet-stream",
        )  # fmt: skip
        decision = await self._host.ask(HookName.FileWillBeUploaded, context=context, file_info=info, file_content=data)
        if decision.rejection:
            text = f"File rejected by plugin. {decision.rejection}"
            raise invalid(text, text, "UploadFile")
        changed, content = (
            cast("FileInfo", decision.fields["file_info"]),
            cast("bytes", decision.fields["file_content"]),
        )
        kept = FileInfo()
        kept.CopyFrom(changed)
        kept.id, kept.creator_id, kept.channel_id, kept.size = info.id, info.creator_id, channel_id, len(content)
        with anyio.CancelScope(shield=True):  # both or nothing; waits for the state's file only
            if not await self._store.files.insert(kept):  # another upload asked for the same id, and was faster
                raise invalid("app.file_info.save.app_error", f"A file has the id {kept.id} already.", "UploadFile")
            await self._store.put_blob(kept.id, content)
        return kept
