"""The hook table: one row of plain data for each hook, read by dispatch, the host's hook client, docs and tests.

Job:    say once, for all 41 hooks, how a request becomes arguments, which results become which response fields, and
        what is answered when there is no handler or it fails.
Layer:  hooks; imports names and policies only, no messages, so that creating a plugin class stays fast.
See:    docs/reference/hooks.md, which is generated from here

The types of arguments and results are those of the fields named here; they stand in the contract's descriptors and,
for type checkers, in ``plugin/hook_methods.py``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, unique
from types import MappingProxyType

from mm_plugin.hooks.names import HookName
from mm_plugin.hooks.policy import FailurePolicy

__all__ = ("HOOK_TABLE", "HookRow", "Output", "OutputKind", "Refusal")

_ALLOW, _ERROR, _REJECT = FailurePolicy.ALLOW, FailurePolicy.ERROR, FailurePolicy.REJECT


@unique
class OutputKind(Enum):
    """What a handler may return for one response field; the value is how error messages name it."""

    MESSAGE = "a message"
    MESSAGES = "a list of messages"
    INT = "an int"
    BOOL = "a bool"
    JSON = "a mapping or JSON as bytes"
    CONTENT = "bytes or an iterator of bytes"


@unique
class Refusal(Enum):
    """How a response says no; the value is the field that does."""

    NONE = ""
    REASON = "rejection_reason"  # a text; the server takes a call that failed for consent
    ERROR = "error"  # an AppError; the server takes a call that failed for an error
    UNHEALTHY = "healthy"  # false; the server takes a call that failed for false


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """One result that a handler may return, and the response field it goes to.

    Attributes:
        kind: What is accepted.
        field: The response field.
        replaces: The request field whose new value this is, or which holds the old value, "" where there is none. An
            equal value counts as unchanged and is not sent: the Go host loses parts of whatever comes back.
        always: Set even where the handler returns None, because the server reads an unset field as no answer.
    """

    kind: OutputKind
    field: str
    replaces: str = ""
    always: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class HookRow:
    """Everything about one hook that is not its code.

    Attributes:
        name: The Go name, as on the wire.
        method: The method of Plugin that handles it.
        fields: Request fields after RequestContext, in order; each becomes one argument.
        outputs: What a handler may return beside None.
        refusal: How the response says no.
        policies: The failure policies the response can express.
        default_policy: The one that applies where the author names none.
        absent: Response fields of a hook nobody handles; a handler that returns None starts from the same.
        dismissable: Whether Dismiss is a result.
        tells_cause: Whether an error carries the exception's text, because it is read by operators, never by users.
        streaming: An HTTP exchange, not one message each way; its arguments are made by ``serve_http``.
    """

    name: HookName
    method: str
    fields: tuple[str, ...] = ()
    outputs: tuple[Output, ...] = ()
    refusal: Refusal = Refusal.NONE
    policies: tuple[FailurePolicy, ...] = (_ALLOW,)
    default_policy: FailurePolicy = _ALLOW
    absent: Mapping[str, bool] = field(default_factory=dict[str, bool])
    dismissable: bool = False
    tells_cause: bool = False
    streaming: bool = False

    @property
    def arguments(self) -> tuple[str, ...]:
        """The handler's arguments after ``self``, in order."""
        if self.streaming:
            return ("request", "response")
        return tuple("context" if field == "plugin_context" else field for field in self.fields)

    @property
    def results(self) -> tuple[str, ...]:
        """What a handler may return, in words."""
        words = ["None", *(f"{output.kind.value} ({output.field})" for output in self.outputs)]
        if len(self.outputs) > 1:
            words.append("ReplaceFile")
        if self.refusal in {Refusal.REASON, Refusal.ERROR}:
            words.append("Reject")
        if self.dismissable:
            words.append("Dismiss")
        return tuple(words)

    @property
    def content_field(self) -> str:
        """The request field that is a file's content and reaches the handler as a stream; "" for all hooks but one."""
        return next((output.replaces for output in self.outputs if output.kind is OutputKind.CONTENT), "")

    @property
    def allows_by_failing(self) -> bool:
        """Whether the server lets things pass where the call itself fails (reference: the Go host's hook client)."""
        return self.refusal in {Refusal.NONE, Refusal.REASON}


