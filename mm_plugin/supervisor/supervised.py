"""What the supervisor needs from a plugin: three things, so that it knows nothing of hooks. Internal.

Layer:  supervisor; implemented by the object that ties a Plugin to its dispatch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from anyio.abc import TaskStatus

    from mm_plugin.transport.link import HookReceiver

__all__ = ("Supervised",)


class Supervised(Protocol):
    """A plugin as the supervisor sees it."""

    @property
    def receiver(self) -> HookReceiver:
        """What takes the link's calls."""
        ...

    async def run(self, *, task_status: TaskStatus[None]) -> None:
        """Own the plugin's activation for as long as the process serves.

        Reports started once an OnActivate may arrive. The activation's task group lives inside this task: born
        before on_activate, cancelled and joined after on_deactivate. May return after a deactivation; the process
        then goes on serving until it is asked to stop. Cancellation cancels and joins the activation's group
        without on_deactivate.

        Raises:
            BaseException: A task of the plugin's group crashed, which ends the process.
        """
        ...

    async def deactivate(self) -> None:
        """Run on_deactivate if it has not run, then cancel and join the activation's group.

        Does nothing where nothing is active. A failing on_deactivate is logged, not raised. Cancellation breaks off
        on_deactivate; the supervisor then cancels ``run``. May wait for hooks that still run.
        """
        ...
