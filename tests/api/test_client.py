"""The client around the generated methods: where it calls, how long it waits, what it refuses to send."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any, cast

import anyio
import anyio.lowlevel
import pytest

from mm_plugin._proto.api_kv_pb2 import KVGetResponse, KVSetResponse
from mm_plugin._proto.user_pb2 import User
from mm_plugin.api.client import PluginAPIClient
from mm_plugin.exceptions import (
    ConfigurationError,
    ConnectionLostError,
    DeadlineError,
    NotFoundError,
    PluginAPIError,
    StatusCode,
    UnavailableError,
)
from mm_plugin.host.api_receiver import HandlerAPI
from mm_plugin.settings import API_TARGET
from mm_plugin.transport.grpc.api_end import open_api_server
from mm_plugin.transport.link import CallFailure, FailureKind

if TYPE_CHECKING:
    from collections.abc import Callable

    from google.protobuf.message import Message


class Caller:
    """Answers every call by a function of the deadline."""

    def __init__(self, answer: Callable[[float | None], Any]) -> None:
        self.answer = answer
        self.cancelled = False

    async def call_api(self, method: str, request: Message, *, deadline: float | None = None) -> Message:
        try:
            await anyio.lowlevel.checkpoint()
            outcome = self.answer(deadline)
            return cast("Message", await outcome if hasattr(outcome, "__await__") else outcome)
        except anyio.get_cancelled_exc_class():
            self.cancelled = True
            raise


async def give_up_at(deadline: float | None) -> Message:
    """Do as a link does: wait for an answer that never comes, until the deadline."""
    assert deadline is not None
    with anyio.CancelScope(deadline=deadline):
        await anyio.sleep_forever()
    raise CallFailure("the deadline passed", kind=FailureKind.DEADLINE, code=StatusCode.DEADLINE_EXCEEDED)


# -- time -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("api_timeout_s", "scope_s", "expected_s"), [(5, None, 5), (5, 60, 5), (60, 5, 5)])
async def test_the_deadline_is_the_earlier_of_timeout_and_scope(
    api_timeout_s: float, scope_s: float | None, expected_s: float
) -> None:
    """A call is given api_timeout_s, or what is left of the enclosing scope where that is less."""
    deadlines: list[float | None] = []

    def answer(deadline: float | None) -> Message:
        deadlines.append(deadline)
        return KVGetResponse()

    api = PluginAPIClient.on_link(Caller(answer), api_timeout_s=api_timeout_s)
    before = anyio.current_time()
    with anyio.move_on_after(scope_s):
        await api.kv_get("key")
    (deadline,) = deadlines
    assert deadline is not None
    assert before + expected_s <= deadline <= anyio.current_time() + expected_s


async def test_no_timeout_and_no_scope_means_no_deadline() -> None:
    """An infinite api_timeout_s outside any scope is handed down as no deadline at all."""
    deadlines: list[float | None] = []

    def answer(deadline: float | None) -> Message:
        deadlines.append(deadline)
        return KVGetResponse()

    await PluginAPIClient.on_link(Caller(answer), api_timeout_s=float("inf")).kv_get("key")
    assert deadlines == [None]


async def test_a_call_over_its_own_time_is_a_deadline_error() -> None:
    """Where api_timeout_s ends the call, it raises DeadlineError."""
    api = PluginAPIClient.on_link(Caller(give_up_at), api_timeout_s=0.01)
    with pytest.raises(DeadlineError, match="deadline passed") as caught:
        await api.get_user("id")
    assert caught.value.code is StatusCode.DEADLINE_EXCEEDED
    assert caught.value.status_code == 0


async def test_a_call_over_its_scopes_time_is_cancelled() -> None:
    """Where the enclosing scope ends the call, the scope's cancellation does, and no error of ours gets in its way."""
    api = PluginAPIClient.on_link(Caller(give_up_at))
    for _ in range(20):
        with anyio.move_on_after(0.002) as scope:
            await api.get_user("id")
        assert scope.cancelled_caught


async def test_a_deadline_that_the_server_sees_first_is_cancelled_too() -> None:
    """A server whose clock runs ahead does not turn the scope's end into an error."""

    def answer(_: float | None) -> Message:
        raise CallFailure("too late", kind=FailureKind.DEADLINE, code=StatusCode.DEADLINE_EXCEEDED)

    with anyio.move_on_after(0.01) as scope:
        await PluginAPIClient.on_link(Caller(answer)).get_user("id")
    assert scope.cancelled_caught


async def test_cancellation_reaches_the_link() -> None:
    """Cancelling the caller cancels the call under way."""
    caller = Caller(lambda _: anyio.sleep_forever())
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(PluginAPIClient.on_link(caller).get_user, "id")
        await anyio.wait_all_tasks_blocked()
        tasks.cancel_scope.cancel()
    assert caller.cancelled