def _notice(name: HookName, method: str, *fields: str) -> HookRow:
    """Return a row whose response is empty: the server does not listen to the answer."""
    return HookRow(name=name, method=method, fields=fields)


def _filter(
    name: HookName, method: str, *fields: str, default: FailurePolicy, outputs: tuple[Output, ...] = ()
) -> HookRow:
    """Return a row whose response carries a rejection reason."""
    return HookRow(
        name=name,
        method=method,
        fields=fields,
        outputs=outputs,
        refusal=Refusal.REASON,
        policies=(_REJECT, _ALLOW),
        default_policy=default,
    )


def _request(
    name: HookName,
    method: str,
    *fields: str,
    output: Output | None = None,
    default: FailurePolicy = _ERROR,
    allow: bool = True,
    tells_cause: bool = False,
) -> HookRow:
    """Return a row whose response carries an error; ``allow`` where doing without the hook is an answer too."""
    return HookRow(
        name=name,
        method=method,
        fields=fields,
        outputs=() if output is None else (output,),
        refusal=Refusal.ERROR,
        policies=(_ERROR, _REJECT, _ALLOW) if allow else (_ERROR, _REJECT),
        default_policy=default,
        tells_cause=tells_cause,
    )


def _message(field: str, replaces: str = "", *, always: bool = False) -> Output:
    return Output(kind=OutputKind.MESSAGE, field=field, replaces=replaces, always=always)


