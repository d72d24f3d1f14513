"""Hook calls over every link: messages, faults, deadlines, cancellation, concurrency."""

from __future__ import annotations

import anyio
import pytest
from google.protobuf.message import Message

from mm_plugin._proto import hooks_message_pb2, post_pb2
from mm_plugin.exceptions import StatusCode
from mm_plugin.transport.link import CallFailure, CallFault, FailureKind, HookCall
from tests.contract.conftest import OpenPair
from tests.contract.links import MESSAGE_LIMIT_OCTETS, Plugin, Server

NAME = "MessageWillBePosted"


def request_of(text: str) -> hooks_message_pb2.MessageWillBePostedRequest:
    return hooks_message_pb2.MessageWillBePostedRequest(post=post_pb2.Post(id="p1", message=text))


def message_of(call: HookCall) -> str:
    assert isinstance(call.request, hooks_message_pb2.MessageWillBePostedRequest)
    return call.request.post.message


async def shout(call: HookCall) -> Message:
    post = post_pb2.Post(id="p1", message=message_of(call).upper())
    return hooks_message_pb2.MessageWillBePostedResponse(modified_post=post)


async def test_a_hook_call_carries_request_and_response(open_link: OpenPair) -> None:
    """The plugin sees name and message as sent; the host sees the response."""
    plugin = Plugin(on_hook=shout)
    async with open_link(plugin, Server()) as (_, host):
        request = request_of("hello ☺")
        response = await host.call_hook(NAME, request)
    assert response == hooks_message_pb2.MessageWillBePostedResponse(
        modified_post=post_pb2.Post(id="p1", message="HELLO ☺")
    )
    (call,) = plugin.calls
    assert call.name == NAME
    assert call.request == request
    assert call.request is not request
    assert call.deadline is None


async def test_a_deadline_reaches_the_plugin(open_link: OpenPair) -> None:
    """The plugin learns the caller's deadline on its own clock."""
    plugin = Plugin(on_hook=shout)
    async with open_link(plugin, Server()) as (_, host):
        wanted = anyio.current_time() + 20
        await host.call_hook(NAME, request_of("x"), deadline=wanted)
    assert plugin.calls[0].deadline == pytest.approx(wanted, abs=2)


async def test_a_passed_deadline_fails_the_call_and_cancels_the_handler(open_link: OpenPair) -> None:
    """Nobody waits for a handler whose caller gave up, and the handler learns it."""
    cancelled = anyio.Event()

    async def hang(call: HookCall) -> Message:
        try:
            await anyio.sleep_forever()
        finally:
            cancelled.set()
        raise AssertionError

    async with open_link(Plugin(on_hook=hang), Server()) as (_, host):
        with pytest.raises(CallFailure) as caught:
            await host.call_hook(NAME, request_of("x"), deadline=anyio.current_time() + 0.1)
        assert caught.value.kind is FailureKind.DEADLINE
        assert caught.value.code is StatusCode.DEADLINE_EXCEEDED
        with anyio.fail_after(5):
            await cancelled.wait()


async def test_cancelling_a_call_cancels_its_handler(open_link: OpenPair) -> None:
    """A host that stops waiting cancels the plugin's handler; the link stays usable."""
    started, cancelled = anyio.Event(), anyio.Event()

    async def hang(call: HookCall) -> Message:
        if message_of(call) == "fine":
            return await shout(call)
        started.set()
        try:
            await anyio.sleep_forever()
        finally:
            cancelled.set()
        raise AssertionError

    async with open_link(Plugin(on_hook=hang), Server()) as (_, host):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(host.call_hook, NAME, request_of("hang"))
            with anyio.fail_after(5):
                await started.wait()
            tasks.cancel_scope.cancel()
        with anyio.fail_after(5):
            await cancelled.wait()
            await host.call_hook(NAME, request_of("fine"))


async def test_a_failure_keeps_code_id_and_text(open_link: OpenPair) -> None:
    """A neutral failure crosses the link whole."""

    async def refuse(call: HookCall) -> Message:
        raise CallFailure("naïve: 100 % wrong\n", code=StatusCode.NOT_FOUND, id="app.some.id")

    async with open_link(Plugin(on_hook=refuse), Server()) as (_, host):
        with pytest.raises(CallFailure) as caught:
            await host.call_hook(NAME, request_of("x"))
    failure = caught.value
    assert (failure.kind, failure.code) == (FailureKind.STATUS, StatusCode.NOT_FOUND)
    assert (failure.id, failure.text) == ("app.some.id", "naïve: 100 % wrong\n")


async def test_a_crash_is_an_internal_failure_without_details(
    open_link: OpenPair, caplog: pytest.LogCaptureFixture
) -> None:
    """What went wrong inside stays inside, in the log; the next call works."""
    crashes = iter([True, False])

    async def crash(call: HookCall) -> Message:
        if next(crashes):
            raise ValueError("secret")
        return await shout(call)

    async with open_link(Plugin(on_hook=crash), Server()) as (_, host):
        with pytest.raises(CallFailure) as caught:
            await host.call_hook(NAME, request_of("x"))
        assert caught.value.code is StatusCode.INTERNAL
        assert "secret" not in str(caught.value)
        await host.call_hook(NAME, request_of("x"))
    assert [record.exc_info is not None for record in caplog.records if record.levelname == "ERROR"] == [True]


async def test_a_message_over_the_limit_comes_up_as_a_fault(open_link: OpenPair) -> None:
    """The plugin decides by name alone; the host gets that decision, not an error."""
    plugin = Plugin(on_hook=shout)
    async with open_link(plugin, Server()) as (_, host):
        response = await host.call_hook(NAME, request_of("x" * MESSAGE_LIMIT_OCTETS))
        assert response == hooks_message_pb2.MessageWillBePostedResponse(rejection_reason="TOO_LARGE")
        await host.call_hook(NAME, request_of("y" * (MESSAGE_LIMIT_OCTETS - 100)))
    assert plugin.calls[0].request is CallFault.TOO_LARGE


async def test_hundred_calls_in_flight_are_independent(open_link: OpenPair) -> None:
    """A hundred calls wait at once, each with its own deadline; cancelling one touches no other."""
    waiting: dict[str, anyio.Event] = {str(number): anyio.Event() for number in range(100)}
    everyone, cancelled = anyio.Event(), anyio.Event()
    release = anyio.Event()

    async def wait(call: HookCall) -> Message:
        name = message_of(call)
        waiting[name].set()
        if all(event.is_set() for event in waiting.values()):
            everyone.set()
        try:
            await release.wait()
        except BaseException:
            cancelled.set()
            raise
        return await shout(call)

    answers: list[str] = []
    scopes: dict[str, anyio.CancelScope] = {}

    plugin = Plugin(on_hook=wait)
    async with open_link(plugin, Server()) as (_, host):

        async def one(name: str) -> None:
            with anyio.CancelScope() as scopes[name]:
                response = await host.call_hook(NAME, request_of(name), deadline=anyio.current_time() + 30)
                assert isinstance(response, hooks_message_pb2.MessageWillBePostedResponse)
                answers.append(response.modified_post.message)

        with anyio.fail_after(20):
            async with anyio.create_task_group() as tasks:
                for name in waiting:
                    tasks.start_soon(one, name)
                await everyone.wait()
                scopes["42"].cancel()
                await cancelled.wait()
                release.set()
    assert sorted(answers, key=int) == [name for name in waiting if name != "42"]
    assert len({call.deadline for call in plugin.calls}) > 1
