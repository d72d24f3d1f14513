"""The plugin of benchmarks.hook_isolation: one hook that answers at once, others that keep a thread until told."""

import socket
import threading

from mm_plugin import Plugin, PluginContext, Post, User, run_plugin


class Isolation(Plugin):
    """Keeps a worker thread blocked, or busy, while posts come in."""

    def __init__(self) -> None:
        self.reading, self.writing = socket.socketpair()
        self.enough = threading.Event()
        self.waiting = False

    async def message_has_been_posted(self, context: PluginContext, post: Post) -> None:
        """Take a post; what is measured."""

    def user_has_logged_in(self, context: PluginContext, user: User) -> None:
        """Block on I/O."""
        self.waiting = True
        self.reading.recv(1)
        self.waiting = False

    def user_has_been_created(self, context: PluginContext, user: User) -> None:
        """Compute."""
        self.enough.clear()
        number = 1
        while not self.enough.is_set():
            number = number * 1_103_515_245 % 2_147_483_647

    async def user_has_been_deactivated(self, context: PluginContext, user: User) -> None:
        """Let the thread go."""
        self.enough.set()
        if self.waiting:
            self.writing.send(b"x")


if __name__ == "__main__":
    run_plugin(Isolation)