# -- options ---------------------------------------------------------------------------------------------------


def keeper(deadlines: list[float | None]) -> Caller:
    """Answer and keep the deadlines."""

    def answer(deadline: float | None) -> Message:
        deadlines.append(deadline)
        return KVGetResponse()

    return Caller(answer)


async def timeouts(api: PluginAPIClient, deadlines: list[float | None], count: int) -> list[float]:
    """Make some calls and return the time that each was given, in whole seconds."""
    before = anyio.current_time()
    for _ in range(count):
        await api.kv_get("key")
    given, deadlines[:] = deadlines[:], []
    return [round(deadline - before) for deadline in given if deadline is not None]


async def test_options_set_the_time_of_calls_inside() -> None:
    """The innermost options count, longer or shorter than api_timeout_s; outside it holds again."""
    deadlines: list[float | None] = []
    api = PluginAPIClient.on_link(keeper(deadlines))
    with api.options(timeout_s=100):
        assert await timeouts(api, deadlines, 2) == [100, 100]
        with api.options(timeout_s=7):
            assert await timeouts(api, deadlines, 1) == [7]
            with anyio.move_on_after(3):
                assert await timeouts(api, deadlines, 1) == [3]
        assert await timeouts(api, deadlines, 1) == [100]
        with api.options(timeout_s=float("inf")):
            await api.kv_get("key")
            assert deadlines == [None]
            deadlines.clear()
    assert await timeouts(api, deadlines, 1) == [30]


async def test_options_belong_to_one_client_and_to_tasks_begun_inside() -> None:
    """Another client keeps its time; a task started inside keeps the options to its end."""
    deadlines: list[float | None] = []
    caller = keeper(deadlines)
    api, other = PluginAPIClient.on_link(caller), PluginAPIClient.on_link(caller)
    go_on = anyio.Event()
    found: list[list[float]] = []

    async def task() -> None:
        await go_on.wait()
        found.append(await timeouts(api, deadlines, 1))

    async with anyio.create_task_group() as tasks:
        with api.options(timeout_s=100):
            assert await timeouts(other, deadlines, 1) == [30]
            tasks.start_soon(task)
        go_on.set()
    assert found == [[100]]


@pytest.mark.parametrize(("timeout_s", "error"), [(0, ValueError), (-1, ValueError), (float("nan"), ValueError)])
def test_a_time_that_is_none_is_refused(timeout_s: float, error: type[Exception]) -> None:
    """A timeout that is not above zero is a ValueError before anything is called; what is no number a TypeError."""
    api = PluginAPIClient("")
    with pytest.raises(error, match="timeout_s must be above 0"), api.options(timeout_s=timeout_s):
        pytest.fail("the options were taken")
    with pytest.raises(TypeError, match="not str"), api.options(timeout_s=wrong("5")):
        pytest.fail("the options were taken")
    with pytest.raises(error, match="api_timeout_s must be above 0"):
        PluginAPIClient("", api_timeout_s=timeout_s)
    with pytest.raises(TypeError, match="api_timeout_s must be a number of seconds, not str"):
        PluginAPIClient("", api_timeout_s=wrong("5"))


# -- errors ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        (FailureKind.UNREACHABLE, UnavailableError),
        (FailureKind.REFUSED, UnavailableError),
        (FailureKind.LOST, ConnectionLostError),
    ],
)
async def test_a_transport_failure_is_unavailable(kind: FailureKind, error: type[PluginAPIError]) -> None:
    """A call that never reached the server is UnavailableError, one that may have been carried out its subclass."""
    failure = CallFailure("gone", kind=kind, code=StatusCode.UNAVAILABLE)

    def answer(_: float | None) -> Message:
        raise failure

    with pytest.raises(UnavailableError, match="gone") as caught:
        await PluginAPIClient.on_link(Caller(answer)).get_user("id")
    assert type(caught.value) is error
    assert (caught.value.__cause__, caught.value.status_code) == (failure, 0)


async def test_an_error_without_an_id_is_an_error() -> None:
    """The presence of the error field alone means failure, empty as it may be."""
    response = KVSetResponse()
    response.error.SetInParent()
    with pytest.raises(PluginAPIError):
        await PluginAPIClient.on_link(Caller(lambda _: response)).kv_set("key", b"value")


async def test_a_response_of_another_method_is_refused() -> None:
    """A link that mixes up its responses is found out."""
    with pytest.raises(TypeError, match="KVGet was answered with KVSetResponse"):
        await PluginAPIClient.on_link(Caller(lambda _: KVSetResponse())).kv_get("key")


