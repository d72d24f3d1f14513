"""grpcio, a client nobody here wrote, plays the host of a real plugin."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from functools import partial
from queue import Queue
from threading import Event
from typing import Any

import anyio
import grpc
import pytest

from mm_plugin._proto.command_pb2 import CommandArgs, CommandResponse
from mm_plugin._proto.common_pb2 import PluginContext
from mm_plugin._proto.grpc_controller_pb2 import Empty
from mm_plugin._proto.health_pb2 import HealthCheckRequest, HealthCheckResponse
from mm_plugin._proto.hooks_http_pb2 import ServeHTTPRequest, ServeHTTPRequestInit, ServeHTTPResponse
from mm_plugin._proto.post_pb2 import Post
from mm_plugin._proto.services import hook_methods
from mm_plugin._proto.user_pb2 import User
from mm_plugin.hooks.decorator import hook
from mm_plugin.hooks.names import HookName
from mm_plugin.hooks.results import Reject
from mm_plugin.plugin.plugin import Plugin
from mm_plugin.serve_http.request import Request
from mm_plugin.serve_http.response import Response
from mm_plugin.settings import RuntimeConfig
from mm_plugin.supervisor.plugin_server import PluginServer

from .conftest import in_thread

INIT = ServeHTTPRequestInit(method="POST", url="/echo", proto="HTTP/1.1", proto_major=1, proto_minor=1)


def code_of(error: Any) -> grpc.StatusCode:
    code: grpc.StatusCode = error.code()
    return code


class Guard(Plugin):
    """The hooks of the first slice."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.hanging = anyio.Event()
        self.cancelled = anyio.Event()

    async def on_activate(self) -> None:
        self.seen.append("activated")

    async def on_deactivate(self) -> None:
        self.seen.append("deactivated")

    async def on_configuration_change(self) -> None:
        self.seen.append("configured")

    @hook(HookName.MessageWillBePosted)
    async def screen(self, context: PluginContext, post: Post) -> Reject | Post | None:
        if "secret" in post.message:
            return Reject("Not here.")
        if "shout" in post.message:
            post.message = post.message.upper()
            return post
        if "crash" in post.message:
            raise ValueError("what nobody shall read")
        return None

    @hook(HookName.MessageHasBeenPosted)
    async def posted(self, context: PluginContext, post: Post) -> None:
        self.seen.append(post.message)
        if post.message == "hang":
            self.hanging.set()
            try:
                await anyio.sleep_forever()
            finally:
                self.cancelled.set()

    @hook(HookName.UserWillLogIn)
    def log_in(self, context: PluginContext, user: User) -> Reject | None:
        if user.username == "crash":
            raise ValueError("what nobody shall read")
        return Reject("Closed.") if user.username == "eve" else None

    @hook(HookName.ExecuteCommand)
    async def command(self, context: PluginContext, args: CommandArgs) -> CommandResponse:
        return CommandResponse(text=f"You said {args.command}.")

    async def serve_http(self, request: Request, response: Response) -> None:
        response.status = 201
        async for chunk in request.body:
            if chunk == b"enough":
                break
            await response.write(chunk)
            await response.flush()


class Host:
    """A grpcio channel with the plugin's methods."""

    def __init__(self, channel: Any) -> None:  # grpcio has no types for raw octets
        self.channel = channel

    async def call(self, name: str, *, timeout: float = 20, **fields: Any) -> Any:
        method = hook_methods()[name]
        call = self.channel.unary_unary(
            method.path,
            request_serializer=method.request.SerializeToString,
            response_deserializer=method.response.FromString,
        )
        return await in_thread(lambda: call(method.request(**fields), timeout=timeout))

    def serve_http(self, requests: Iterator[ServeHTTPRequest], *, timeout: float = 20) -> Any:
        """Begin a ServeHTTP call; blocks, so it is for threads."""
        method = hook_methods()["ServeHTTP"]
        call = self.channel.stream_stream(
            method.path,
            request_serializer=method.request.SerializeToString,
            response_deserializer=method.response.FromString,
        )
        return call(requests, timeout=timeout)


@asynccontextmanager
async def hosted(plugin: Plugin) -> AsyncGenerator[Host]:
    """Serve a plugin and give grpcio's way to it."""
    async with PluginServer(plugin, RuntimeConfig(plugin_id="guard", message_limit_octets=1_000_000)) as server:
        port = await server.start()
        unlimited = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
        channel = grpc.insecure_channel(f"127.0.0.1:{port}", options=unlimited)
        try:
            yield Host(channel)
        finally:
            with anyio.CancelScope(shield=True):
                await in_thread(channel.close)


