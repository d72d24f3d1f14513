"""Who may call the API: the plugin's secret, the unix socket, and the message limit."""

from __future__ import annotations

import os
import stat
import textwrap
from pathlib import Path

import pytest

from mm_plugin._proto.post_pb2 import Post
from mm_plugin._proto.user_pb2 import User
from mm_plugin.api.client import PluginAPIClient
from mm_plugin.exceptions import UnauthenticatedError
from mm_plugin.host.api_receiver import HandlerAPI
from mm_plugin.host.wires import grpc_wire
from mm_plugin.transport.grpc.api_end import open_api, open_api_server
from tests.host.guard_plugin import OpenHost
from tests.host.stubs import write_bundle

pytestmark = pytest.mark.usefixtures("nothing_left")

SECRET = "a" * 64


class Server:
    async def get_user(self, *, user_id: str) -> User:
        return User(id=user_id)


@pytest.mark.parametrize("given", ["", "b" * 64, SECRET[:-1], SECRET + "a"])
async def test_secret(given: str) -> None:
    """A call without the secret or with another one is UNAUTHENTICATED and never reaches the handler."""
    async with (
        open_api_server(HandlerAPI(Server()), secret=SECRET) as target,
        open_api(target, secret=SECRET) as ours,
        open_api(target, secret=given) as other,
    ):
        assert (await PluginAPIClient.on_link(ours).get_user("u")).id == "u"
        with pytest.raises(UnauthenticatedError, match="does not carry what MM_PLUGIN_API_SECRET told"):
            await PluginAPIClient.on_link(other).get_user("u")


async def test_no_secret_asked() -> None:
    """A server without a secret takes every call, whatever it carries."""
    async with open_api_server(HandlerAPI(Server())) as target, open_api(target, secret=SECRET) as api:
        assert (await PluginAPIClient.on_link(api).get_user("u")).id == "u"


async def test_client_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that a plugin opens by itself takes target and secret from the environment."""
    async with open_api_server(HandlerAPI(Server()), secret=SECRET) as target:
        monkeypatch.setenv("MATTERMOST_PLUGIN_API_TARGET", target)
        monkeypatch.setenv("MM_PLUGIN_API_SECRET", SECRET)
        async with PluginAPIClient() as api:
            assert (await api.get_user("u")).id == "u"


async def test_unix_socket() -> None:
    """The API on a unix socket: for this user only, in a folder for this user only, and gone afterwards."""
    wire = grpc_wire(api_unix_socket=True)
    async with wire.serve_api(HandlerAPI(Server()), secret=SECRET) as target:
        assert target.startswith("unix:/")
        path = Path(target.removeprefix("unix:"))
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
        assert stat.S_IMODE(os.stat(path.parent).st_mode) == 0o700
        async with open_api(target, secret=SECRET) as api:
            assert (await PluginAPIClient.on_link(api).get_user("u")).id == "u"
    assert not path.parent.exists()


ASKING = """
    import os
    from mm_plugin import Plugin, PluginAPIError, Reject, run_plugin
    {before}
    class Asking(Plugin):
        async def message_will_be_posted(self, context, post):
            try:
                await self.api.create_post(post)
            except PluginAPIError as error:
                return Reject(error.code.name)

    run_plugin(Asking)
"""


@pytest.mark.parametrize(
    ("before", "demanded", "refused"),
    [
        ("", None, ""),
        ("del os.environ['MM_PLUGIN_API_SECRET']", None, "UNAUTHENTICATED"),
        ("del os.environ['MM_PLUGIN_API_SECRET']", False, ""),
        ("os.environ['MM_PLUGIN_API_SECRET'] = 'guessed'", True, "UNAUTHENTICATED"),
    ],
)
async def test_plugin(open_a_host: OpenHost, tmp_path: Path, before: str, demanded: bool | None, refused: str) -> None:
    """A plugin of this package carries its secret; one that does not know of it can be let in by an option."""
    async with open_a_host(require_api_secret=demanded) as host:
        await host.start(write_bundle(tmp_path, textwrap.dedent(ASKING).format(before=before)))
        assert (await host.message_will_be_posted(Post())).rejection == refused


async def test_message_limit(open_a_host: OpenHost, tmp_path: Path) -> None:
    """The limit on messages is a setting of the host, in both directions."""
    async with open_a_host(message_limit_octets=100_000) as host:
        await host.start(write_bundle(tmp_path, textwrap.dedent(ASKING).format(before="")))
        assert (await host.message_will_be_posted(Post(message="x" * 90_000))).rejection == ""
        assert (await host.message_will_be_posted(Post(message="x" * 110_000))).rejection == "RESOURCE_EXHAUSTED"
