"""API calls over every link."""

from __future__ import annotations

import anyio
import pytest
from google.protobuf.message import Message

from mm_plugin._proto import api_user_pb2, common_pb2, user_pb2
from mm_plugin.exceptions import StatusCode
from mm_plugin.transport.link import CallFailure, FailureKind
from tests.contract.conftest import OpenPair
from tests.contract.links import MESSAGE_LIMIT_OCTETS, Plugin, Server

REQUEST = api_user_pb2.GetUserRequest(user_id="u1")


async def test_an_api_call_carries_request_and_response(open_link: OpenPair) -> None:
    """The server sees method, message and deadline; the plugin sees the response, its error field untouched."""
    answer = api_user_pb2.GetUserResponse(
        user=user_pb2.User(id="u1", username="ada"), error=common_pb2.AppError(id="kept")
    )

    async def get(method: str, request: Message) -> Message:
        return answer

    server = Server(on_api=get)
    async with open_link(Plugin(), server) as (plugin, _):
        wanted = anyio.current_time() + 10
        response = await plugin.call_api("GetUser", REQUEST, deadline=wanted)
    assert response == answer
    assert response is not answer
    ((method, request, deadline),) = server.calls
    assert (method, request) == ("GetUser", REQUEST)
    assert deadline == pytest.approx(wanted, abs=2)


async def test_a_refusal_keeps_code_id_and_text(open_link: OpenPair) -> None:
    """A status error of the server arrives with its id split from its text."""

    async def refuse(method: str, request: Message) -> Message:
        raise CallFailure("no such user: ada", code=StatusCode.NOT_FOUND, id="app.user.missing.error")

    async with open_link(Plugin(), Server(on_api=refuse)) as (plugin, _):
        with pytest.raises(CallFailure) as caught:
            await plugin.call_api("GetUser", REQUEST)
    failure = caught.value
    assert (failure.kind, failure.code) == (FailureKind.STATUS, StatusCode.NOT_FOUND)
    assert (failure.id, failure.text) == ("app.user.missing.error", "no such user: ada")


async def test_a_crash_of_the_server_is_a_clean_internal_failure(
    open_link: OpenPair, caplog: pytest.LogCaptureFixture
) -> None:
    """A crash of the server's handler is logged there and tells the plugin nothing."""

    async def crash(method: str, request: Message) -> Message:
        raise ValueError("secret")

    async with open_link(Plugin(), Server(on_api=crash)) as (plugin, _):
        with pytest.raises(CallFailure) as caught:
            await plugin.call_api("GetUser", REQUEST)
    assert caught.value.code is StatusCode.INTERNAL
    assert "secret" not in str(caught.value)
    assert any("secret" in (record.exc_text or "") for record in caplog.records)


async def test_a_deadline_ends_the_call_and_the_servers_work(open_link: OpenPair) -> None:
    """A call that takes too long fails as DEADLINE, and the server stops working on it."""
    cancelled = anyio.Event()

    async def hang(method: str, request: Message) -> Message:
        try:
            await anyio.sleep_forever()
        finally:
            cancelled.set()
        raise AssertionError

    async with open_link(Plugin(), Server(on_api=hang)) as (plugin, _):
        with pytest.raises(CallFailure) as caught:
            await plugin.call_api("GetUser", REQUEST, deadline=anyio.current_time() + 0.1)
        assert caught.value.kind is FailureKind.DEADLINE
        with anyio.fail_after(5):
            await cancelled.wait()


async def test_cancelling_a_call_stops_the_servers_work(open_link: OpenPair) -> None:
    """A cancelled caller cancels the server's handler."""
    started, cancelled = anyio.Event(), anyio.Event()

    async def hang(method: str, request: Message) -> Message:
        started.set()
        try:
            await anyio.sleep_forever()
        finally:
            cancelled.set()
        raise AssertionError

    async with open_link(Plugin(), Server(on_api=hang)) as (plugin, _):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(plugin.call_api, "GetUser", REQUEST)
            with anyio.fail_after(5):
                await started.wait()
            tasks.cancel_scope.cancel()
        with anyio.fail_after(5):
            await cancelled.wait()


async def test_a_request_over_the_limit_is_not_sent(open_link: OpenPair) -> None:
    """What is over the message limit fails with RESOURCE_EXHAUSTED before it is sent; the link stays usable."""
    server = Server()
    async with open_link(Plugin(), server) as (plugin, _):
        with pytest.raises(CallFailure) as caught:
            await plugin.call_api("GetUser", api_user_pb2.GetUserRequest(user_id="x" * MESSAGE_LIMIT_OCTETS))
        assert caught.value.code is StatusCode.RESOURCE_EXHAUSTED
        assert caught.value.text == (
            f"GetUser: the request has {MESSAGE_LIMIT_OCTETS + 4} octets, more than message_limit_octets = "
            f"{MESSAGE_LIMIT_OCTETS}; nothing was sent"
        )
        await plugin.call_api("GetUser", REQUEST)
        longest = "x" * (MESSAGE_LIMIT_OCTETS - 4)  # the limit itself, with the field's tag and length
        await plugin.call_api("GetUser", api_user_pb2.GetUserRequest(user_id=longest))


async def test_a_response_over_the_limit_fails_as_too_large(open_link: OpenPair) -> None:
    """What the server answers over the message limit fails with RESOURCE_EXHAUSTED; the link stays usable."""

    async def answer(method: str, request: Message) -> Message:
        assert isinstance(request, api_user_pb2.GetUserRequest)
        return api_user_pb2.GetUserResponse(user=user_pb2.User(id="x" * int(request.user_id)))

    async with open_link(Plugin(), Server(on_api=answer)) as (plugin, _):
        with pytest.raises(CallFailure) as caught:
            await plugin.call_api("GetUser", api_user_pb2.GetUserRequest(user_id=str(MESSAGE_LIMIT_OCTETS)))
        assert caught.value.code is StatusCode.RESOURCE_EXHAUSTED
        assert str(MESSAGE_LIMIT_OCTETS) in caught.value.text
        await plugin.call_api("GetUser", api_user_pb2.GetUserRequest(user_id="1"))


async def test_calls_from_many_tasks_are_not_mixed_up(open_link: OpenPair) -> None:
    """Two hundred calls at once: each gets its own answer."""

    async def echo(method: str, request: Message) -> Message:
        assert isinstance(request, api_user_pb2.GetUserRequest)
        await anyio.lowlevel.checkpoint()
        return api_user_pb2.GetUserResponse(user=user_pb2.User(id=request.user_id))

    async with open_link(Plugin(), Server(on_api=echo)) as (plugin, _):

        async def one(number: int) -> None:
            response = await plugin.call_api("GetUser", api_user_pb2.GetUserRequest(user_id=str(number)))
            assert isinstance(response, api_user_pb2.GetUserResponse)
            assert response.user.id == str(number)

        with anyio.fail_after(20):
            async with anyio.create_task_group() as tasks:
                for number in range(200):
                    tasks.start_soon(one, number)


async def test_a_closed_link_is_unreachable(open_link: OpenPair) -> None:
    """After the plugin's end has closed, an API call fails at once as unreachable."""
    async with open_link(Plugin(), Server()) as (plugin, _):
        await plugin.aclose()
        with pytest.raises(CallFailure) as caught:
            await plugin.call_api("GetUser", REQUEST)
    assert caught.value.kind is FailureKind.UNREACHABLE
    assert caught.value.code is StatusCode.UNAVAILABLE
