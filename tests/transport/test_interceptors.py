"""The chain of interceptors around API calls, and the histogram that always stands in it."""

from __future__ import annotations

import logging
from contextvars import ContextVar
from typing import Any

import anyio
import pytest
from google.protobuf.message import Message

from mm_plugin import limits
from mm_plugin._proto.services import api_methods
from mm_plugin.api.client import PluginAPIClient
from mm_plugin.exceptions import NotFoundError, StatusCode
from mm_plugin.transport.call_metrics import CallMetrics, CallSeries, prometheus_text
from mm_plugin.transport.interceptors import CallDirection, CallInfo, CallNext, InterceptedAPI, Interceptors
from mm_plugin.transport.link import CallFailure

VARIABLE: ContextVar[str] = ContextVar("variable", default="")


class Server:
    """Answers GetUser, and notes what it was asked and under which context."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []
        self.deadline: float | None = None
        self.hang = False

    async def call_api(self, method: str, request: Any, *, deadline: float | None = None) -> Message:
        self.asked.append((method, VARIABLE.get()))
        self.deadline = deadline
        if self.hang:
            await anyio.sleep_forever()
        response: Any = api_methods()[method].response()
        if request.user_id == "missing":
            response.error.id, response.error.status_code = "app.user.missing", 404
        elif request.user_id == "down":
            raise CallFailure("gone", code=StatusCode.UNAVAILABLE)
        else:
            response.user.username = request.user_id
        return response  # type: ignore[no-any-return]


def client(server: Server, *interceptors: Any) -> PluginAPIClient:
    return PluginAPIClient.on_link(InterceptedAPI(server, Interceptors(*interceptors)))


async def test_the_first_interceptor_is_outermost_and_sees_the_call() -> None:
    """Name, direction, request and deadline are there; results pass back through all of them."""
    events: list[str] = []
    seen: list[CallInfo] = []

    def noting(name: str) -> Any:
        async def intercept(call: CallInfo, call_next: CallNext) -> object:
            events.append(f"{name} in")
            seen.append(call)
            assert call.deadline is not None
            try:
                return await call_next()
            finally:
                events.append(f"{name} out")

        return intercept

    chain = Interceptors(noting("a"))
    chain.add(noting("b"), noting("c"))
    api = PluginAPIClient.on_link(InterceptedAPI(Server(), chain))
    with anyio.fail_after(20):
        assert (await api.get_user("ada")).username == "ada"
    assert events == ["a in", "b in", "c in", "c out", "b out", "a out"]
    assert {(call.direction, call.name) for call in seen} == {(CallDirection.API, "GetUser")}
    (request,) = seen[0].arguments
    assert getattr(request, "user_id") == "ada"  # noqa: B009 - an object to the checker


async def test_a_call_without_a_scope_has_no_deadline() -> None:
    """Deadline is None where nothing bounds the call."""
    call = CallInfo(CallDirection.HOOK, "OnInstall", ())
    assert call.deadline is None


async def test_context_variables_reach_the_call_and_no_other() -> None:
    """What an interceptor sets is seen inside; calls that run at once do not mix."""
    server = Server()

    async def label(call: CallInfo, call_next: CallNext) -> object:
        (request,) = call.arguments
        token = VARIABLE.set(request.user_id)  # type: ignore[attr-defined]
        try:
            await anyio.lowlevel.checkpoint()
            return await call_next()
        finally:
            VARIABLE.reset(token)

    api = client(server, label)
    async with anyio.create_task_group() as tasks:
        for name in "abc":
            tasks.start_soon(api.get_user, name)
    assert sorted(server.asked) == [("GetUser", name) for name in "abc"]
    assert VARIABLE.get() == ""


async def test_an_interceptor_may_answer_or_refuse_itself() -> None:
    """Without call_next the server is not asked; an exception reaches the caller."""
    server = Server()

    async def cached(call: CallInfo, call_next: CallNext) -> object:
        return api_methods()[call.name].response(user={"username": "cached"})

    async def refusing(call: CallInfo, call_next: CallNext) -> object:
        raise PermissionError("not now")

    assert (await client(server, cached).get_user("ada")).username == "cached"
    with pytest.raises(PermissionError, match="not now"):
        await client(server, refusing).get_user("ada")
    assert server.asked == []


async def test_a_wrong_result_of_an_interceptor_is_a_type_error() -> None:
    """The client checks what it gets, so that a mistake is not read as an empty answer."""

    async def forgetful(call: CallInfo, call_next: CallNext) -> object:
        await call_next()
        return None

    with pytest.raises(TypeError, match="GetUser was answered with NoneType"):
        await client(Server(), forgetful).get_user("ada")


async def test_cancellation_passes_through() -> None:
    """The interceptors' finally blocks run, and the cancelled call counts as no success."""
    server, metrics, ended = Server(), CallMetrics(), anyio.Event()
    server.hang = True

    async def noting(call: CallInfo, call_next: CallNext) -> object:
        try:
            return await call_next()
        finally:
            ended.set()

    with anyio.move_on_after(0.01) as scope:
        await client(server, metrics, noting).get_user("ada")
    assert scope.cancelled_caught
    assert ended.is_set()
    (series,) = metrics.snapshot()
    assert (series.success, series.count) == (False, 1)


