"""Handlers, and what they log, know for whom their hook was called."""

from __future__ import annotations

import json
import logging

import anyio

from mm_plugin._proto.common_pb2 import RequestContext
from mm_plugin._proto.hooks_message_pb2 import MessageHasBeenPostedRequest
from mm_plugin.hooks.dispatch import Handler, HookDispatcher
from mm_plugin.hooks.names import HookName
from mm_plugin.hooks.policy import FailurePolicy
from mm_plugin.hooks.request_context import request_context
from mm_plugin.hooks.table import HOOK_TABLE
from mm_plugin.hooks.threads import HookThreads
from mm_plugin.supervisor.logs import HCLogFormatter
from mm_plugin.transport.link import HookCall

NAME = HookName.MessageHasBeenPosted


def line() -> dict[str, object]:
    """Format a record here and now."""
    record = logging.getLogger("x").makeRecord("x", logging.INFO, "f", 1, "hi", (), None, extra={"request_id": "mine"})
    fields: dict[str, object] = json.loads(HCLogFormatter().format(record))
    return {name: fields.get(name) for name in ("plugin_id", "request_id", "session_id", "user_id")}


async def test_handlers_and_logs_see_it() -> None:
    """Calls that run at once each see their own, also in worker threads; a record's own fields win."""
    seen: dict[str, tuple[str | None, dict[str, object]]] = {}

    async def handler(context: object, post: object) -> None:
        await anyio.lowlevel.checkpoint()
        note()

    def blocking(context: object, post: object) -> None:
        note()

    def note() -> None:
        current = request_context()
        seen[current.user_id if current is not None else ""] = (current and current.request_id, line())

    async with anyio.create_task_group() as tasks:
        for user, function in (("ada", handler), ("bob", blocking), ("", handler)):
            row = HOOK_TABLE[NAME]
            dispatcher = HookDispatcher(
                [Handler(row, function, FailurePolicy.ALLOW)], timeout_s=30, threads=HookThreads()
            )
            context = RequestContext(plugin_id="p", request_id=f"r {user}", user_id=user) if user else None
            request = MessageHasBeenPostedRequest(context=context)
            tasks.start_soon(dispatcher.dispatch, HookCall(name=NAME, request=request))
    nothing = {"plugin_id": None, "request_id": "mine", "session_id": None, "user_id": None}
    assert seen == {
        "ada": ("r ada", {**nothing, "plugin_id": "p", "user_id": "ada"}),
        "bob": ("r bob", {**nothing, "plugin_id": "p", "user_id": "bob"}),
        "": (None, nothing),
    }
