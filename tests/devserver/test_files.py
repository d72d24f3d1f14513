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


async def test_files_come_in_forms_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """A multipart form brings several files, in any order with its fields; each file's client id comes back with it."""
    monkeypatch.setattr(limits, "devserver_file_octets", 300_000)
    monkeypatch.setattr(limits, "devserver_form_octets", 700_000)
    async with open_world() as world, world.running(Editor()), open_door(world.app, "127.0.0.1", 0) as url:
        headers = {"Authorization": f"Bearer {world.seed.tokens['ada']}"}
        channel_id = world.seed.channel.id
        async with httpx.AsyncClient(base_url=f"{url}/api/v4", headers=headers) as ada:

            async def upload(*files: tuple[str, bytes], query: str = "", **fields: object) -> httpx.Response:
                parts = [("files", file) for file in files]
                return await ada.post(f"/files{query}", files=parts, data=fields)

            # As curl -F files=@f -F channel_id=… has it: the files first. The second one goes over the disk.
            form = (
                '--x\r\nContent-Disposition: form-data; name="files"; filename="söme.txt"\r\n\r\nHELLO\r\n'
                f'--x\r\nContent-Disposition: form-data; name="channel_id"\r\n\r\n{channel_id}\r\n--x--\r\n'
            )
            as_form = {"Content-Type": "multipart/form-data; boundary=x"}
            answer = await ada.post("/files", content=form.encode(), headers=as_form)
            assert answer.status_code == 201, answer.text
            assert answer.json()["client_ids"] == []
            (info,) = answer.json()["file_infos"]
            assert (info["name"], info["creator_id"]) == ("söme.txt", world.seed.users["ada"].id)
            assert (await ada.get(f"/files/{info['id']}")).content == b"hello"

            long = bytes(290_000)
            answer = await upload(("a", b"aa"), ("b", long), channel_id=channel_id, client_ids=["one", "two"])
            assert answer.status_code == 201, answer.text
            assert [info["name"] for info in answer.json()["file_infos"]] == ["a", "b"]
            assert answer.json()["client_ids"] == ["one", "two"]
            assert (await ada.get(f"/files/{answer.json()['file_infos'][1]['id']}")).content == long
            assert (await upload(("a", b"a"), query=f"?channel_id={channel_id}")).status_code == 201

            for status, said, refused in (
                (400, "client_ids", await upload(("a", b"a"), channel_id=channel_id, client_ids=["one", "two"])),
                (400, "channel_id", await upload(("a", b"a"))),
                (400, "no file", await ada.post("/files", content=form[form.rindex("--x\r") :], headers=as_form)),
                (400, "channel", await upload(("a", b"a"), channel_id=channel_id, query="?channel_id=other")),
                (400, "colour", await upload(("a", b"a"), channel_id=channel_id, colour="red")),
                (400, "Bad name", await upload(("bad", b"a"), channel_id=channel_id)),
                (400, "boundary", await ada.post("/files", content=form[:-9].encode(), headers=as_form)),
                (403, "permission", await upload(("a", b"a"), channel_id="nowhere")),
                (413, "300000", await upload(("a", bytes(300_001)), channel_id=channel_id)),
                (413, "700000", await upload(*[("a", bytes(250_000))] * 3, channel_id=channel_id)),
            ):
                assert (refused.status_code, said in refused.json()["message"]) == (status, True), refused.text


async def test_the_client_id_of_a_raw_upload_comes_back() -> None:
    """A file as the whole body may name a client id in the query; without a channel or any octets it is refused."""
    async with open_world() as world, open_door(world.app, "127.0.0.1", 0) as url:
        headers = {"Authorization": f"Bearer {world.seed.tokens['ada']}"}
        async with httpx.AsyncClient(base_url=f"{url}/api/v4", headers=headers) as ada:
            query = {"channel_id": world.seed.channel.id, "filename": "f", "client_id": "mine"}
            answer = await ada.post("/files", params=query, content=b"x")
            assert (answer.status_code, answer.json()["client_ids"]) == (201, ["mine"])
            for missing in ("channel_id", "filename"):
                less = {name: value for name, value in query.items() if name != missing}
                answer = await ada.post("/files", params=less, content=b"x")
                assert (answer.status_code, missing in answer.json()["message"]) == (400, True)
            assert (await ada.post("/files", params=query, content=b"")).status_code == 400