async def test_every_hook_of_the_slice() -> None:
    """The lifecycle, posts, logins and commands, as the Go host would call them."""
    plugin = Guard()
    async with hosted(plugin) as host:
        implemented = await host.call("Implemented")
        assert set(implemented.hooks) == {
            "OnActivate",
            "OnDeactivate",
            "OnConfigurationChange",
            "MessageWillBePosted",
            "MessageHasBeenPosted",
            "UserWillLogIn",
            "ExecuteCommand",
            "ServeHTTP",
        }
        assert not (await host.call("OnActivate")).HasField("error")
        assert plugin.seen == ["configured", "activated"]
        assert not (await host.call("OnConfigurationChange")).HasField("error")

        unchanged = await host.call("MessageWillBePosted", post=Post(message="hello", props={"a": 1}))
        assert not unchanged.HasField("modified_post")
        assert unchanged.rejection_reason == ""
        rejected = await host.call("MessageWillBePosted", post=Post(message="a secret"))
        assert rejected.rejection_reason == "Not here."
        changed = await host.call("MessageWillBePosted", post=Post(message="shout", props={"kept": True}))
        assert changed.modified_post == Post(message="SHOUT", props={"kept": True})

        await host.call("MessageHasBeenPosted", post=Post(message="stored"))
        assert plugin.seen[-1] == "stored"
        assert (await host.call("UserWillLogIn", user=User(username="eve"))).rejection_reason == "Closed."
        assert (await host.call("UserWillLogIn", user=User(username="ada"))).rejection_reason == ""
        answer = await host.call("ExecuteCommand", args=CommandArgs(command="/guard help"))
        assert answer.response.text == "You said /guard help."
        assert not (await host.call("OnDeactivate")).HasField("error")
        assert plugin.seen[-1] == "deactivated"


async def test_failing_hooks_decide_over_the_wire(caplog: pytest.LogCaptureFixture) -> None:
    """A crashing login filter rejects with status OK; a crashing post filter allows as the host understands it."""
    async with hosted(Guard()) as host:
        rejected = await host.call("UserWillLogIn", user=User(username="crash"))
        assert rejected.rejection_reason
        assert "nobody" not in rejected.rejection_reason
        assert (await host.call("MessageWillBePosted", post=Post(message="crash"))).ByteSize() == 0
        too_large = await host.call("UserWillLogIn", user=User(username="x" * 1_100_000))
        assert too_large.rejection_reason
        with pytest.raises(grpc.RpcError) as caught:
            await host.call("MessageWillBePosted", post=Post(message="x" * 1_100_000))
        assert code_of(caught.value) is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert len([record for record in caplog.records if record.levelname == "ERROR"]) >= 2


async def test_cancelling_and_timing_out() -> None:
    """A deadline of grpcio ends a hook, which is answered before it, and its cancel reaches the handler."""
    plugin = Guard()
    async with hosted(plugin) as host:
        answer = await host.call("MessageHasBeenPosted", timeout=1.0, post=Post(message="hang"))
        assert answer.ByteSize() == 0
        with anyio.fail_after(5):
            await plugin.cancelled.wait()

        plugin.hanging, plugin.cancelled = anyio.Event(), anyio.Event()
        method = hook_methods()["MessageHasBeenPosted"]
        call = host.channel.unary_unary(method.path, request_serializer=method.request.SerializeToString)
        future = call.future(method.request(post=Post(message="hang")), timeout=20)
        with anyio.fail_after(5):
            await plugin.hanging.wait()
            future.cancel()
            await plugin.cancelled.wait()
        await host.call("MessageHasBeenPosted", post=Post(message="fine"))


async def test_http_streams_both_ways() -> None:
    """Each piece of the body is answered before the next one is sent."""
    async with hosted(Guard()) as host:

        def play() -> tuple[int, bytes]:
            requests: Queue[ServeHTTPRequest | None] = Queue()
            responses = host.serve_http(iter(requests.get, None))
            requests.put(ServeHTTPRequest(init=INIT))
            echoed, status = b"", 0
            for piece in (b"one", b"two", b"three"):
                requests.put(ServeHTTPRequest(body_chunk=piece))
                received = b""
                while received != piece:
                    response: ServeHTTPResponse = next(responses)
                    status = status or response.init.status_code
                    received += response.body_chunk
                echoed += received
            requests.put(ServeHTTPRequest(body_complete=True))
            requests.put(None)
            rest = list(responses)
            assert rest[-1].body_complete
            assert responses.code() is grpc.StatusCode.OK
            return status, echoed + b"".join(response.body_chunk for response in rest)

        assert await in_thread(play) == (201, b"onetwothree")