_ROWS = (
    _request(HookName.OnActivate, "on_activate", allow=False, tells_cause=True),
    _request(HookName.OnDeactivate, "on_deactivate", allow=False, tells_cause=True),
    _request(HookName.OnConfigurationChange, "on_configuration_change", allow=False, tells_cause=True),
    _request(HookName.OnInstall, "on_install", "plugin_context", "event"),
    _notice(HookName.OnSendDailyTelemetry, "on_send_daily_telemetry"),
    _request(
        HookName.RunDataRetention,
        "run_data_retention",
        "now_time",
        "batch_size",
        output=Output(kind=OutputKind.INT, field="deleted_count"),
    ),
    _notice(HookName.OnCloudLimitsUpdated, "on_cloud_limits_updated", "limits"),
    _request(
        HookName.ConfigurationWillBeSaved,
        "configuration_will_be_saved",
        "new_config",
        output=Output(kind=OutputKind.JSON, field="modified_config", replaces="new_config"),
        default=_REJECT,
    ),
    HookRow(
        name=HookName.MessageWillBePosted,
        method="message_will_be_posted",
        fields=("plugin_context", "post"),
        outputs=(_message("modified_post", "post"),),
        refusal=Refusal.REASON,
        policies=(_REJECT, _ALLOW),
        default_policy=_ALLOW,
        dismissable=True,
    ),
    _filter(
        HookName.MessageWillBeUpdated,
        "message_will_be_updated",
        "plugin_context",
        "new_post",
        "old_post",
        outputs=(_message("modified_post", "new_post"),),
        default=_ALLOW,
    ),
    _notice(HookName.MessageHasBeenPosted, "message_has_been_posted", "plugin_context", "post"),
    _notice(HookName.MessageHasBeenUpdated, "message_has_been_updated", "plugin_context", "new_post", "old_post"),
    HookRow(
        name=HookName.MessagesWillBeConsumed,
        method="messages_will_be_consumed",
        fields=("posts",),
        outputs=(Output(kind=OutputKind.MESSAGES, field="posts", replaces="posts"),),
    ),
    _notice(HookName.MessageHasBeenDeleted, "message_has_been_deleted", "plugin_context", "post"),
    _filter(
        HookName.FileWillBeUploaded,
        "file_will_be_uploaded",
        "plugin_context",
        "file_info",
        "file_content",
        outputs=(
            _message("modified_file_info", "file_info"),
            Output(kind=OutputKind.CONTENT, field="modified_content", replaces="file_content"),
        ),
        default=_REJECT,
    ),
    _notice(HookName.ReactionHasBeenAdded, "reaction_has_been_added", "plugin_context", "reaction"),
    _notice(HookName.ReactionHasBeenRemoved, "reaction_has_been_removed", "plugin_context", "reaction"),
    _filter(
        HookName.NotificationWillBePushed,
        "notification_will_be_pushed",
        "push_notification",
        "user_id",
        outputs=(_message("modified_notification", "push_notification"),),
        default=_ALLOW,
    ),
    _filter(
        HookName.EmailNotificationWillBeSent,
        "email_notification_will_be_sent",
        "email_notification",
        outputs=(_message("modified_content", "email_notification"),),
        default=_ALLOW,
    ),
    _notice(HookName.PreferencesHaveChanged, "preferences_have_changed", "plugin_context", "preferences"),
    _notice(HookName.UserHasBeenCreated, "user_has_been_created", "plugin_context", "user"),
    _filter(HookName.UserWillLogIn, "user_will_log_in", "plugin_context", "user", default=_REJECT),
    _notice(HookName.UserHasLoggedIn, "user_has_logged_in", "plugin_context", "user"),
    _notice(HookName.UserHasBeenDeactivated, "user_has_been_deactivated", "plugin_context", "user"),
    _request(HookName.OnSAMLLogin, "on_saml_login", "plugin_context", "user", "assertion", default=_REJECT),
    _notice(HookName.ChannelHasBeenCreated, "channel_has_been_created", "plugin_context", "channel"),
    _notice(HookName.UserHasJoinedChannel, "user_has_joined_channel", "plugin_context", "channel_member", "actor"),
    _notice(HookName.UserHasLeftChannel, "user_has_left_channel", "plugin_context", "channel_member", "actor"),
    _notice(HookName.UserHasJoinedTeam, "user_has_joined_team", "plugin_context", "team_member", "actor"),
    _notice(HookName.UserHasLeftTeam, "user_has_left_team", "plugin_context", "team_member", "actor"),
    _request(
        HookName.ExecuteCommand,
        "execute_command",
        "plugin_context",
        "args",
        output=_message("response", always=True),
        allow=False,
    ),
    _notice(HookName.OnWebSocketConnect, "on_websocket_connect", "web_conn_id", "user_id"),
    _notice(HookName.OnWebSocketDisconnect, "on_websocket_disconnect", "web_conn_id", "user_id"),
    _notice(
        HookName.WebSocketMessageHasBeenPosted,
        "websocket_message_has_been_posted",
        "web_conn_id",
        "user_id",
        "request",
    ),
    _notice(HookName.OnPluginClusterEvent, "on_plugin_cluster_event", "plugin_context", "event"),
    _request(
        HookName.OnSharedChannelsSyncMsg,
        "on_shared_channels_sync_msg",
        "sync_msg",
        "remote_cluster",
        output=_message("response"),
    ),
    HookRow(
        name=HookName.OnSharedChannelsPing,
        method="on_shared_channels_ping",
        fields=("remote_cluster",),
        outputs=(Output(kind=OutputKind.BOOL, field="healthy"),),
        refusal=Refusal.UNHEALTHY,
        policies=(_REJECT, _ALLOW),
        default_policy=_REJECT,
        absent={"healthy": True},
    ),
    _request(
        HookName.OnSharedChannelsAttachmentSyncMsg,
        "on_shared_channels_attachment_sync_msg",
        "file_info",
        "post",
        "remote_cluster",
    ),
    _request(
        HookName.OnSharedChannelsProfileImageSyncMsg,
        "on_shared_channels_profile_image_sync_msg",
        "user",
        "remote_cluster",
    ),
    _request(
        HookName.GenerateSupportData,
        "generate_support_data",
        "plugin_context",
        output=Output(kind=OutputKind.MESSAGES, field="files"),
    ),
    HookRow(
        name=HookName.ServeHTTP,
        method="serve_http",
        policies=(_ERROR,),
        default_policy=_ERROR,
        streaming=True,
    ),
)

#: Every hook's row, in the contract's order.
HOOK_TABLE: Mapping[HookName, HookRow] = MappingProxyType({row.name: row for row in _ROWS})
