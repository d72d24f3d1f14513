"""Files: through the API, through REST, and past the plugins."""

from __future__ import annotations

import httpx
import pytest

from mm_plugin import limits
from mm_plugin.devserver.server import open_door
from mm_plugin.exceptions import NotFoundError, PluginAPIError
from mm_plugin.hooks.results import Reject
from mm_plugin.messages.common import PluginContext
from mm_plugin.messages.files import FileInfo, GetFileInfosOptions
from mm_plugin.plugin.plugin import Plugin
from tests.devserver.worlds import open_world


class Editor(Plugin):
    """Rejects what is called bad, and turns upper case into lower."""

    async def file_will_be_uploaded(
        self, context: PluginContext, file_info: FileInfo, file_content: object
    ) -> Reject | bytes | None:
        content = b"".join([piece async for piece in file_content])  # type: ignore[attr-defined]
        if file_info.name.startswith("bad"):
            return Reject("Bad name.")
        return content.lower() if content != content.lower() else None


async def test_a_file_is_kept_whole() -> None:
    """What a plugin uploads comes back octet for octet, with a record that says what it is."""
    async with open_world() as world, world.client() as api:
        channel = world.seed.channel.id
        data = bytes(range(256)) * 1000
        info = await api.upload_file(data, channel, "photo.PNG")
        assert (info.name, info.extension, info.mime_type, info.size) == ("photo.PNG", "png", "image/png", len(data))
        assert await api.get_file(info.id) == data
        assert await api.read_file(info.id) == data
        assert await api.get_file_info(info.id) == info
        (copy,) = await api.copy_file_infos(world.seed.users["ada"].id, [info.id])
        assert await api.get_file(copy) == data
        by_ada = await api.get_file_infos(options=GetFileInfosOptions(user_id=world.seed.users["ada"].id))
        assert [found.id for found in by_ada] == [copy]
        empty = await api.upload_file(b"", channel, "empty")
        assert await api.get_file(empty.id) == b""
        smallest = await api.get_file_infos(per_page=1, options=GetFileInfosOptions(sort_by="Size"))
        assert [found.id for found in smallest] == [empty.id]
        for call in (api.get_file("x"), api.get_file_info("x"), api.read_file("x"), api.upload_file(b"", "x", "f")):
            with pytest.raises(NotFoundError):
                await call
        for wrong in (api.upload_file(b"x", channel, ""), api.get_file_infos(options=GetFileInfosOptions(sort_by="x"))):
            with pytest.raises(PluginAPIError):
                await wrong


async def test_plugins_are_asked_about_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """A plugin may change or reject an upload; people upload and fetch by REST, in their channels only."""
    monkeypatch.setattr(limits, "devserver_file_octets", 1000)
    async with open_world() as world, world.running(Editor()), open_door(world.app, "127.0.0.1", 0) as url:
        headers = {"Authorization": f"Bearer {world.seed.tokens['ada']}"}
        async with httpx.AsyncClient(base_url=f"{url}/api/v4", headers=headers) as ada:

            async def upload(name: str, data: bytes, channel_id: str = world.seed.channel.id) -> httpx.Response:
                return await ada.post("/files", params={"channel_id": channel_id, "filename": name}, content=data)

            answer = await upload("söme.txt", b"HELLO")
            assert answer.status_code == 201
            (info,) = answer.json()["file_infos"]
            assert info["creator_id"] == world.seed.users["ada"].id
            fetched = await ada.get(f"/files/{info['id']}")
            assert (fetched.content, fetched.headers["content-type"]) == (b"hello", "text/plain; charset=utf-8")
            assert fetched.headers["content-disposition"] == "attachment; filename*=UTF-8''s%C3%B6me.txt"
            assert (await ada.get(f"/files/{info['id']}/info")).json()["size"] == 5
            rejected = await upload("bad.txt", b"x")
            assert (rejected.status_code, rejected.json()["message"]) == (400, "File rejected by plugin. Bad name.")
            assert (await upload("long.txt", bytes(1001))).status_code == 413
            assert (await upload("x.txt", b"x", "nowhere")).status_code == 403
            assert (await ada.get("/files/nowhere")).status_code == 404
