"""A web client part in a real browser: a plugin's page, its WebSocket, the plugin's hooks and events."""

from __future__ import annotations

import shutil
import signal
import subprocess
from pathlib import Path

import anyio
import httpx
import pytest

from mm_plugin.devserver.seed import PASSWORD
from mm_plugin.devserver.server import open_door
from mm_plugin.messages.structs import dict_of_struct
from mm_plugin.messages.websocket import WebsocketBroadcast, WebSocketRequest
from mm_plugin.plugin.plugin import Plugin
from mm_plugin.serve_http import Request, Response
from tests.devserver.worlds import open_world
from tests.host.test_http_clients import BROWSER_OPTIONS

PAGE = """<!doctype html><title>waiting</title><script>
const seen = [];
const login = {method: "POST", body: JSON.stringify({login_id: "ada", password: "PASSWORD"})};
fetch("/api/v4/users/login", login).then(() => {
  const socket = new WebSocket(`ws://${location.host}/api/v4/websocket`);
  socket.onmessage = message => {
    const {event, data} = JSON.parse(message.data);
    seen.push(event);
    if (event == "hello") {
      socket.send(JSON.stringify({seq: 1, action: "custom_com.example.test_ask", data: {x: 6}}));
    } else if (event == "custom_com.example.test_answer") {
      socket.onclose = closed => fetch(`done?${seen}=${data.y},${closed.code}`);
      socket.close(1000);
    }
  };
});
</script>""".replace("PASSWORD", PASSWORD)


class Page(Plugin):
    """Serves the page, and answers what it asks over the WebSocket."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.ended = anyio.Event()

    async def serve_http(self, request: Request, response: Response) -> None:
        match request.path:
            case "/":
                response.headers["content-type"] = "text/html"
                await response.write(PAGE)
            case "/done":
                self.done.append(request.query_string)
                self.ended.set()
            case _:  # such as an icon
                response.status = 404

    async def websocket_message_has_been_posted(
        self, web_conn_id: str, user_id: str, request: WebSocketRequest
    ) -> None:
        x = dict_of_struct(request.data)["x"]
        assert isinstance(x, int | float)
        await self.api.publish_websocket_event("answer", {"y": x * 7}, WebsocketBroadcast(user_id=user_id))


async def test_a_browser_talks_with_a_plugin(tmp_path: Path) -> None:
    """A page of a plugin logs in, connects with nothing but its cookie, asks the plugin, and gets its event."""
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)
    if browser is None:
        pytest.skip("no Chromium is installed")
    page = Page()
    with anyio.fail_after(40):
        async with open_world() as world, world.running(page), open_door(world.app, "127.0.0.1", 0) as url:
            async with httpx.AsyncClient() as client:
                assert (await client.get(f"{url}/plugins/com.example.test/")).status_code == 200
            async with await anyio.open_process(
                [browser, *BROWSER_OPTIONS, f"--user-data-dir={tmp_path}", f"{url}/plugins/com.example.test/"],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            ) as process:
                await page.ended.wait()
                process.send_signal(signal.SIGTERM)
    assert page.done == ["hello,custom_com.example.test_answer=42,1000"]
