"""The content of a file that is being uploaded: read as a stream by the handler, given back as bytes or a stream.

Job:    ``FileContent``, the argument; ``gather``, from a handler's result to one with bytes.
Layer:  hooks.
Errors: HookResultError for pieces that are no bytes and for content over the message limit.

On this wire the server sends and takes the content in one message. The handler sees a stream, so that plugins stay as
they are on a wire that streams it.
"""

from __future__ import annotations

import io
from collections.abc import AsyncIterable, Iterator
from functools import partial
from typing import TYPE_CHECKING, BinaryIO, TypeAlias, cast

import anyio
import anyio.lowlevel

from mm_plugin import limits
from mm_plugin.exceptions import HookResultError

if TYPE_CHECKING:
    from typing import Self

    from mm_plugin.hooks.threads import HookThreads

__all__ = ("FileContent", "NewContent", "gather")

#: Content that a handler may give back.
NewContent: TypeAlias = bytes | bytearray | memoryview | AsyncIterable[bytes] | Iterator[bytes]


class FileContent:
    """A file's content as a stream: ``async for chunk in content``, or ``await content.read(limit)``.

    A ``def`` handler writes ``for chunk in content``, or uses ``content.sync``. All of them move one position.
    """

    __slots__ = ("_data", "_file")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._file = io.BytesIO(data)

    def __len__(self) -> int:
        """Return the octets of the whole content, wherever the position is."""
        return len(self._data)

    async def read(self, limit: int = -1) -> bytes:
        """Return the next octets, b"" at the end.

        Args:
            limit: At most as many octets; all that is left where negative.
        """
        await anyio.lowlevel.checkpoint()
        return self._file.read(limit)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        chunk = await self.read(limits.file_chunk_octets)
        if not chunk:
            raise StopAsyncIteration
        return chunk

    def __iter__(self) -> Iterator[bytes]:
        while chunk := self._file.read(limits.file_chunk_octets):
            yield chunk

    @property
    def sync(self) -> BinaryIO:
        """The content as a blocking binary file, for ``def`` handlers and libraries that take a file."""
        return self._file

    def whole(self) -> bytes:
        """Return all of the content, wherever the position is."""
        return self._data


async def gather(content: object, threads: HookThreads, limit_octets: int) -> object:
    """Return content as bytes where it is a stream, and anything else as it is.

    An async iterator is read here, a blocking one in a worker thread; each is closed in the end.

    Args:
        content: What a handler gave back.
        threads: Where a blocking iterator is read.
        limit_octets: The longest content that can be sent.

    Raises:
        HookResultError: A piece is no bytes, or there is more than can be sent.
    """
    if isinstance(content, FileContent):
        return content.whole()
    if isinstance(content, AsyncIterable):
        return await _gather_async(cast("AsyncIterable[object]", content), limit_octets)
    if isinstance(content, Iterator):
        return await threads.run(partial(_gather_blocking, cast("Iterator[object]", content), limit_octets))
    return content


async def _gather_async(pieces: AsyncIterable[object], limit_octets: int) -> bytes:
    whole = bytearray()
    try:
        async for piece in pieces:
            _append(whole, piece, limit_octets)
    finally:
        aclose = getattr(pieces, "aclose", None)
        if aclose is not None:
            with anyio.move_on_after(limits.cleanup_s, shield=True):
                await aclose()
    return bytes(whole)


def _gather_blocking(pieces: Iterator[object], limit_octets: int) -> bytes:
    whole = bytearray()
    try:
        for piece in pieces:
            _append(whole, piece, limit_octets)
    finally:
        close = getattr(pieces, "close", None)
        if close is not None:
            close()
    return bytes(whole)


def _append(whole: bytearray, piece: object, limit_octets: int) -> None:
    if not isinstance(piece, bytes | bytearray | memoryview):
        raise HookResultError(f"FileWillBeUploaded: new content is made of bytes, not {type(piece).__name__}")
    whole += piece
    if len(whole) > limit_octets:
        raise HookResultError(f"FileWillBeUploaded: the new content is longer than a message may be, {limit_octets}")
