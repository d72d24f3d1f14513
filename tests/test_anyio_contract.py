"""What this package relies on in AnyIO beyond its documentation; a new AnyIO that differs fails here, by name.

Each test names who relies on it. The range that pyproject.toml allows is that of the last test.
"""

from __future__ import annotations

import re
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace

import anyio
import pytest
from anyio.lowlevel import current_token

from mm_plugin.hooks.scopes import leak_of

PYPROJECT = Path(__file__).parents[1] / "pyproject.toml"


async def test_the_backend_class_behind_the_token(anyio_backend_name: str) -> None:
    """Channel and engine: it is known by its name, and makes events, tells the time and sees cancellations itself."""
    backend = current_token().backend_class
    assert backend.__name__ == {"asyncio": "AsyncIOBackend", "trio": "TrioBackend"}[anyio_backend_name]
    event = backend.create_event()
    assert type(event) is type(anyio.Event())
    event.set()
    await event.wait()
    assert 0 <= backend.current_time() - anyio.current_time() + 0.001 < 1
    await backend.checkpoint_if_cancelled()
    with anyio.CancelScope() as scope:
        scope.cancel()
        await backend.checkpoint_if_cancelled()
    assert scope.cancelled_caught


async def test_the_token_leads_to_the_loop(anyio_backend_name: str) -> None:
    """Readiness: on asyncio the native token is the event loop, on Trio it has no ``add_reader``."""
    native = current_token().native_token
    assert callable(getattr(native, "add_reader", None)) is (anyio_backend_name == "asyncio")


async def test_the_backends_own_scope_class() -> None:
    """Server calls and handlers: the class of a group's scope makes scopes as ``anyio.CancelScope`` does."""
    new_scope = type(anyio.CancelScope())
    async with anyio.create_task_group() as tasks:
        assert type(tasks.cancel_scope) is new_scope
    with new_scope(deadline=anyio.current_time() - 1) as scope:
        await anyio.sleep_forever()
    assert scope.cancel_called
    assert scope.cancelled_caught
    with anyio.fail_after(5), new_scope(deadline=anyio.current_time() + 60) as scope:
        assert anyio.current_effective_deadline() <= scope.deadline
        scope.deadline = anyio.current_time()
        await anyio.sleep_forever()
    assert scope.cancelled_caught


async def test_task_handles() -> None:
    """Server calls and handlers: ``wait`` ends with the task however that ends, and ``cancel`` ends that task alone."""
    began, go = anyio.Event(), anyio.Event()

    async def end() -> None:
        began.set()
        await go.wait()

    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            returning = tasks.create_task(end(), name="a name of ours")
            cancelled = tasks.create_task(anyio.sleep_forever(), name="another")
            await began.wait()
            assert "a name of ours" in {task.name for task in anyio.get_running_tasks()}
            with anyio.CancelScope() as scope:  # who waits may be cancelled without the task
                scope.cancel()
                await returning.wait()
            assert scope.cancelled_caught
            go.set()
            cancelled.cancel()
            for task in (returning, cancelled):
                await task.wait()
        assert not tasks.cancel_scope.cancel_called


async def test_a_failed_task_can_be_waited_for() -> None:
    """Handlers: ``wait`` returns where the task has raised, and does not raise that itself."""

    async def fail() -> None:
        raise ValueError("told by the group")

    async def wait_for_it() -> None:
        async with anyio.create_task_group() as tasks:
            with anyio.CancelScope(shield=True):
                await tasks.create_task(fail(), name="failing").wait()

    with pytest.raises(ExceptionGroup) as caught:
        await wait_for_it()
    assert caught.group_contains(ValueError, match="told by the group")


async def test_the_innermost_scope_of_a_task(anyio_backend_name: str) -> None:
    """Leaked scopes: on asyncio AnyIO keeps the innermost scope of each task; Trio says "stack corrupted"."""
    outer, inner = anyio.CancelScope(), anyio.CancelScope()
    outer.__enter__()
    inner.__enter__()
    if anyio_backend_name == "asyncio":
        backend = sys.modules["anyio._backends._asyncio"]
        assert type(outer).__module__ == backend.__name__
        assert backend._task_states[backend.current_task()].cancel_scope is inner
        assert getattr(inner, "_parent_scope", None) is outer
        with pytest.raises(RuntimeError) as caught:
            outer.__exit__(None, None, None)
        assert leak_of(outer, caught.value) is not None
    else:
        with pytest.raises(RuntimeError, match=r"^Cancel scope stack corrupted"):
            outer.__exit__(None, None, None)
    await anyio.lowlevel.checkpoint()  # nothing of it is left


async def test_an_anyio_without_its_private_table(monkeypatch: pytest.MonkeyPatch, anyio_backend_name: str) -> None:
    """Where AnyIO keeps the innermost scope elsewhere, a failing handler is still that one's failure and no other's."""
    scope = anyio.CancelScope()
    if anyio_backend_name == "asyncio":
        monkeypatch.setitem(sys.modules, "anyio._backends._asyncio", SimpleNamespace())
    assert leak_of(scope, ValueError()) is None


@pytest.mark.parametrize("package", ["anyio", "trio"])
def test_the_installed_version_is_one_that_is_allowed(package: str) -> None:
    """What is tested here lies in the range of pyproject.toml, whose upper end is the next major version."""
    project = tomllib.loads(PYPROJECT.read_text())["project"]
    (wanted,) = (
        line
        for line in (*project["dependencies"], *project["optional-dependencies"]["trio"])
        if re.match(rf"{package}\b", line)
    )
    lowest = re.search(r">=([\d.]+)", wanted)
    assert lowest is not None
    installed = tuple(int(part) for part in version(package).split(".")[:2])
    assert installed >= tuple(int(part) for part in lowest[1].split("."))
    above = re.search(r"<([\d.]+)", wanted)
    assert above is None or installed < tuple(int(part) for part in above[1].split("."))
