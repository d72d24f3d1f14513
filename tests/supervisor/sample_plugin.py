"""A plugin for tests of the process layer; what it does is named on its command line."""

import os
import subprocess
import sys
import threading
import time
import warnings

import anyio

from mm_plugin._proto.common_pb2 import PluginContext
from mm_plugin.messages.channels import Channel
from mm_plugin.messages.posts import Post
from mm_plugin.plugin.plugin import Plugin
from mm_plugin.serve_http.request import Request
from mm_plugin.serve_http.response import Response
from mm_plugin.supervisor.run import run_plugin

wishes = set(sys.argv[1:])

print("printed at import")


class Sample(Plugin):
    """Misbehaves as it was asked to."""

    released = threading.Event()

    async def on_activate(self) -> None:
        self.logger.info("activated on %s", os.environ.get("MM_PLUGIN_BACKEND"), extra={"n": 1})
        if "noise" in wishes:
            print("printed in a hook")
            os.write(1, b"written to the descriptor\n")
            subprocess.run([sys.executable, "-c", "print('printed by a child')"], check=True)  # noqa: ASYNC221
            os.write(1, b"x" * 200_000 + b"\n")
            warnings.warn("a warning", stacklevel=1)
        if "crash" in wishes:
            self.task_group.start_soon(self.crash)
        if "exit" in wishes:
            self.start_soon(sys.exit, 0)
        if "block-loop" in wishes:
            self.start_soon(self.block_loop)
        if "exit-raw" in wishes:
            self.task_group.start_soon(self.leave)
        if "stubborn" in wishes:
            self.task_group.start_soon(self.never_end)
        if "late-thread" in wishes:
            self.start_soon(self.end_late)
        if "block" in wishes:
            threading.Thread(target=time.sleep, args=(60,)).start()

    async def on_deactivate(self) -> None:
        self.logger.info("deactivated")
        self.released.set()
        if "slow" in wishes:
            await anyio.sleep_forever()
        if "block-stop" in wishes:
            self.logger.info("blocking the stop")
            time.sleep(60)  # noqa: ASYNC251

    def end_late(self) -> None:
        self.released.wait()
        time.sleep(0.1)  # the event loop ends before
        self.logger.info("ended late")

    def message_has_been_posted(self, context: PluginContext, post: Post, /) -> None:
        self.logger.info("hook begun")
        for step in range(3):
            time.sleep(0.03)
            self.api.sync.kv_set("step", b"%d" % step)
        self.logger.info("hook done")

    async def channel_has_been_created(self, context: PluginContext, channel: Channel, /) -> None:
        self.logger.info("hanging")
        await anyio.sleep_forever()

    async def on_send_daily_telemetry(self) -> None:
        if "block-hook" in wishes:
            self.logger.info("blocking")
            time.sleep(60)  # noqa: ASYNC251

    async def serve_http(self, request: Request, response: Response, /) -> None:
        await response.write(b"begun")
        await response.flush()
        await anyio.sleep_forever()

    async def crash(self) -> None:
        raise ValueError("boom in the background")

    async def block_loop(self) -> None:
        await anyio.sleep(0.2)  # for the answer of OnActivate to go out
        self.logger.info("blocking")
        time.sleep(60)  # noqa: ASYNC251

    async def leave(self) -> None:
        sys.exit(0)

    async def never_end(self) -> None:
        with anyio.CancelScope(shield=True):
            await anyio.sleep_forever()


if __name__ == "__main__":
    run_plugin(Sample)
    print("after run_plugin")
