"""The plugin that the benchmarks measure: as little as there can be behind each hook."""

import anyio

from mm_plugin import HookName, Plugin, Request, Response, hook, run_plugin
from mm_plugin.messages.common import PluginContext
from mm_plugin.messages.posts import Post

CHUNK = bytes(65_536)


class Benchmark(Plugin):
    """Takes posts; eats, makes or holds HTTP bodies."""

    @hook(HookName.MessageHasBeenPosted)
    async def posted(self, context: PluginContext, post: Post) -> None:
        """Take a post."""

    @hook(HookName.MessageHasBeenUpdated)
    async def updated(self, context: PluginContext, new_post: Post, old_post: Post) -> None:
        """Take as many milliseconds as the new post's reply count says."""
        await anyio.sleep(new_post.reply_count / 1000)

    async def serve_http(self, request: Request, response: Response) -> None:
        """Do what the path says."""
        if request.path == "/upload":
            octets = 0
            async for chunk in request.body:
                octets += len(chunk)
            await response.write(str(octets))
        elif request.path == "/download":
            for _ in range(int(request.query.get("octets", "0")) // len(CHUNK)):
                await response.write(CHUNK)
        elif request.path == "/event":
            async with response.events() as events:
                await events.send("1")
                await anyio.sleep_forever()
        else:  # hang open, like an event stream without events
            await response.flush()
            await anyio.sleep_forever()


if __name__ == "__main__":
    run_plugin(Benchmark)