# -- the histogram --------------------------------------------------------------------------------------------


async def test_the_histogram_counts_by_name_and_success() -> None:
    """An error inside the response and a failed call are both no success."""
    metrics = CallMetrics()
    api = client(Server(), metrics)
    await api.get_user("ada")
    await api.get_user("bob")
    with pytest.raises(NotFoundError):
        await api.get_user("missing")
    with pytest.raises(Exception, match="gone"):
        await api.get_user("down")
    figures = {(series.name, series.success): series.count for series in metrics.snapshot()}
    assert figures == {("GetUser", True): 2, ("GetUser", False): 2}
    for series in metrics.snapshot():
        assert [bound for bound, _ in series.buckets] == [*limits.latency_buckets_s, float("inf")]
        assert series.buckets[-1][1] == series.count
        assert series.sum_s > 0


def test_the_text_is_in_the_format_of_prometheus() -> None:
    """Cumulative buckets, sum and count, under the server's names and labels."""
    series = CallSeries(
        direction=CallDirection.HOOK,
        name="OnActivate",
        success=True,
        count=3,
        sum_s=0.5,
        buckets=((0.25, 2), (float("inf"), 3)),
    )
    labels = 'plugin_id="x",hook_name="OnActivate",success="true"'
    assert prometheus_text((series,), plugin_id="x").splitlines() == [
        "# HELP mattermost_plugin_hook_time Seconds a hook took to answer.",
        "# TYPE mattermost_plugin_hook_time histogram",
        f'mattermost_plugin_hook_time_bucket{{{labels},le="0.25"}} 2',
        f'mattermost_plugin_hook_time_bucket{{{labels},le="+Inf"}} 3',
        f"mattermost_plugin_hook_time_sum{{{labels}}} 0.5",
        f"mattermost_plugin_hook_time_count{{{labels}}} 3",
        "# HELP mattermost_plugin_api_time Seconds an API call took to be answered.",
        "# TYPE mattermost_plugin_api_time histogram",
    ]


@pytest.mark.parametrize(("name", "logged"), [("MessageWillBePosted", 1), ("ServeHTTP", 0)])
async def test_slow_calls_are_logged_but_streams_are_not(
    name: str, logged: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The record has the name and the time, and nothing of the call's content."""
    monkeypatch.setattr(limits, "slow_call_s", 0.0)

    async def answer() -> object:
        await anyio.lowlevel.checkpoint()
        return None

    await CallMetrics()(CallInfo(CallDirection.HOOK, name, ("a secret",)), answer)
    records = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert len(records) == logged
    for record in records:
        assert record.__dict__["hook"] == name
        assert "secret" not in record.getMessage()
