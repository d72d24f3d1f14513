"""The serving side of the API: a handler object's methods answer, and its failures stay its own."""

from __future__ import annotations

import logging
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from mm_plugin._proto.services import api_methods
from mm_plugin._proto.user_pb2 import User
from mm_plugin.api.client import PluginAPIClient
from mm_plugin.exceptions import DeadlineError, NotFoundError, PluginAPIError, StatusCode
from mm_plugin.host.api_receiver import ErrorStyle, HandlerAPI
from mm_plugin.transport.link import CallFailure, FailureKind
from tests.api.api_samples import DirectCaller


class Handler:
    """A few methods, each in its own style."""

    def get_server_version(self) -> str:
        return "11.2.0"

    async def get_user(self, user_id: str) -> User:
        await anyio.lowlevel.checkpoint()
        return User(id=user_id)

    async def get_user_by_email(self, email: str) -> User:
        return User()

    async def get_user_by_username(self, name: str) -> object:
        return "no message"

    async def get_team(self, team_id: str) -> None:
        raise ZeroDivisionError(f"secret {team_id}")

    async def get_channel(self, channel_id: str) -> None:
        raise CallFailure("not now", code=StatusCode.UNAVAILABLE)

    async def get_post(self, post_id: str) -> None:
        await anyio.sleep_forever()

    async def get_config(self) -> dict[str, int]:
        return {"ServiceSettings": 1}

    async def kv_get(self, key: str) -> bytes:
        raise NotFoundError("gone", id="app.kv", params={"bad": {1}})

    async def kv_delete(self, key: str) -> str:
        return "deleted"

    async def kv_list(self, page: int, per_page: int) -> str:
        return "keys"

    async def get_emoji_image(self, emoji_id: str) -> str:
        return "ab"

    async def get_file_infos(self, page: int, per_page: int, options: object) -> dict[str, str]:
        return {"a": "b"}

    async def delete_post(self, post_id: str) -> None:
        raise NotFoundError("gone", where="DeletePost")

    async def plugin_http(self, method: str, url: str, headers: dict[str, str], body: bytes) -> tuple[int, bytes]:
        return 200, b""


@pytest.fixture
def api() -> PluginAPIClient:
    return PluginAPIClient.on_link(DirectCaller(HandlerAPI(Handler())))


