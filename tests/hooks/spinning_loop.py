"""An event loop under watch in a hook that yields often; for a test that suspends the whole process."""

import hashlib
import logging
import sys
import time

import anyio
import anyio.lowlevel

from mm_plugin.hooks.loop_watch import LoopWatch

_WORK = bytes(4_000_000)


async def spin(rounds: int) -> None:
    """Keep the loop's thread in the hook nearly all of the time, at some milliseconds of work that lets others run."""
    for _ in range(rounds):
        hashlib.sha256(_WORK)
        await anyio.lowlevel.checkpoint()


async def main() -> None:
    """Spin until a line comes on standard input, then block for real."""
    watch = LoopWatch(blocked_s=0.4)
    async with anyio.create_task_group() as tasks:
        await tasks.start(watch.run)

        async def hook() -> None:
            await spin(20)
            print("ready", flush=True)
            async with anyio.create_task_group() as inner:
                inner.start_soon(read_line, inner.cancel_scope)
                await spin(1_000_000)

        await watch.guard("OnInstall", hook())
        await watch.guard("OnSendDailyTelemetry", block())
        tasks.cancel_scope.cancel()


async def read_line(scope: anyio.CancelScope) -> None:
    """Cancel once the test has had enough."""
    await anyio.to_thread.run_sync(sys.stdin.readline)
    scope.cancel()


async def block() -> None:
    """Block the loop, to show that the watch is awake."""
    time.sleep(1.5)  # noqa: ASYNC251


if __name__ == "__main__":
    logging.basicConfig(stream=sys.stdout, format="%(message)s")
    anyio.run(main, backend=sys.argv[1])
