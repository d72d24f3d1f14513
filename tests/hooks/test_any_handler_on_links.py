"""Over every link too, whatever a handler returns or raises is read by the host as the policy says."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, TypeAlias

import anyio
import pytest
from hypothesis import given, settings, strategies as st

from mm_plugin import hook
from mm_plugin.hooks.names import HookName
from mm_plugin.hooks.results import Dismiss, Reject
from mm_plugin.hooks.table import HOOK_TABLE, HookRow, Refusal
from mm_plugin.messages.posts import Post
from mm_plugin.plugin.plugin import Plugin
from mm_plugin.transport.link import CallFailure
from tests.contract.links import LINKS, MESSAGE_LIMIT_OCTETS
from tests.hooks.rows import READS, UNARY_ROWS, host_reads, request_of
from tests.hooks.test_hook_outcomes import ask, behind

#: What a handler does: returns something or raises; async handlers await it where it is awaitable.
Act: TypeAlias = Callable[[], object]


class OwnError(BaseException):
    """An exception of an author's that is no Exception."""


async def stray_cancellation() -> BaseException:
    """Return the backend's cancellation, as code that kept one has it."""
    kept: list[BaseException] = []
    with anyio.CancelScope() as scope:
        scope.cancel()
        try:
            await anyio.sleep_forever()
        except anyio.get_cancelled_exc_class() as error:
            kept.append(error)
            raise
    return kept[0]


async def raise_stray() -> None:
    raise await stray_cancellation()


async def raise_group_with_stray() -> None:
    raise BaseExceptionGroup("x", [await stray_cancellation(), KeyError(), OwnError()])


async def cancel_itself() -> None:
    with anyio.CancelScope() as scope:
        scope.cancel()
        await anyio.sleep_forever()
    raise KeyError


def generator() -> Iterator[int]:
    yield 1


def raising(make: Callable[[], BaseException]) -> Act:
    def act() -> object:
        raise make()

    return act


def unawaited() -> Any:
    return never_awaited()


async def never_awaited() -> str:
    return "x"


#: Each fails, on every row.
FAILING: dict[str, Act] = {
    "KeyboardInterrupt": raising(KeyboardInterrupt),
    "SystemExit": raising(lambda: SystemExit(3)),
    "GeneratorExit": raising(GeneratorExit),
    "StopIteration": raising(lambda: StopIteration(Reject("x"))),
    "StopAsyncIteration": raising(StopAsyncIteration),
    "own BaseException": raising(OwnError),
    "group": raising(lambda: ExceptionGroup("x", [KeyError(), ExceptionGroup("y", [ValueError()])])),
    "base group": raising(lambda: BaseExceptionGroup("x", [KeyboardInterrupt(), SystemExit()])),
    "surrogates in its text": raising(lambda: KeyError("\ud800" * 10)),
    "endless text": raising(lambda: ValueError("x" * 2 * MESSAGE_LIMIT_OCTETS)),
    "stray cancellation": raise_stray,
    "stray cancellation in a group": raise_group_with_stray,
    "scope of its own": cancel_itself,
    "a generator": lambda: [generator()],
    "a type": lambda: Reject,
    "a function": lambda: print,
    "huge": lambda: Post(message="x" * 2 * MESSAGE_LIMIT_OCTETS),
    "a coroutine that returns what no hook takes": unawaited,
}
#: Each is read in the same way wherever the row knows it, and fails elsewhere.
SAID: dict[str, tuple[Act, str]] = {
    "lone surrogates": (lambda: Reject("\ud800 no \udfff"), "refused"),
    "nothing but surrogates": (lambda: Reject("\udcff"), "refused"),
    "endless reason": (lambda: Reject("x" * 2 * MESSAGE_LIMIT_OCTETS), "refused"),
    "NUL": (lambda: Reject("\0"), "refused"),
    "dismissed": (Dismiss, "dismissed"),
    "nothing": (lambda: None, "let pass"),
}


