"""Health, stop, drain and close over every link."""

from __future__ import annotations

import anyio
import pytest
from google.protobuf.message import Message

from mm_plugin._proto import hooks_message_pb2, post_pb2
from mm_plugin.transport.link import CallFailure, CallFault, HookCall, RequestHead
from tests.contract.conftest import OpenPair
from tests.contract.links import Plugin, Server

NAME = "MessageWillBePosted"
REQUEST = hooks_message_pb2.MessageWillBePostedRequest(post=post_pb2.Post(message="x"))
RESPONSE = hooks_message_pb2.MessageWillBePostedResponse()


async def test_health_follows_what_the_plugin_says(open_link: OpenPair) -> None:
    """A new link does not serve; afterwards the host sees what was set last."""
    async with open_link(Plugin(), Server()) as (plugin, host):
        assert await host.check_health() is False
        plugin.set_serving(True)
        assert await host.check_health() is True
        plugin.set_serving(False)
        assert await host.check_health() is False


async def test_a_stop_is_answered_at_once_and_heard(open_link: OpenPair) -> None:
    """Asking twice is as good as once."""
    async with open_link(Plugin(), Server()) as (plugin, host):
        with anyio.fail_after(5):
            await host.ask_stop()
            await plugin.wait_stop_asked()
            await host.ask_stop()
            await plugin.wait_stop_asked()


async def test_drain_waits_for_running_calls_and_hands_new_ones_up_as_faults(open_link: OpenPair) -> None:
    """A running call finishes; a new one is answered by the plugin's policy; drain says when all is quiet."""
    running, release = anyio.Event(), anyio.Event()

    async def wait(call: HookCall) -> Message:
        running.set()
        await release.wait()
        return RESPONSE

    side = Plugin(on_hook=wait)
    results: dict[str, object] = {}

    async with open_link(side, Server()) as (plugin, host):

        async def first() -> None:
            results["first"] = await host.call_hook(NAME, REQUEST)

        async def drain() -> None:
            results["drain"] = await plugin.drain(grace_s=20)

        with anyio.fail_after(20):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(first)
                await running.wait()
                assert await plugin.drain(grace_s=0.05) == 1
                tasks.start_soon(drain)
                await anyio.wait_all_tasks_blocked()
                late = await host.call_hook(NAME, REQUEST)
                assert late == hooks_message_pb2.MessageWillBePostedResponse(rejection_reason="DRAINING")
                release.set()
    assert results == {"first": RESPONSE, "drain": 0}
    assert side.calls[-1].request is CallFault.DRAINING


async def test_http_is_refused_while_draining(open_link: OpenPair) -> None:
    """A new HTTP request gets a failure, not a hanging connection."""
    async with open_link(Plugin(), Server()) as (plugin, host):
        assert await plugin.drain(grace_s=0) == 0

        async def get() -> None:
            async with host.open_http(RequestHead(method="GET", url="/")) as call:
                await call.finish()
                await call.receive_head()

        with anyio.fail_after(5), pytest.raises(CallFailure):
            await get()


@pytest.mark.parametrize(
    ("name", "request_message", "answer"),
    [
        (NAME, REQUEST, hooks_message_pb2.MessageWillBePostedResponse(rejection_reason="DRAINING")),
        ("MessageHasBeenPosted", hooks_message_pb2.MessageHasBeenPostedRequest(post=post_pb2.Post(message="x")), None),
    ],
)
async def test_closing_the_plugins_end_ends_running_calls(
    open_link: OpenPair, name: str, request_message: Message, answer: Message | None
) -> None:
    """A running handler is cancelled; its policy answers, or its caller gets one clear failure; twice is fine."""
    running, cancelled = anyio.Event(), anyio.Event()

    async def hang(call: HookCall) -> Message:
        running.set()
        try:
            await anyio.sleep_forever()
        finally:
            cancelled.set()
        raise AssertionError

    outcomes: list[Message | None] = []
    async with open_link(Plugin(on_hook=hang), Server()) as (plugin, host):

        async def call() -> None:
            try:
                outcomes.append(await host.call_hook(name, request_message))
            except CallFailure:
                outcomes.append(None)

        with anyio.fail_after(10):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(call)
                await running.wait()
                await plugin.aclose()
                assert cancelled.is_set()
            await plugin.aclose()
            with pytest.raises(CallFailure):
                await host.call_hook(name, request_message, deadline=anyio.current_time() + 0.5)
    assert outcomes == [answer]


async def test_closing_answers_hooks_whose_handlers_resist(open_link: OpenPair) -> None:
    """A handler that goes on after its cancellation does not hold the decision up; what it returns is too late."""
    running, release = anyio.Event(), anyio.Event()

    async def resist(call: HookCall) -> Message:
        running.set()
        with anyio.CancelScope(shield=True):
            await release.wait()
        return RESPONSE

    answers: list[Message] = []
    async with open_link(Plugin(on_hook=resist), Server()) as (plugin, host):

        async def call() -> None:
            answers.append(await host.call_hook(NAME, REQUEST))
            release.set()

        with anyio.fail_after(10):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(call)
                await running.wait()
                await plugin.aclose()
    assert answers == [hooks_message_pb2.MessageWillBePostedResponse(rejection_reason="DRAINING")]


@pytest.mark.parametrize("given_up_by", ["cancellation", "deadline"])
async def test_closing_answers_no_hook_that_the_host_has_given_up(open_link: OpenPair, given_up_by: str) -> None:
    """Nobody waits for the decision: the policy, which would log it, is not asked."""
    asked: list[object] = []
    running, release = anyio.Event(), anyio.Event()

    async def resist(call: HookCall) -> Message:
        asked.append(call.request)
        if len(asked) == 1:
            running.set()
            with anyio.CancelScope(shield=True):
                await release.wait()
        return RESPONSE

    async with open_link(Plugin(on_hook=resist), Server()) as (plugin, host):

        async def give_up() -> None:
            with pytest.raises(CallFailure):
                await host.call_hook(NAME, REQUEST, deadline=anyio.current_time() + 0.2)

        with anyio.fail_after(10):
            async with anyio.create_task_group() as tasks:
                if given_up_by == "deadline":
                    tasks.start_soon(give_up)
                else:
                    tasks.start_soon(host.call_hook, NAME, REQUEST)
                    await running.wait()
                    tasks.cancel_scope.cancel()
            await host.call_hook(NAME, REQUEST)  # what went before it has arrived, too
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(plugin.aclose)
                await anyio.wait_all_tasks_blocked()
                release.set()
    assert CallFault.DRAINING not in asked
    assert len(asked) == 2
