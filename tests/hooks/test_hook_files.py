"""File contents: read as a stream by handlers of both kinds, and gathered from whatever they give back."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator
from typing import Any

import anyio
import pytest

from mm_plugin import limits
from mm_plugin.exceptions import HookResultError
from mm_plugin.hooks.files import FileContent, gather
from mm_plugin.hooks.names import HookName
from mm_plugin.hooks.results import ReplaceFile
from mm_plugin.hooks.threads import HookThreads
from mm_plugin.messages.files import FileInfo
from tests.hooks.rows import dispatch

DATA = bytes(range(256)) * 1024


async def test_content_is_read_in_pieces_and_chunks() -> None:
    """read() and iteration move one position; at the end there is nothing."""
    content = FileContent(DATA)
    assert len(content) == len(DATA)
    assert await content.read(10) == DATA[:10]
    chunks = [chunk async for chunk in content]
    assert max(map(len, chunks)) == limits.file_chunk_octets
    assert b"".join(chunks) == DATA[10:]
    assert await content.read() == b""
    assert await FileContent(DATA).read() == DATA


def test_blocking_handlers_iterate_or_take_a_file() -> None:
    """A def handler reads without a loop."""
    content = FileContent(DATA)
    assert content.sync.read(10) == DATA[:10]
    assert b"".join(content) == DATA[10:]
    content.sync.seek(0)
    assert content.sync.read() == content.whole() == DATA


async def _pieces() -> AsyncIterator[bytes]:
    yield b"a"
    yield b""
    yield b"b"


@pytest.mark.parametrize(
    ("make", "whole"),
    [
        (lambda: b"ab", b"ab"),
        (_pieces, b"ab"),
        (lambda: iter([b"a", bytearray(b"b"), memoryview(b"c")]), b"abc"),
        (lambda: FileContent(b"ab"), b"ab"),
        (lambda: None, None),
        (lambda: [b"a"], [b"a"]),
    ],
)
async def test_streams_become_bytes_and_the_rest_stays(make: Any, whole: object) -> None:
    """Iterators of both kinds are gathered, and anything else is left to the result check."""
    assert await gather(make(), HookThreads(), 10) == whole


async def _async_source(closed: list[str]) -> AsyncGenerator[Any]:
    try:
        yield b"ab"
        yield b"cd"
        yield "e"
    finally:
        await anyio.lowlevel.checkpoint()
        closed.append("closed")


def _source(closed: list[str]) -> Generator[Any]:
    try:
        yield b"ab"
        yield b"cd"
        yield "e"
    finally:
        closed.append("closed")


@pytest.mark.parametrize("make", [_async_source, _source])
@pytest.mark.parametrize("limit", [3, 100])
async def test_a_bad_piece_or_too_much_is_refused_and_the_source_closed(make: Any, limit: int) -> None:
    """Over the limit, or at a piece that is no bytes, the iterator is closed at once."""
    closed: list[str] = []
    with pytest.raises(HookResultError, match="longer" if limit == 3 else "not str"):
        await gather(make(closed), HookThreads(), limit)
    assert closed == ["closed"]


async def test_every_form_of_result_replaces_the_file() -> None:
    """A stream alone, ReplaceFile with a stream and a FileInfo, and generators as handlers all work."""
    info = FileInfo(name="new")

    async def stream(context: object, file_info: FileInfo, content: FileContent) -> AsyncIterator[bytes]:
        return aiter(content)

    async def both(context: object, file_info: FileInfo, content: FileContent) -> ReplaceFile:
        return ReplaceFile(info=info, content=_pieces())

    async def async_generator(context: object, file_info: FileInfo, content: FileContent) -> AsyncIterator[bytes]:
        yield b"<"
        async for chunk in content:
            yield chunk

    def generator(context: object, file_info: FileInfo, content: FileContent) -> Iterator[bytes]:
        yield b"<"
        yield from content

    async def given(context: object, file_info: FileInfo, content: FileContent) -> FileContent:
        await content.read(1)
        return content

    name = HookName.FileWillBeUploaded
    assert (await dispatch(name, stream)).ByteSize() == 0  # as it came
    assert (await dispatch(name, given)).ByteSize() == 0
    answer = await dispatch(name, both)
    assert (answer.modified_content, answer.modified_file_info) == (b"ab", info)
    for handler in (async_generator, generator):
        assert (await dispatch(name, handler)).modified_content == b"<file_content"


async def test_reading_the_new_content_is_part_of_the_handlers_time() -> None:
    """A stream that never ends is cut at the deadline, and the file is refused."""
    closed = anyio.Event()

    async def stuck(*_: object) -> AsyncIterator[bytes]:
        try:
            yield b"a"
            await anyio.sleep_forever()
        finally:
            closed.set()

    assert (await dispatch(HookName.FileWillBeUploaded, stuck, timeout_s=0.02)).rejection_reason
    assert closed.is_set()