def plugin_class(acts: dict[str, Act], policy: int, *, blocking: bool) -> type[Plugin]:
    """Return a plugin that handles every hook by the act for its name, each under one of its row's policies."""

    def handler_of(row: HookRow) -> Callable[..., object]:
        def handler(self: Plugin, *arguments: object) -> object:
            return acts[row.name]()

        async def coroutine(self: Plugin, *arguments: object) -> object:
            result = acts[row.name]()
            return await result if inspect.isawaitable(result) else result

        bound: Callable[..., object] = hook(str(row.name), on_failure=row.policies[policy % len(row.policies)])(
            handler if blocking else coroutine
        )
        return bound

    return type("Case", (Plugin,), {f"handle_{row.method}": handler_of(row) for row in UNARY_ROWS})


async def check(link: str, chosen: dict[str, str], policy: int, *, blocking: bool) -> None:
    """Have every hook's handler do what was chosen for it, and read each answer as the Go host does."""
    acts = {name: FAILING[what] if what in FAILING else SAID[what][0] for name, what in chosen.items()}
    acts[HookName.OnActivate] = lambda: None  # else OnDeactivate has nothing to end
    plugin = plugin_class(acts, policy, blocking=blocking)()
    async with behind(link, plugin) as host:
        for row in sorted(UNARY_ROWS, key=lambda row: row.name is HookName.OnDeactivate):
            answer = await ask(host, row, request_of(row.name))
            assert not isinstance(answer, CallFailure), (row.name, chosen[row.name])
            reading = host_reads(row, answer)
            assert reading == wanted(row, chosen[row.name], policy), (row.name, chosen[row.name])


def wanted(row: HookRow, what: str, policy: int) -> str:
    if row.name is HookName.OnActivate or what == "nothing":
        return "let pass"
    if what in SAID:
        knows = row.dismissable if what == "dismissed" else row.refusal in {Refusal.REASON, Refusal.ERROR}
        if knows:
            return SAID[what][1]
    return READS[row.policies[policy % len(row.policies)]]


_chosen = st.fixed_dictionaries({str(row.name): st.sampled_from((*FAILING, *SAID)) for row in UNARY_ROWS})


@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning")
@pytest.mark.parametrize("link", LINKS)
@settings(max_examples=8, deadline=None)
@given(chosen=_chosen, policy=st.integers(0, 2), blocking=st.booleans())
async def test_anything_is_an_answer_over_every_link(
    link: str, chosen: dict[str, str], policy: int, blocking: bool
) -> None:
    """All hooks of one plugin do different things, one after another, and none harms the next."""
    with anyio.fail_after(60):
        await check(link, chosen, policy, blocking=blocking)


@pytest.mark.parametrize("blocking", [False, True])
@pytest.mark.parametrize("what", [*FAILING, *SAID])
async def test_each_thing_is_an_answer_on_every_row(what: str, blocking: bool) -> None:
    """No row lets anything through that its policy refuses."""
    with anyio.fail_after(60):
        await check("memory", dict.fromkeys(HOOK_TABLE, what), 0, blocking=blocking)


@pytest.mark.parametrize("what", [what for what in FAILING if what not in {"a generator", "huge"}])
@pytest.mark.parametrize("link", LINKS)
async def test_an_activation_that_fails_in_any_way_is_refused(link: str, what: str) -> None:
    """OnActivate reports it, the plugin is not active, and the next activation may succeed."""
    acts: dict[str, Callable[[], object | Awaitable[object]]] = dict.fromkeys(HOOK_TABLE, lambda: None)
    acts[HookName.OnActivate] = FAILING[what]
    row = HOOK_TABLE[HookName.OnActivate]
    with anyio.fail_after(30):
        async with behind(link, plugin_class(acts, 0, blocking=False)()) as host:
            assert host_reads(row, await ask(host, row, request_of(row.name))) == "refused"
            acts[HookName.OnActivate] = lambda: None
            assert host_reads(row, await ask(host, row, request_of(row.name))) == "let pass"