async def test_an_early_answer_ends_the_call_while_the_body_still_comes() -> None:
    """The plugin answers whole; grpcio learns OK although it never ended its requests."""
    async with hosted(Guard()) as host:

        def play() -> list[ServeHTTPResponse]:
            over = Event()

            def requests() -> Iterator[ServeHTTPRequest]:
                yield ServeHTTPRequest(init=INIT, body_chunk=b"some")
                yield ServeHTTPRequest(body_chunk=b"enough")
                over.wait(20)

            responses = host.serve_http(requests())
            found = list(responses)
            over.set()
            assert responses.code() is grpc.StatusCode.OK
            return found

        found = await in_thread(play)
        assert b"".join(response.body_chunk for response in found) == b"some"
        assert found[-1].body_complete


@pytest.mark.parametrize(
    "requests",
    [
        [ServeHTTPRequest(body_chunk=b"x")],
        [ServeHTTPRequest(body_complete=True)],
        [],
        [ServeHTTPRequest(init=INIT), ServeHTTPRequest(init=INIT)],
    ],
    ids=["chunk first", "end first", "nothing", "second init"],
)
async def test_wrong_messages_are_refused(requests: list[ServeHTTPRequest]) -> None:
    """A call that breaks the protocol ends with INVALID_ARGUMENT, and the connection lives."""
    async with hosted(Guard()) as host:

        def play() -> grpc.StatusCode:
            with pytest.raises(grpc.RpcError) as caught:
                list(host.serve_http(iter(requests)))
            return code_of(caught.value)

        assert await in_thread(play) is grpc.StatusCode.INVALID_ARGUMENT
        await host.call("MessageHasBeenPosted", post=Post(message="fine"))


async def test_a_body_that_breaks_off_is_an_error_in_the_handler(caplog: pytest.LogCaptureFixture) -> None:
    """Half-close without body_complete: the handler's read raises, and the answer is no success."""
    async with hosted(Guard()) as host:

        def play() -> tuple[list[ServeHTTPResponse], grpc.StatusCode]:
            responses = host.serve_http(iter([ServeHTTPRequest(init=INIT, body_chunk=b"half")]))
            found: list[ServeHTTPResponse] = []
            try:
                found.extend(responses)
            except grpc.RpcError:
                pass
            return found, responses.code()

        found, code = await in_thread(play)
    assert code is not grpc.StatusCode.OK
    assert not any(response.body_complete for response in found)


async def test_go_plugins_services() -> None:
    """Health by name, Shutdown, and the services that go-plugin tries although we have none of them."""
    async with hosted(Guard()) as host:
        check = host.channel.unary_unary(
            "/grpc.health.v1.Health/Check",
            request_serializer=HealthCheckRequest.SerializeToString,
            response_deserializer=HealthCheckResponse.FromString,
        )
        for name in ("plugin", ""):
            health = await in_thread(partial(check, HealthCheckRequest(service=name), timeout=5))
            assert health.status == HealthCheckResponse.SERVING
        with pytest.raises(grpc.RpcError) as caught:
            await in_thread(lambda: check(HealthCheckRequest(service="other"), timeout=5))
        assert code_of(caught.value) is grpc.StatusCode.NOT_FOUND
        for path in ("/plugin.GRPCBroker/StartStream", "/plugin.GRPCStdio/StreamStdio"):
            stream = host.channel.stream_stream(path)
            with pytest.raises(grpc.RpcError) as caught:
                await in_thread(partial(list, stream(iter([b""]), timeout=5)))
            assert code_of(caught.value) is grpc.StatusCode.UNIMPLEMENTED
        shutdown = host.channel.unary_unary(
            "/plugin.GRPCController/Shutdown",
            request_serializer=Empty.SerializeToString,
            response_deserializer=Empty.FromString,
        )
        assert await in_thread(lambda: shutdown(Empty(), timeout=5)) == Empty()
