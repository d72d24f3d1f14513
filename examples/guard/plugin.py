"""Guard: keep words out of posts, and show live what was decided."""

from __future__ import annotations

import json
import re
from collections import Counter

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

from mm_plugin import (
    Bot,
    Command,
    CommandArgs,
    CommandResponse,
    Plugin,
    PluginContext,
    Post,
    Reject,
    Request,
    Response,
    run_plugin,
)

WORDS_KEY = "words"
FIRST_WORDS = ["password", "secret"]
WATCHER_EVENTS = 100  # what one watcher may be behind
HELP = """/guard words: what may not be said
/guard add WORD: one word more
/guard report: tell the channel what was decided so far"""


class Guard(Plugin):
    """Filter posts, answer ``/guard``, stream decisions at ``/plugins/com.example.guard/events``."""

    def __init__(self) -> None:
        self.words: set[str] = set()
        self.decisions = Counter[str]()
        self.watchers: dict[MemoryObjectSendStream[str], MemoryObjectReceiveStream[str]] = {}
        self.bot_id = ""

    async def on_activate(self) -> None:
        self.words = set(json.loads(await self.api.kv_get(WORDS_KEY) or json.dumps(FIRST_WORDS)))
        self.bot_id = await self.api.ensure_bot_user(Bot(username="guard", display_name="Guard"))
        await self.api.register_command(
            Command(trigger="guard", auto_complete=True, auto_complete_hint="[words|add|report]")
        )
        self.logger.info("watching for %d words", len(self.words))

    # -- posts ------------------------------------------------------------------------------------------------

    async def message_will_be_posted(self, context: PluginContext, post: Post) -> Reject | None:
        if post.user_id == self.bot_id:
            return None
        author = await self.api.get_user(post.user_id)
        found = self.words.intersection(re.findall(r"\w+", post.message.lower()))
        self.announce("rejected" if found else "allowed", author.username)
        return Reject(f"Please leave out {', '.join(sorted(found))}, {author.username}.") if found else None

    # -- /guard -----------------------------------------------------------------------------------------------

    async def execute_command(self, context: PluginContext, args: CommandArgs) -> CommandResponse:
        match args.command.lower().split()[1:]:
            case ["words"]:
                text = ", ".join(sorted(self.words))
            case ["add", word]:
                self.words.add(word)
                await self.api.kv_set(WORDS_KEY, json.dumps(sorted(self.words)).encode())
                text = f"Nobody may say {word} any more."
            case ["report"]:
                report = f"Posts allowed: {self.decisions['allowed']}, rejected: {self.decisions['rejected']}."
                await self.api.create_post(Post(user_id=self.bot_id, channel_id=args.channel_id, message=report))
                text = "Reported."
            case _:
                text = HELP
        return CommandResponse(response_type="ephemeral", text=text)

    # -- live -------------------------------------------------------------------------------------------------

    def announce(self, decision: str, username: str) -> None:
        """Tell the watchers what was decided; one too far behind loses its oldest event, and the ids show it."""
        self.decisions[decision] += 1
        data = json.dumps({"decision": decision, "user": username})
        event = f"id: {self.decisions.total()}\ndata: {data}\n\n"
        for watcher, backlog in self.watchers.items():
            if watcher.statistics().current_buffer_used == WATCHER_EVENTS:
                backlog.receive_nowait()
            watcher.send_nowait(event)

    async def serve_http(self, request: Request, response: Response) -> None:
        if request.path != "/events":
            response.status = 404
            await response.write("Live decisions are at events, below this path.\n")
        elif not request.user_id:
            response.status = 401
            await response.write("Sign in to watch.\n")
        else:
            await self.show_decisions(response)

    async def show_decisions(self, response: Response) -> None:
        """Stream what is decided from now on, until the watcher goes away."""
        response.headers["Content-Type"] = "text/event-stream"
        watcher, events = anyio.create_memory_object_stream[str](WATCHER_EVENTS)
        self.watchers[watcher] = events
        with watcher, events:
            try:
                watcher.send_nowait(": watching\n\n")
                async for event in events:
                    await response.write(event)
                    await response.flush()
            finally:
                del self.watchers[watcher]


if __name__ == "__main__":
    run_plugin(Guard)
