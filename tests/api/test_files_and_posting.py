"""Files in pieces, from and to paths and streams; posting shortcuts; JSON that comes as bytes."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st

from mm_plugin import limits
from mm_plugin._proto.channel_pb2 import Channel
from mm_plugin._proto.file_pb2 import FileInfo, UploadSession
from mm_plugin._proto.post_pb2 import Post
from mm_plugin.api.client import PluginAPIClient
from mm_plugin.api.files_io import download_to_path, download_to_stream, upload_path, upload_stream
from mm_plugin.api.posting import reply, send_direct, send_ephemeral
from mm_plugin.exceptions import NotFoundError, PluginAPIError, ValidationError
from mm_plugin.host.api_receiver import HandlerAPI
from mm_plugin.messages.helpers import props_of
from mm_plugin.messages.structs import json_object
from mm_plugin.transport.memory import memory_link

PLACE = {"channel_id": "c", "user_id": "u"}


class Server:
    """Takes uploads as Mattermost does, and keeps posts."""

    def __init__(self) -> None:
        self.sessions: dict[str, UploadSession] = {}
        self.files: dict[str, bytes] = {}
        self.pieces: list[int] = []
        self.posts: list[Post] = []
        self.completes = True

    async def create_upload_session(self, upload_session: UploadSession) -> UploadSession:
        assert (upload_session.type, upload_session.file_offset) == ("attachment", 0)
        assert len(upload_session.id) == 26
        self.sessions[upload_session.id] = UploadSession.FromString(upload_session.SerializeToString())
        self.files[upload_session.id] = b""
        return upload_session

    async def upload_data(self, upload_session: UploadSession, data: bytes) -> FileInfo | None:
        session = self.sessions[upload_session.id]
        if upload_session.file_offset != session.file_offset or session.file_offset + len(data) > session.file_size:
            raise ValidationError("the piece does not fit")
        self.pieces.append(len(data))
        self.files[session.id] += data
        session.file_offset += len(data)
        if session.file_offset < session.file_size or not self.completes:
            return None
        return FileInfo(id=session.id, name=session.filename, channel_id=session.channel_id, creator_id=session.user_id)

    async def get_file(self, file_id: str) -> bytes:
        if file_id not in self.files:
            raise NotFoundError("no such file")
        return self.files[file_id]

    async def get_direct_channel(self, user_id_1: str, user_id_2: str) -> Channel:
        return Channel(id=f"{user_id_1}__{user_id_2}")

    async def create_post(self, post: Post) -> Post:
        self.posts.append(post)
        return Post(id="new")

    async def send_ephemeral_post(self, user_id: str, post: Post) -> Post:
        assert user_id == "reader"
        return await self.create_post(post)


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def api(server: Server, monkeypatch: pytest.MonkeyPatch) -> PluginAPIClient:
    monkeypatch.setattr(limits, "upload_piece_octets", 10)
    return PluginAPIClient.on_link(memory_link(HandlerAPI(server))[0])


async def chunks_of(data: bytes, octets: int) -> AsyncGenerator[bytes]:
    for first in range(0, len(data), octets):
        yield data[first : first + octets]


# -- up -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("octets", [1, 9, 10, 11, 20, 35])
@pytest.mark.parametrize("chunk", [1, 7, 100])
async def test_a_stream_is_uploaded_in_pieces(server: Server, api: PluginAPIClient, octets: int, chunk: int) -> None:
    """Chunks of any length become full pieces and a rest; the file is whole, and its user's."""
    data = bytes(range(octets))
    info = await upload_stream(api, chunks_of(data, chunk), size_octets=octets, filename="f", **PLACE)
    assert (info.name, info.channel_id, info.creator_id) == ("f", "c", "u")
    assert server.files[info.id] == data
    assert server.pieces == [10] * (octets // 10) + ([octets % 10] if octets % 10 else [])


async def test_the_longest_name_of_a_file_can_be_written(server: Server, api: PluginAPIClient, tmp_path: Path) -> None:
    """A download needs no longer name beside the one it is asked for."""
    server.files["id"] = b"data"
    path = tmp_path / ("x" * 255)
    assert await download_to_path(api, "id", path) == 4
    assert path.read_bytes() == b"data"


async def test_a_path_goes_up_and_comes_down(server: Server, api: PluginAPIClient, tmp_path: Path) -> None:
    """A file on disk is uploaded under its own name or another, and written back whole."""
    path, back = tmp_path / "a.bin", tmp_path / "b.bin"
    path.write_bytes(bytes(25))
    info = await upload_path(api, path, **PLACE)
    assert (info.name, server.pieces) == ("a.bin", [10, 10, 5])
    assert (await upload_path(api, str(path), filename="c.bin", **PLACE)).name == "c.bin"
    back.write_bytes(b"old")
    assert await download_to_path(api, info.id, back) == 25
    assert back.read_bytes() == bytes(25)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a.bin", "b.bin"]


@pytest.mark.parametrize(("said", "text"), [(26, "shorter"), (24, "longer"), (20, "longer"), (0, "is empty")])
async def test_a_stream_of_another_length_is_refused(
    server: Server, api: PluginAPIClient, said: int, text: str
) -> None:
    """A stream that is not as long as was said never becomes a file."""
    async with aclosing(chunks_of(bytes(25), 8)) as chunks:
        with pytest.raises(ValueError, match=text):
            await upload_stream(api, chunks, size_octets=said, filename="f", **PLACE)
    assert sum(server.pieces) < max(said, 1)


async def test_a_server_that_does_not_complete_is_an_error(server: Server, api: PluginAPIClient) -> None:
    """Where the last piece brings no file, nobody is told that there is one."""
    server.completes = False
    with pytest.raises(PluginAPIError, match="did not complete the upload of f"):
        await upload_stream(api, chunks_of(b"x", 1), size_octets=1, filename="f", **PLACE)


# -- down -----------------------------------------------------------------------------------------------------


async def test_a_file_comes_down_in_pieces(
    server: Server, api: PluginAPIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stream gets the file in pieces of bounded length."""
    monkeypatch.setattr(limits, "http_chunk_octets", 10)
    server.files["f"] = bytes(range(25))
    pieces: list[bytes] = []

    async def write(piece: bytes) -> None:
        pieces.append(piece)

    assert await download_to_stream(api, "f", write) == 25
    assert list(map(len, pieces)) == [10, 10, 5]
    assert b"".join(pieces) == server.files["f"]


async def test_a_failed_download_leaves_the_path_alone(api: PluginAPIClient, tmp_path: Path) -> None:
    """Neither a missing file nor a folder that cannot be written leaves anything behind."""
    path = tmp_path / "f"
    path.write_bytes(b"old")
    with pytest.raises(NotFoundError):
        await download_to_path(api, "missing", path)
    assert [file.read_bytes() for file in tmp_path.iterdir()] == [b"old"]


# -- posting --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("post", "root"), [(Post(id="p"), "p"), (Post(id="p", root_id="r"), "r")])
async def test_a_reply_stays_in_its_thread(server: Server, api: PluginAPIClient, post: Post, root: str) -> None:
    """A reply goes to the post's channel, in its thread or beginning one."""
    post.channel_id = "c"
    assert (await reply(api, post, "hi", user_id="bot", props={"n": 1}, file_ids=["f"])).id == "new"
    (sent,) = server.posts
    assert (sent.channel_id, sent.root_id, sent.user_id, sent.message) == ("c", root, "bot", "hi")
    assert (props_of(sent), list(sent.file_ids)) == ({"n": 1}, ["f"])


async def test_a_direct_message_finds_its_channel(server: Server, api: PluginAPIClient) -> None:
    """A direct message goes to the channel of the two."""
    await send_direct(api, "hi", from_user_id="bot", to_user_id="alice")
    (sent,) = server.posts
    assert sent == Post(channel_id="bot__alice", user_id="bot", message="hi")


async def test_one_file_id_is_no_list_of_them(server: Server, api: PluginAPIClient) -> None:
    """A lone str, whose letters would be taken for ids, is a TypeError that says what to write."""
    with pytest.raises(TypeError, match=r"write \[file_ids\]"):
        await reply(api, Post(id="p"), "text", user_id="u", file_ids="8bmk5s1qzbyqtn6rpzx7t6wfhc")
    assert not server.posts


async def test_an_ephemeral_message_goes_to_one(server: Server, api: PluginAPIClient) -> None:
    """An ephemeral message names its reader apart from the post."""
    await send_ephemeral(api, "psst", to_user_id="reader", channel_id="c", root_id="r")
    assert server.posts == [Post(channel_id="c", message="psst", root_id="r")]


# -- JSON in bytes --------------------------------------------------------------------------------------------


@given(value=st.dictionaries(st.text(), st.none() | st.integers() | st.text()))
def test_json_in_bytes_is_read(value: dict[str, Any]) -> None:
    """What ``json_octets`` writes is read back; no bytes at all are an empty object."""
    from mm_plugin.messages.structs import json_octets

    assert json_object(json_octets(value, "value")) == value
    assert json_object(b"") == {}


@pytest.mark.parametrize("octets", [b"[]", b"{", b"\xff"])
def test_what_is_no_json_object_is_a_value_error(octets: bytes) -> None:
    """A list, broken JSON and bytes that are no text are ValueErrors."""
    with pytest.raises(ValueError):
        json_object(octets)