def wrong(value: object) -> Any:
    """Hide a value's type from the type checkers, as an author without them does."""
    return value


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda api: api.create_user(wrong(None)), "CreateUserRequest: user must not be None"),
        (lambda api: api.get_user(wrong(None)), "GetUserRequest: user_id must not be None"),
        (lambda api: api.get_user(wrong(7)), "GetUserRequest: user_id cannot take this int"),
        (lambda api: api.kv_set("key", wrong("secret")), "KVSetRequest: value cannot take this str"),
        (lambda api: api.create_post(wrong(User())), "CreatePostRequest: post cannot take this User"),
        (lambda api: api.get_users_by_ids("id"), "user_ids must be a list of str, not one str"),
        (lambda api: api.save_config(wrong("{}")), "config_json must be a mapping or bytes, not str"),
        (lambda api: api.save_plugin_config(wrong([])), "config must be a mapping, not list"),
        (lambda api: api.log_info("text", wrong({1: 2})), "key_value_pairs has the key 1"),
    ],
)
async def test_a_wrong_argument_is_named(call: Callable[[PluginAPIClient], Any], text: str) -> None:
    """An argument of a wrong type never leaves: TypeError names it, without its value, which may be a secret."""
    api = PluginAPIClient.on_link(Caller(lambda _: pytest.fail("the request was sent")))
    with pytest.raises(TypeError, match=text) as caught:
        await call(api)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda api: api.kv_list(page=2**40), "KVListRequest: page cannot take this int"),
        (lambda api: api.get_user("\ud800"), "GetUserRequest: user_id cannot take this str"),
        (lambda api: api.save_plugin_config({"a": [float("nan")]}), r"config\['a'\]\[0\] is not finite"),
    ],
)
async def test_a_value_that_cannot_be_sent_is_named(call: Callable[[PluginAPIClient], Any], text: str) -> None:
    """A value out of range never leaves: ValueError names it."""
    api = PluginAPIClient.on_link(Caller(lambda _: pytest.fail("the request was sent")))
    with pytest.raises(ValueError, match=text):
        await call(api)


# -- a connection of its own ----------------------------------------------------------------------------------


class Server:
    """A handler of two methods."""

    async def get_server_version(self) -> str:
        return "11.2.0"

    async def get_user(self, user_id: str) -> User:
        raise NotFoundError(f"no user {user_id}", id="app.user.missing")


async def test_a_client_opens_a_connection_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an argument the target comes from the environment; results and errors come over the connection."""
    async with open_api_server(HandlerAPI(Server())) as target:
        monkeypatch.setenv(API_TARGET, target)
        client = PluginAPIClient()
        assert client.target == target
        async with client as api:
            assert await api.get_server_version() == "11.2.0"
            with pytest.raises(NotFoundError) as caught:
                await api.get_user("x")
            assert (caught.value.id, caught.value.message) == ("app.user.missing", "no user x")
            with pytest.raises(PluginAPIError, match="GetTeams is not implemented by Server") as unknown:
                await api.get_teams()
            assert unknown.value.code is StatusCode.UNIMPLEMENTED


async def test_an_argument_wins_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A target given is the target used."""
    monkeypatch.setenv(API_TARGET, "127.0.0.1:1")
    assert PluginAPIClient("127.0.0.1:2").target == "127.0.0.1:2"


async def test_an_unset_target_names_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no target is set, the first call says which variable is missing."""
    monkeypatch.delenv(API_TARGET, raising=False)
    async with PluginAPIClient() as api:
        with pytest.raises(UnavailableError, match=API_TARGET):
            await api.get_server_version()


async def test_a_wrong_target_is_refused_on_opening() -> None:
    """A target that is no address is a ConfigurationError, and the client stays closed."""
    client = PluginAPIClient("not an address")
    with pytest.raises(ConfigurationError):
        await client.__aenter__()
    with pytest.raises(RuntimeError, match="not open"):
        await client.get_server_version()


async def test_a_client_that_is_not_open_says_so() -> None:
    """Calls before opening and after closing are a RuntimeError that says what to write; opening twice is one too."""
    client = PluginAPIClient("")
    with pytest.raises(RuntimeError, match="async with PluginAPIClient"):
        await client.get_server_version()
    async with client:
        with pytest.raises(RuntimeError, match="open already"):
            await client.__aenter__()
    with pytest.raises(RuntimeError, match="not open"):
        await client.get_server_version()


def test_importing_the_client_loads_no_messages() -> None:
    """A plugin process pays for the messages it uses, when it uses them."""
    code = (
        "import sys, mm_plugin.api.client\n"
        "heavy = [m for m in sys.modules if '_pb2' in m or m.partition('.')[0] in ('google', 'grpclib', 'hpack')]\n"
        "sys.exit(', '.join(heavy) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
