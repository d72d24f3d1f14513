"""Call a plugin's hooks from the host's side: requests by the hook table, answers decoded, failures decided.

Job:    everything between "the server wants to ask hook X" and the link.
Layer:  host, over HostLink and the hook table.
Output: the response message, or what a hook of this slice decided.
Errors: PluginAPIError for an error inside a response, kept whole; CallFailure where there is no response. What the
        server then does, lets pass or fails, stands in the hook table (reference of the Go host, section 2).

A hook the plugin does not implement is never sent.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol, cast

import anyio

from mm_plugin import limits
from mm_plugin._proto.common_pb2 import PluginContext, RequestContext
from mm_plugin._proto.services import hook_methods
from mm_plugin.exceptions import PluginAPIError, StatusCode
from mm_plugin.hooks.names import IMPLEMENTED, HookName
from mm_plugin.hooks.results import DISMISS_REASON
from mm_plugin.hooks.table import HOOK_TABLE, Refusal
from mm_plugin.messages.errors import error_of_app_error
from mm_plugin.transport.link import CallFailure, HostLink

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from mm_plugin._proto.command_pb2 import CommandArgs, CommandResponse
    from mm_plugin._proto.common_pb2 import AppError
    from mm_plugin._proto.hooks_command_pb2 import ExecuteCommandResponse
    from mm_plugin._proto.hooks_lifecycle_pb2 import ImplementedResponse
    from mm_plugin._proto.hooks_message_pb2 import MessageWillBePostedResponse
    from mm_plugin._proto.hooks_user_pb2 import UserWillLogInResponse
    from mm_plugin._proto.post_pb2 import Post
    from mm_plugin._proto.user_pb2 import User

__all__ = ("HookClient", "HookContext", "PostDecision")

logger = logging.getLogger("mm_plugin.host.hooks")

_ID_ALPHABET = "ybndrfg8ejkmcpqxot1uwisza345h769"


@dataclass(frozen=True, slots=True, kw_only=True)
class HookContext:
    """For whom a hook is called: what becomes RequestContext and, where the hook has one, PluginContext.

    Attributes:
        request_id: "" gets a fresh id for each call.
    """

    user_id: str = ""
    session_id: str = ""
    request_id: str = ""
    ip_address: str = ""
    accept_language: str = ""
    user_agent: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PostDecision:
    """What became of a post: the post to take, or the reason why there is none.

    Attributes:
        post: The post as it is to be kept; None where it was rejected.
        rejection: The reason, "" where the post was not rejected.
        rejected_by: The id of the plugin that rejected it.
    """

    post: Post | None
    rejection: str = ""
    rejected_by: str = ""

    @property
    def dismissed(self) -> bool:
        """Whether the author is not to be told."""
        return self.rejection == DISMISS_REASON


class _WithError(Protocol):
    @property
    def error(self) -> AppError: ...


class HookClient:
    """The hooks of one plugin.

    Args:
        link: The host's end of the link.
        plugin_id: Named in RequestContext and in logs.
        unhurried: Whether calls other than OnDeactivate have no deadline now, as under a debugger.
    """

    def __init__(self, link: HostLink, plugin_id: str, *, unhurried: Callable[[], bool] = lambda: False) -> None:
        self._unhurried = unhurried
        self.plugin_id = plugin_id
        self._link = link
        self._implemented: frozenset[HookName] = frozenset()

    @property
    def implemented(self) -> frozenset[HookName]:
        """The hooks the plugin has; empty before ``ask_implemented``."""
        return self._implemented

    async def ask_implemented(self, *, timeout_s: float = limits.host_hook_timeout_s) -> frozenset[HookName]:
        """Ask once which hooks the plugin has. Unknown names are logged and ignored.

        Raises:
            PluginAPIError: The plugin answered with an error.
            CallFailure: It did not answer.
        """
        response = await self._send(IMPLEMENTED, Refusal.ERROR, HookContext(), timeout_s, {})
        known: set[HookName] = set()
        for name in cast("ImplementedResponse", response).hooks:
            try:
                known.add(HookName(name))
            except ValueError:
                logger.warning("plugin %s implements %r, which is no hook; ignored", self.plugin_id, name)
        self._implemented = frozenset(known)
        return self._implemented

    def close(self) -> None:
        """Send no hook but OnDeactivate from now on: all others count as not implemented."""
        self._implemented &= {HookName.OnDeactivate}

    async def call(
        self,
        name: HookName,
        /,
        *,
        context: HookContext | None = None,
        timeout_s: float = limits.host_hook_timeout_s,
        **fields: object,
    ) -> Message | None:
        """Call any unary hook.

        Args:
            name: The hook.
            context: For whom.
            timeout_s: Longest wait for the answer.
            fields: The request's fields by name, those after ``context`` and ``plugin_context``.

        Returns:
            The response message; None where the plugin does not implement the hook.

        Raises:
            PluginAPIError: The response carries an error.
            CallFailure: There is no response.
            ValueError: The request has no such field.
        """
        if name not in self._implemented:
            return None
        return await self._send(name, HOOK_TABLE[name].refusal, context or HookContext(), timeout_s, fields)

    async def call_or_allow(
        self,
        name: HookName,
        /,
        *,
        context: HookContext | None = None,
        timeout_s: float = limits.host_hook_timeout_s,
        **fields: object,
    ) -> Message | None:
        """Call a hook whose failing lets things pass: like ``call``, but a failure is logged and counts as no answer.

        Raises:
            CallFailure: The server takes a failure of this hook for an error.
        """
        try:
            return await self.call(name, context=context, timeout_s=timeout_s, **fields)
        except CallFailure as failure:
            if not HOOK_TABLE[name].allows_by_failing:
                raise
            logger.warning("plugin %s: %s failed and counts as unanswered: %s", self.plugin_id, name, failure)
            return None

    # -- the lifecycle ----------------------------------------------------------------------------------------

    async def on_activate(self, *, timeout_s: float = limits.host_hook_timeout_s) -> None:
        """Activate the plugin; raises PluginAPIError or CallFailure where it refuses or fails."""
        await self.call(HookName.OnActivate, timeout_s=timeout_s)

    async def on_deactivate(self, *, timeout_s: float = limits.host_hook_timeout_s) -> None:
        """Deactivate the plugin; raises PluginAPIError or CallFailure where it refuses or fails."""
        await self.call(HookName.OnDeactivate, timeout_s=timeout_s)

    async def on_configuration_change(self, *, timeout_s: float = limits.host_hook_timeout_s) -> None:
        """Tell of a changed configuration; raises PluginAPIError or CallFailure where the plugin refuses or fails."""
        await self.call(HookName.OnConfigurationChange, timeout_s=timeout_s)

    # -- posts, users, commands -------------------------------------------------------------------------------

    async def message_will_be_posted(self, post: Post, *, context: HookContext | None = None) -> PostDecision:
        """Ask what is to become of a post; a plugin that fails lets it pass."""
        answer = await self.call_or_allow(HookName.MessageWillBePosted, context=context, post=post)
        if answer is None:
            return PostDecision(post=post)
        response = cast("MessageWillBePostedResponse", answer)
        if response.rejection_reason:
            return PostDecision(post=None, rejection=response.rejection_reason, rejected_by=self.plugin_id)
        return PostDecision(post=response.modified_post if answer.HasField("modified_post") else post)

    async def message_has_been_posted(self, post: Post, *, context: HookContext | None = None) -> None:
        """Tell of a post; a failure is logged."""
        await self.call_or_allow(HookName.MessageHasBeenPosted, context=context, post=post)

    async def user_will_log_in(self, user: User, *, context: HookContext | None = None) -> str:
        """Ask whether a user may log in.

        Returns:
            The reason why not; "" where nothing speaks against it, or the plugin failed.
        """
        answer = await self.call_or_allow(HookName.UserWillLogIn, context=context, user=user)
        return "" if answer is None else cast("UserWillLogInResponse", answer).rejection_reason

    async def execute_command(self, args: CommandArgs, *, context: HookContext | None = None) -> CommandResponse | None:
        """Run a slash command.

        Returns:
            The plugin's response; None where it gave none or has no such hook.

        Raises:
            PluginAPIError: The plugin answered with an error, or failed (``plugin.grpc.execute_command.error``).
        """
        try:
            answer = await self.call(HookName.ExecuteCommand, context=context, args=args)
        except CallFailure as failure:
            raise PluginAPIError(
                f"The plugin {self.plugin_id} failed to execute the command.",
                id="plugin.grpc.execute_command.error",
                detailed_error=str(failure),
                where="ExecuteCommand",
                status_code=500,
                code=StatusCode.INTERNAL,
            ) from failure
        if answer is None or not answer.HasField("response"):
            return None
        return cast("ExecuteCommandResponse", answer).response

    # -- the wire ---------------------------------------------------------------------------------------------

    async def _send(
        self, name: str, refusal: Refusal, context: HookContext, timeout_s: float, fields: dict[str, object]
    ) -> Message:
        if not context.request_id:
            context = replace(context, request_id=_new_id())
        request_class = hook_methods()[name].request
        message_fields = request_class.DESCRIPTOR.fields_by_name
        if "plugin_context" in message_fields:
            fields = {"plugin_context": _plugin_context(context), **fields}
        # Built by name, so the classes' own typed constructors cannot be used.
        request = request_class(context=_request_context(context, self.plugin_id), **fields)
        # A stop keeps its time: nobody could end a host otherwise while its plugin stands at a breakpoint.
        hurried = name == HookName.OnDeactivate or not self._unhurried()
        deadline = anyio.current_time() + timeout_s if hurried else None
        response = await self._link.call_hook(name, request, deadline=deadline)
        if refusal is Refusal.ERROR and response.HasField("error"):
            raise error_of_app_error(cast("_WithError", response).error)
        return response


def _request_context(context: HookContext, plugin_id: str) -> RequestContext:
    return RequestContext(
        plugin_id=plugin_id,
        request_id=context.request_id,
        session_id=context.session_id,
        user_id=context.user_id,
    )


def _plugin_context(context: HookContext) -> PluginContext:
    return PluginContext(
        session_id=context.session_id,
        request_id=context.request_id,
        ip_address=context.ip_address,
        accept_language=context.accept_language,
        user_agent=context.user_agent,
    )


def _new_id() -> str:
    """Return a fresh id of Mattermost's form: 26 characters of its base-32 alphabet."""
    return "".join(secrets.choice(_ID_ALPHABET) for _ in range(26))
