"""examples/guard: what it lets pass, what it says, what its watchers see."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest

from mm_plugin import Post, ValidationError
from mm_plugin.messages.commands import CommandArgs
from mm_plugin.transport.link import HTTPCall, RequestHead
from tests.devserver.worlds import World, open_world

FOLDER = Path(__file__).parents[2] / "examples" / "guard"
ID = "com.example.guard"


def load_guard() -> Any:
    spec = importlib.util.spec_from_file_location("guard_example", FOLDER / "plugin.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


guard = load_guard()


@asynccontextmanager
async def open_guard() -> AsyncGenerator[tuple[World, Any]]:
    async with open_world() as world, world.running(guard.Guard(), ID) as plugin:
        yield world, plugin


def by_ada(world: World, message: str) -> Post:
    return Post(user_id=world.seed.users["ada"].id, channel_id=world.seed.channel.id, message=message)


async def say(world: World, line: str) -> str:
    args = CommandArgs(user_id=world.seed.users["ada"].id, channel_id=world.seed.channel.id, command=line)
    return (await world.app.commands.execute(args)).text


@asynccontextmanager
async def open_events(world: World, path: str = "/events", user_id: str = "ada") -> AsyncGenerator[HTTPCall]:
    link = world.app.host.plugins[ID].link
    assert link is not None
    head = RequestHead(method="GET", url=path, headers=(("Mattermost-User-Id", user_id),))
    async with link.open_http(head) as call:
        await call.finish()
        yield call


async def read_event(call: HTTPCall) -> tuple[int, dict[str, str]]:
    """Read one event whole."""
    text = b""
    while not text.endswith(b"\n\n"):
        part = await call.receive()
        assert part is not None
        text += part.data
    number, data = text.decode().strip().split("\n")
    return int(number.removeprefix("id: ")), json.loads(data.removeprefix("data: "))


def test_it_stays_short() -> None:
    """The example can be read in one go."""
    assert len((FOLDER / "plugin.py").read_text().splitlines()) < 120


async def test_words_are_kept_out() -> None:
    """Posts with a listed word are refused by name, in any case; others and parts of words pass."""
    async with open_guard() as (world, _):
        for message in ("my Secret", "SECRET!", "the password: x"):
            with pytest.raises(ValidationError, match="Please leave out"):
                await world.app.posting.create(by_ada(world, message))
        for message in ("hello", "secretary", ""):
            await world.app.posting.create(by_ada(world, message))


async def test_the_command() -> None:
    """Help, words and add answer; an added word is refused at once and after a restart."""
    async with open_world() as world:
        async with world.running(guard.Guard(), ID):
            assert "/guard add WORD" in await say(world, "/guard")
            assert "/guard add WORD" in await say(world, "/guard what is this")
            assert await say(world, "/guard words") == "password, secret"
            assert "turnip" in await say(world, "/guard add Turnip")
        async with world.running(guard.Guard(), ID):
            assert await say(world, "/guard words") == "password, secret, turnip"
            with pytest.raises(ValidationError, match="turnip"):
                await world.app.posting.create(by_ada(world, "a turnip"))


async def test_the_report_is_a_post_of_the_bot() -> None:
    """The report counts what was decided, is posted by the guard's bot, and is not judged itself."""
    async with open_guard() as (world, plugin):
        plugin.words.add("rejected")
        await world.app.posting.create(by_ada(world, "fine"))
        with pytest.raises(ValidationError):
            await world.app.posting.create(by_ada(world, "secret"))
        assert await say(world, "/guard report") == "Reported."
        newest = (await world.app.store.posts.find(order="rowid DESC"))[0]
        assert newest.message == "Posts allowed: 1, rejected: 1."
        assert newest.user_id == plugin.bot_id


async def test_watchers_see_decisions_live() -> None:
    """Every watcher gets every decision with its number; one that leaves is forgotten."""
    async with open_guard() as (world, plugin):
        async with open_events(world) as first, open_events(world) as second:
            for call in (first, second):
                assert (await call.receive_head()).status == 200
                greeting = await call.receive()
                assert greeting is not None
                assert greeting.data == b": watching\n\n"
            await world.app.posting.create(by_ada(world, "fine"))
            with pytest.raises(ValidationError):
                await world.app.posting.create(by_ada(world, "secret"))
            for call in (first, second):
                assert await read_event(call) == (1, {"decision": "allowed", "user": "ada"})
                assert await read_event(call) == (2, {"decision": "rejected", "user": "ada"})
        with anyio.fail_after(10):
            while plugin.watchers:
                await anyio.lowlevel.checkpoint()


async def test_a_slow_watcher_loses_the_oldest_and_can_see_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A watcher that does not read holds no more than its bound; the gap in the numbers shows what is lost."""
    monkeypatch.setattr(guard, "WATCHER_EVENTS", 5)
    async with open_guard() as (world, plugin), open_events(world) as call:
        await call.receive_head()
        await call.receive()
        # The stream is idle here: from now on nobody reads until all has been announced.
        for _ in range(1000):
            plugin.announce("allowed", "ada")
        numbers = [(await read_event(call))[0]]
        while numbers[-1] < 1000:
            numbers.append((await read_event(call))[0])
        assert numbers == sorted(numbers)
        assert numbers[-5:] == [996, 997, 998, 999, 1000]
        assert len(numbers) < 20


async def test_only_people_signed_in_may_watch() -> None:
    """Without a user it is 401, and elsewhere 404."""
    async with open_guard() as (world, _):
        for path, user_id, status in (("/events", "", 401), ("/", "ada", 404), ("/events/x", "", 404)):
            async with open_events(world, path, user_id) as call:
                assert (await call.receive_head()).status == status
