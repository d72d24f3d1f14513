"""The tour: ``examples/guard`` at work, over real HTTP, each step checked and said in one line."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, cast

import anyio

from mm_plugin import limits
from mm_plugin.cli.http_client import EventStream, HTTPClient
from mm_plugin.host.state import PluginState
from mm_plugin.types import JSONObject, JSONValue

if TYPE_CHECKING:
    from mm_plugin.devserver.server import DevServer
    from mm_plugin.host.running_plugin import RunningPlugin

__all__ = ("PLUGIN_ID", "run_tour")

#: The only plugin that the tour is about.
PLUGIN_ID = "com.example.guard"


class _StepFailedError(Exception):
    """A step did not show what it should have."""


async def run_tour(server: DevServer, backend: str, say: Callable[[str], None]) -> bool:
    """Play the tour.

    Args:
        server: A server that runs examples/guard.
        backend: The event loop that the plugin runs on.
        say: Takes each line.

    Returns:
        Whether every step went as it should.
    """
    plugin = server.app.host.plugins[PLUGIN_ID]
    tour = _Tour(server, plugin, say)
    what = f"{plugin.manifest.name} {plugin.manifest.version} ({PLUGIN_ID})"
    say(f"A tour of {what}, which runs on {backend} as process {plugin.pid}")
    say(f"in a stand-in Mattermost at {server.url}")
    say("")
    try:
        await tour.play()
    except (_StepFailedError, OSError, ValueError) as error:
        say(f"  ✗ {tour.step}: {error}")
        return False
    say("")
    say("All of it over real HTTP and gRPC; the plugin is examples/guard/plugin.py, less than 120 lines.")
    say("")
    return True


class _Tour:
    """The steps.

    Attributes:
        step: What is being shown.
    """

    def __init__(self, server: DevServer, plugin: RunningPlugin, say: Callable[[str], None]) -> None:
        self.step = "a live stream of decisions"
        self._say = say
        self._plugin = plugin
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
        await self._show_recovery()

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
        answer = await self._command("/guard report")
        _expect(_text(answer, "text") == "Reported.", answer)
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

    async def _show_recovery(self) -> None:
        self.step = "what the plugin has kept"
        answer = await self._command("/guard add turnip")
        _expect("turnip" in _text(answer, "text"), answer)
        self._done(f"ada types /guard add turnip and reads: {_text(answer, 'text')}")
        self.step = "the plugin's process is killed and comes back"
        killed = self._plugin.pid
        _expect(killed is not None, str(self._plugin.reason))
        self._say(
            f"    now process {killed} is killed on purpose; a line of the log that says SIGKILL is part of the tour"
        )
        begun = anyio.current_time()
        os.kill(killed or 0, signal.SIGKILL)
        with anyio.move_on_after(limits.tour_step_s):
            while self._plugin.pid in {None, killed} or self._plugin.state is not PluginState.RUNNING:
                await self._plugin.wait_change()
        _expect(self._plugin.state is PluginState.RUNNING, self._plugin.reason)
        pause_s = anyio.current_time() - begun
        self._done(
            f"process {killed} is killed; after a pause, {pause_s:.1f} s in all, process {self._plugin.pid} runs"
        )
        self.step = "the new process knows what the old one kept"
        answer = await self._command("/guard words")
        _expect(_text(answer, "text") == "password, secret, turnip", answer)
        self._done(f"ada types /guard words and reads: {_text(answer, 'text')}")

    async def _command(self, line: str) -> JSONValue:
        body: JSONObject = {"channel_id": self._channel_id, "command": line}
        status, answer = await self._ada.call("POST", "/api/v4/commands/execute", body)
        _expect(status == 200, answer)
        return answer

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