def errors_in(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    return [record for record in caplog.records if record.levelno >= logging.ERROR]


async def test_async_and_plain_methods_answer(api: PluginAPIClient) -> None:
    """A handler's method may be a coroutine function or a plain one."""
    assert await api.get_server_version() == "11.2.0"
    assert await api.get_user("id") == User(id="id")


async def test_an_empty_message_is_a_result(api: PluginAPIClient) -> None:
    """A message with nothing in it is not taken for no message."""
    assert await api.get_user_by_email("a@b.c") == User()


async def test_a_mapping_may_stand_for_json(api: PluginAPIClient) -> None:
    """Where the contract says JSON in bytes, the handler may return the mapping."""
    assert await api.get_config() == b'{"ServiceSettings":1}'


async def test_a_missing_method_is_unimplemented_by_name(api: PluginAPIClient) -> None:
    """A method the handler does not have, or no handler could have, is UNIMPLEMENTED with its name."""
    with pytest.raises(PluginAPIError, match="GetTeams is not implemented by Handler") as caught:
        await api.get_teams()
    assert caught.value.code is StatusCode.UNIMPLEMENTED
    with pytest.raises(CallFailure, match="NoSuchMethod is not implemented") as failure:
        await HandlerAPI(Handler()).handle_api("NoSuchMethod", User(), deadline=None)
    assert failure.value.code is StatusCode.UNIMPLEMENTED


@pytest.mark.parametrize(
    ("method", "arguments"),
    [
        ("get_team", ("t1",)),  # it crashes
        ("get_user_by_username", ("name",)),  # no message where one is due
        ("kv_delete", ("key",)),  # a result where none is due
        ("kv_get", ("key",)),  # an error that cannot be sent
        ("plugin_http", ("GET", "/x")),  # two results of three
        ("kv_list", ()),  # text for a list, which would be its letters
        ("get_emoji_image", ("id",)),  # text for a tuple
        ("get_file_infos", ()),  # a dict for a list, which would be its keys
    ],
)
async def test_a_broken_handler_is_logged_once_and_stays_private(
    api: PluginAPIClient, caplog: pytest.LogCaptureFixture, method: str, arguments: tuple[Any, ...]
) -> None:
    """Whatever a handler does wrong is one log record with its traceback, and INTERNAL without its text outside."""
    with pytest.raises(PluginAPIError, match=r"^internal error: ") as caught:
        await getattr(api, method)(*arguments)
    assert caught.value.code is StatusCode.INTERNAL
    assert "secret" not in str(caught.value)
    (record,) = errors_in(caplog)
    assert record.exc_info is not None


@pytest.mark.parametrize(
    ("method", "arguments", "text"),
    [("kv_list", (), "keys must be a list or a tuple, not str"), ("get_emoji_image", ("x",), "not str")],
)
async def test_a_result_of_the_wrong_kind_is_named_in_the_log(
    api: PluginAPIClient, caplog: pytest.LogCaptureFixture, method: str, arguments: tuple[Any, ...], text: str
) -> None:
    """The log says which result should have been what."""
    with pytest.raises(PluginAPIError):
        await getattr(api, method)(*arguments)
    (record,) = errors_in(caplog)
    assert record.exc_info is not None
    assert text in str(record.exc_info[1])


async def test_a_failure_of_the_handlers_own_making_passes(
    api: PluginAPIClient, caplog: pytest.LogCaptureFixture
) -> None:
    """A handler may raise CallFailure itself; it is sent as it is, and not logged."""
    with pytest.raises(PluginAPIError, match="not now") as caught:
        await api.get_channel("id")
    assert caught.value.code is StatusCode.UNAVAILABLE
    assert not errors_in(caplog)


async def test_the_handler_is_cancelled_at_the_deadline() -> None:
    """A handler that does not answer in time is cancelled, and the caller told."""
    api = PluginAPIClient.on_link(DirectCaller(HandlerAPI(Handler())), api_timeout_s=0.01)
    with pytest.raises(DeadlineError, match="GetPost was not done in time") as caught:
        await api.get_post("id")
    failure = caught.value.__cause__
    assert isinstance(failure, CallFailure)
    assert failure.kind is FailureKind.DEADLINE


@pytest.mark.parametrize(
    ("style", "embedded"),
    [(ErrorStyle.AS_GO_HOST, True), (ErrorStyle.EMBEDDED, True), (ErrorStyle.STATUS, False)],
)
async def test_the_error_style_decides_how_an_error_travels(style: ErrorStyle, embedded: bool) -> None:
    """An error inside the response leaves the status OK; the other style has no response at all."""
    receiver = HandlerAPI(Handler(), error_style=style)
    request = api_methods()["DeletePost"].request()
    if embedded:
        response: Any = await receiver.handle_api("DeletePost", request, deadline=None)
        assert (response.error.where, response.error.status_code) == ("DeletePost", 404)
    else:
        with pytest.raises(CallFailure, match="gone") as caught:
            await receiver.handle_api("DeletePost", request, deadline=None)
        assert caught.value.code is StatusCode.NOT_FOUND


async def test_whose_method_is_missing_and_what_to_do() -> None:
    """Who serves the API may say by whom a method is not implemented, and what the author can do."""
    receiver = HandlerAPI(object(), absent="the stand-in; try a real server")
    with pytest.raises(CallFailure, match="GetTeams is not implemented by the stand-in; try a real server"):
        await receiver.handle_api("GetTeams", api_methods()["GetTeams"].request(), deadline=None)
