"""No plugin outlives its host, whatever ends the host: a small process that waits for the host's end.

Job:    end the process groups of a host that was killed before it could stop its plugins.
Layer:  host. One guard for each host, a shell script in a session of its own, so that Ctrl-C does not reach it.
Input:  the groups that live, by a pipe whose other end only the host holds: the kernel closes it with the host.

A plugin of this package sees by itself that its host has gone and deactivates in good order, so the guard gives it a
second. It is there for all others: those stuck before they serve, those that ignore signals, and what they started.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import anyio

__all__ = ("Guard", "open_guard")

_SCRIPT = """
groups=' '
while read -r sign group; do
    case $sign in
        +) groups="$groups$group " ;;
        -) groups="${groups%% $group *} ${groups#* $group }" ;;
    esac
done
[ "$groups" = ' ' ] && exit
for signal in TERM KILL; do
    sleep 1
    for group in $groups; do kill -s $signal -- "-$group" 2>/dev/null; done
done
"""


class Guard:
    """The host's end of the pipe."""

    def __init__(self, pipe: int) -> None:
        self._pipe = pipe

    def add(self, group: int) -> None:
        """Have a process group ended should the host be killed from now on."""
        self._say("+", group)

    def remove(self, group: int) -> None:
        """Forget a group that has ended; its number may be somebody else's soon."""
        self._say("-", group)

    def _say(self, sign: str, group: int) -> None:
        try:
            os.write(self._pipe, f"{sign} {group}\n".encode())
        except BrokenPipeError:
            pass  # somebody ended the guard; plugins then only have their own watch


@asynccontextmanager
async def open_guard() -> AsyncGenerator[Guard]:
    """Run a guard while the context is open; whoever leaves it has removed all groups.

    Raises:
        OSError: There is no shell, or no descriptor is left.
    """
    read_end, write_end = os.pipe()
    try:
        process = await anyio.open_process(
            ["/bin/sh", "-c", _SCRIPT],
            stdin=read_end,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            start_new_session=True,
        )
    except BaseException:
        os.close(write_end)
        raise
    finally:
        os.close(read_end)
    try:
        yield Guard(write_end)
    finally:
        os.close(write_end)
        with anyio.CancelScope(shield=True):
            await process.wait()
            await process.aclose()
