"""The tour: ``examples/guard`` at work, over real HTTP, each step checked and said in one line."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, cast

from mm_plugin.cli.http_client import EventStream, HTTPClient
from mm_plugin.types import JSONObject, JSONValue

if TYPE_CHECKING:
    from mm_plugin.devserver.server import DevServer

__all__ = ("PLUGIN_ID", "run_tour")

#: The only plugin that the tour is about.
PLUGIN_ID = "com.example.guard"


class _StepFailedError(Exception):
    """A step did not show what it should have."""


async def run_tour(server: DevServer, say: Callable[[str], None]) -> bool:
    """Play the tour.

    Args:
        server: A server that runs examples/guard.
        say: Takes each line.

    Returns:
        Whether every step went as it should.
    """
    tour = _Tour(server, say)
    say(f"A tour of {PLUGIN_ID} at {server.url}")
    try:
        await tour.play()
    except (_StepFailedError, OSError, ValueError) as error:
        say(f"  ✗ {tour.step}: {error}")
        return False
    say("")
    return True


class _Tour:
    """The steps.

    Attributes:
        step: What is being shown.
    """

    def __init__(self, server: DevServer, say: Callable[[str], None]) -> None:
        self.step = "a live stream of decisions"
        self._say = say
        self._channel_id = server.seed.channel.id
        self._ada = HTTPClient(server.url, server.seed.tokens["ada"])
        self._bob = HTTPClient(server.url, server.seed.tokens["bob"])

    async def play(self) -> None:
        """Show everything, in order; raises at the first step that goes wrong."""
        async with self._ada.open_events(f"/plugins/{PLUGIN_ID}/events") as events:
            self._done("ada watches the plugin's live stream")
            await self._show_allowed_post(events)
            await self._show_rejected_post(events)
        await self._show_command()

    async def _show_allowed_post(self, events: EventStream) -> None:
        self.step = "a post is allowed"
        status, post = await self._post(self._ada, "Good morning, everybody")
        _expect(status == 201, post)
        self._done('ada posts "Good morning, everybody", and it is there')
        self.step = "the live stream shows it"
        await self._expect_event(events, {"decision": "allowed", "user": "ada"})

    async def _show_rejected_post(self, events: EventStream) -> None:
        self.step = "a post is rejected"
        status, error = await self._post(self._bob, "The secret is in the drawer")
        _expect(status == 400 and "Please leave out secret" in _text(error, "message"), error)
        self._done(f'bob posts "The secret is in the drawer" and reads: {_text(error, "message")}')
        self.step = "the live stream shows it"
        await self._expect_event(events, {"decision": "rejected", "user": "bob"})

    async def _show_command(self) -> None:
        self.step = "a command is answered"
        status, answer = await self._ada.call(
            "POST", "/api/v4/commands/execute", {"channel_id": self._channel_id, "command": "/guard report"}
        )
        _expect(status == 200 and _text(answer, "text") == "Reported.", answer)
        self._done("ada types /guard report, which the plugin answers")
        self.step = "the plugin posts by the API"
        path = f"/api/v4/channels/{self._channel_id}/posts"
        seen_by_bob = _messages((await self._bob.call("GET", path))[1])
        _expect(seen_by_bob[:1] == ["Posts allowed: 1, rejected: 1."], seen_by_bob)
        self._done(f"everybody in the channel reads the plugin's post: {seen_by_bob[0]}")
        self.step = "the answer is for ada alone"
        seen_by_ada = _messages((await self._ada.call("GET", path))[1])
        _expect(seen_by_ada == ["Reported.", *seen_by_bob], seen_by_ada)
        self._done(f"only ada reads: {seen_by_ada[0]}")

    async def _post(self, user: HTTPClient, message: str) -> tuple[int, JSONValue]:
        return await user.call("POST", "/api/v4/posts", {"channel_id": self._channel_id, "message": message})

    async def _expect_event(self, events: EventStream, wanted: JSONObject) -> None:
        event = await events.receive()
        _expect(event == wanted, event)
        self._done(f"the live stream shows: {wanted['decision']}, {wanted['user']}")

    def _done(self, text: str) -> None:
        self._say(f"  ✓ {text}")


def _expect(holds: bool, found: JSONValue | list[str]) -> None:
    if not holds:
        raise _StepFailedError(f"instead came {found}")


def _text(value: JSONValue, name: str) -> str:
    return str(value.get(name, "")) if isinstance(value, Mapping) else ""


def _messages(posts: JSONValue) -> list[str]:
    """Return the messages of a list of posts, the newest first."""
    if not isinstance(posts, Mapping):
        return []
    order, by_id = cast("list[str]", posts.get("order", [])), cast("Mapping[str, JSONValue]", posts.get("posts", {}))
    return [_text(by_id[post_id], "message") for post_id in order]
