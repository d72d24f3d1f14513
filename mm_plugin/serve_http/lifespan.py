"""The lifespan of one ASGI app: its startup when the plugin is activated, its shutdown when it is deactivated.

Layer:  serve_http.
Tasks:  the app's lifespan call runs in a task of the plugin's group; that group's cancellation begins the shutdown,
        which has ``limits.http_lifespan_stop_s``.
See:    ASGI 3, lifespan protocol
"""

from __future__ import annotations

import logging
from typing import cast

import anyio
from anyio.abc import TaskStatus

from mm_plugin import limits
from mm_plugin.exceptions import MMPluginError
from mm_plugin.serve_http.asgi import ASGIApp, ASGIMessage, Scope

__all__ = ("Lifespan", "LifespanError")

logger = logging.getLogger("mm_plugin.serve_http")


class LifespanError(MMPluginError):
    """A mounted ASGI app refused to start; the plugin's activation fails."""

    docs_code = "MMP224"


class Lifespan:
    """One life of an app.

    Attributes:
        state: What the app left at its startup; each request gets a shallow copy.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.state: dict[str, object] = {}
        self._startup_asked = self._shutdown_asked = self._answered = False
        self._stopping = anyio.Event()
        self._stopped = anyio.Event()
        self._scope = anyio.CancelScope(shield=True)
        self._refusal: str | None = None
        self._started: TaskStatus[None] = anyio.TASK_STATUS_IGNORED

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Run the app's lifespan; reports started once the app has, or where it knows no lifespan.

        Cancellation says ``lifespan.shutdown`` and waits for the app, within its budget.

        Raises:
            LifespanError: The app said ``lifespan.startup.failed``.
        """
        self._started = task_status
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._stop_when_cancelled, name="ASGI shutdown")
            with self._scope:
                await self._run_app()
            self._stopped.set()
            tasks.cancel_scope.cancel()
        if self._refusal is not None:
            raise LifespanError(f"the ASGI app failed to start: {self._refusal}")
        if not self._answered:
            task_status.started()

    async def _run_app(self) -> None:
        scope: Scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": self.state}
        try:
            await self._app(scope, self._receive, self._send)
        except Exception:
            # Before its first answer this is how an app says that it knows no lifespan.
            if self._answered:
                logger.exception("the lifespan of an ASGI app failed")

    async def _stop_when_cancelled(self) -> None:
        try:
            await anyio.sleep_forever()
        finally:
            self._stopping.set()
            with anyio.move_on_after(limits.http_lifespan_stop_s, shield=True):
                await self._stopped.wait()
            self._scope.cancel()

    async def _receive(self) -> ASGIMessage:
        if not self._startup_asked:
            self._startup_asked = True
            return {"type": "lifespan.startup"}
        await self._stopping.wait()
        if self._shutdown_asked:
            await anyio.sleep_forever()
        self._shutdown_asked = True
        return {"type": "lifespan.shutdown"}

    async def _send(self, message: ASGIMessage) -> None:
        match message["type"]:
            case "lifespan.startup.complete":
                self._answered = True
                self._started.started()
            case "lifespan.startup.failed":
                self._answered = True
                self._refusal = cast("str", message.get("message", "")) or "it gave no reason"
                self._scope.cancel()
            case "lifespan.shutdown.complete":
                self._stopped.set()
            case other:  # lifespan.shutdown.failed
                logger.error("an ASGI app ended its lifespan with %s: %s", other, message.get("message", ""))
                self._stopped.set()
        await anyio.lowlevel.checkpoint()
