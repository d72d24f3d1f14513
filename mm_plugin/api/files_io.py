"""Files up and down: from and to paths and streams, in pieces where the server takes pieces.

Layer:  api, beside the client.
Errors: those of the client; OSError for paths; ValueError where a stream is not as long as was said.
Uploads travel in pieces and hold one at a time. Downloads come from the server in one message and are held whole.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
from anyio import to_thread

from mm_plugin import limits
from mm_plugin.exceptions import PluginAPIError, StatusCode
from mm_plugin.messages.helpers import new_id

if TYPE_CHECKING:
    from mm_plugin._proto.file_pb2 import FileInfo
    from mm_plugin.api.client import PluginAPIClient

__all__ = ("download_to_path", "download_to_stream", "upload_path", "upload_stream")


async def upload_path(
    api: PluginAPIClient, path: str | os.PathLike[str], *, channel_id: str, user_id: str, filename: str = ""
) -> FileInfo:
    """Upload a file from disk; the id in the answer attaches it to a post of that user.

    Cancellation, and any error, leave an unfinished upload on the server, which forgets it.

    Args:
        api: The client.
        path: The file.
        channel_id: The channel.
        user_id: Whose file it is.
        filename: Its name in the channel; "" for the path's own.

    Raises:
        OSError: The file cannot be read.
        ValueError: It is empty, or its length changed on the way.
    """
    async with await anyio.open_file(path, "rb") as file:
        size_octets = await to_thread.run_sync(lambda: os.fstat(file.wrapped.fileno()).st_size)
        upload = _Upload(api, file.read, size_octets, channel_id, user_id, filename or Path(path).name)
        return await upload.run()


async def upload_stream(
    api: PluginAPIClient,
    chunks: AsyncIterable[bytes],
    *,
    size_octets: int,
    channel_id: str,
    user_id: str,
    filename: str,
) -> FileInfo:
    """Upload what a stream gives, such as a request's body; otherwise as ``upload_path``.

    Args:
        api: The client.
        chunks: The file, in chunks of any length.
        size_octets: The whole length, which the server wants to know first.
        channel_id: The channel.
        user_id: Whose file it is.
        filename: Its name in the channel.

    Raises:
        ValueError: The stream is empty, or not as long as was said.
    """
    return await _Upload(api, _Reader(chunks).read, size_octets, channel_id, user_id, filename).run()


async def download_to_path(api: PluginAPIClient, file_id: str, path: str | os.PathLike[str]) -> int:
    """Write a file of the server to disk and return its length; the path is replaced at once or not at all.

    Raises:
        OSError: The file cannot be written.
    """
    data = await api.get_file(file_id)
    await to_thread.run_sync(_write, Path(path), data)
    return len(data)


async def download_to_stream(api: PluginAPIClient, file_id: str, write: Callable[[bytes], Awaitable[object]]) -> int:
    """Write a file of the server piece by piece and return its length.

    Args:
        api: The client.
        file_id: The file.
        write: Takes the next piece, such as ``response.write``.
    """
    data = memoryview(await api.get_file(file_id))
    for first in range(0, len(data), limits.http_chunk_octets):
        await write(bytes(data[first : first + limits.http_chunk_octets]))
    return len(data)


class _Upload:
    """One upload session of the server."""

    def __init__(
        self,
        api: PluginAPIClient,
        read: Callable[[int], Awaitable[bytes]],
        size_octets: int,
        channel_id: str,
        user_id: str,
        filename: str,
    ) -> None:
        if size_octets < 1:
            raise ValueError(f"{filename or 'the file'} is empty; the server takes no empty files")
        self._api = api
        self._read = read
        self._size_octets = size_octets
        self._place = (channel_id, user_id, filename)

    async def run(self) -> FileInfo:
        from mm_plugin._proto.file_pb2 import UploadSession

        channel_id, user_id, filename = self._place
        session = await self._api.create_upload_session(
            UploadSession(
                id=new_id(),
                type="attachment",
                channel_id=channel_id,
                user_id=user_id,
                filename=filename,
                file_size=self._size_octets,
            )
        )
        info: FileInfo | None = None
        while session.file_offset < self._size_octets:
            piece = await self._piece(self._size_octets - session.file_offset)
            info = await self._api.upload_data(session, piece)
            session.file_offset += len(piece)
        if info is None:
            raise PluginAPIError(f"the server did not complete the upload of {filename}", code=StatusCode.INTERNAL)
        return info

    async def _piece(self, rest_octets: int) -> bytes:
        """Read the next piece; a last one only once it is certain that nothing follows."""
        piece = await self._read(min(rest_octets, limits.upload_piece_octets))
        too_long = len(piece) == rest_octets and await self._read(1)
        if not piece or too_long:
            raise ValueError(
                f"{self._place[2]} is {'longer' if too_long else 'shorter'} than {self._size_octets} octets"
            )
        return piece


class _Reader:
    """Reads pieces of a wanted length from chunks of any length."""

    def __init__(self, chunks: AsyncIterable[bytes]) -> None:
        self._chunks: AsyncIterator[bytes] = aiter(chunks)
        self._buffer = bytearray()

    async def read(self, octets: int) -> bytes:
        """Return so many octets, fewer only at the end."""
        while len(self._buffer) < octets:
            try:
                self._buffer += await anext(self._chunks)
            except StopAsyncIteration:
                break
        piece = bytes(self._buffer[:octets])
        del self._buffer[:octets]
        return piece


def _write(path: Path, data: bytes) -> None:
    part = path.with_name(f".{new_id()}.part")  # without the name itself, which may be as long as names can be
    try:
        part.write_bytes(data)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
