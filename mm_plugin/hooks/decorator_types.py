"""The types of ``@hook``: a handler under another name is checked as an override by the hook's own name is.

Generated from the hook table by tools/hook_types.py; ``make proto`` writes it anew. For type checkers alone: no running
plugin loads this module.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, overload

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from typing import Any, Concatenate, Literal, ParamSpec, TypeAlias, TypeVar

    from mm_plugin.hooks.files import FileContent, NewContent
    from mm_plugin.hooks.names import HookName
    from mm_plugin.hooks.policy import FailurePolicy
    from mm_plugin.hooks.results import Dismiss, Reject, ReplaceFile
    from mm_plugin.messages.channels import Channel, ChannelMember
    from mm_plugin.messages.commands import CommandArgs, CommandResponse
    from mm_plugin.messages.common import PluginContext
    from mm_plugin.messages.files import FileData, FileInfo
    from mm_plugin.messages.json_fields import Configuration, EmailNotification, SAMLAssertion, SyncMessage
    from mm_plugin.messages.notifications import EmailNotificationContent, PushNotification
    from mm_plugin.messages.plugins import PluginClusterEvent
    from mm_plugin.messages.posts import Post, Reaction
    from mm_plugin.messages.preferences import Preference
    from mm_plugin.messages.shared_channels import RemoteCluster, SyncResponse
    from mm_plugin.messages.system import OnInstallEvent, ProductLimits
    from mm_plugin.messages.teams import TeamMember
    from mm_plugin.messages.users import User
    from mm_plugin.messages.websocket import WebSocketRequest
    from mm_plugin.serve_http.request import Request
    from mm_plugin.serve_http.response import Response
    from mm_plugin.types import JSONValue

__all__ = ("HookDecorator",)

if TYPE_CHECKING:
    _AnyF = TypeVar("_AnyF", bound=Callable[..., Any])
    _P = ParamSpec("_P")
    _R = TypeVar("_R")
    _Policy: TypeAlias = FailurePolicy | None
    #: A method, or a static method; ``async def`` or ``def``.
    _Fit: TypeAlias = Callable[Concatenate[Any, _P], Awaitable[_R] | _R] | Callable[_P, Awaitable[_R] | _R]

    _OnActivate = TypeVar("_OnActivate", bound=_Fit[[], Reject | None])
    _OnDeactivate = TypeVar("_OnDeactivate", bound=_Fit[[], Reject | None])
    _OnConfigurationChange = TypeVar("_OnConfigurationChange", bound=_Fit[[], Reject | None])
    _OnInstall = TypeVar("_OnInstall", bound=_Fit[[PluginContext, OnInstallEvent], Reject | None])
    _OnSendDailyTelemetry = TypeVar("_OnSendDailyTelemetry", bound=_Fit[[], None])
    _RunDataRetention = TypeVar("_RunDataRetention", bound=_Fit[[int, int], int | Reject | None])
    _OnCloudLimitsUpdated = TypeVar("_OnCloudLimitsUpdated", bound=_Fit[[ProductLimits], None])
    _ConfigurationWillBeSaved = TypeVar(
        "_ConfigurationWillBeSaved", bound=_Fit[[Configuration], Mapping[str, JSONValue] | bytes | Reject | None]
    )
    _MessageWillBePosted = TypeVar(
        "_MessageWillBePosted", bound=_Fit[[PluginContext, Post], Post | Reject | Dismiss | None]
    )
    _MessageWillBeUpdated = TypeVar(
        "_MessageWillBeUpdated", bound=_Fit[[PluginContext, Post, Post], Post | Reject | None]
    )
    _MessageHasBeenPosted = TypeVar("_MessageHasBeenPosted", bound=_Fit[[PluginContext, Post], None])
    _MessageHasBeenUpdated = TypeVar("_MessageHasBeenUpdated", bound=_Fit[[PluginContext, Post, Post], None])
    _MessagesWillBeConsumed = TypeVar("_MessagesWillBeConsumed", bound=_Fit[[list[Post]], Sequence[Post] | None])
    _MessageHasBeenDeleted = TypeVar("_MessageHasBeenDeleted", bound=_Fit[[PluginContext, Post], None])
    _FileWillBeUploaded = TypeVar(
        "_FileWillBeUploaded",
        bound=_Fit[[PluginContext, FileInfo, FileContent], FileInfo | NewContent | ReplaceFile | Reject | None],
    )
    _ReactionHasBeenAdded = TypeVar("_ReactionHasBeenAdded", bound=_Fit[[PluginContext, Reaction], None])
    _ReactionHasBeenRemoved = TypeVar("_ReactionHasBeenRemoved", bound=_Fit[[PluginContext, Reaction], None])
    _NotificationWillBePushed = TypeVar(
        "_NotificationWillBePushed", bound=_Fit[[PushNotification, str], PushNotification | Reject | None]
    )
    _EmailNotificationWillBeSent = TypeVar(
        "_EmailNotificationWillBeSent", bound=_Fit[[EmailNotification], EmailNotificationContent | Reject | None]
    )
    _PreferencesHaveChanged = TypeVar("_PreferencesHaveChanged", bound=_Fit[[PluginContext, list[Preference]], None])
    _UserHasBeenCreated = TypeVar("_UserHasBeenCreated", bound=_Fit[[PluginContext, User], None])
    _UserWillLogIn = TypeVar("_UserWillLogIn", bound=_Fit[[PluginContext, User], Reject | None])
    _UserHasLoggedIn = TypeVar("_UserHasLoggedIn", bound=_Fit[[PluginContext, User], None])
    _UserHasBeenDeactivated = TypeVar("_UserHasBeenDeactivated", bound=_Fit[[PluginContext, User], None])
    _OnSAMLLogin = TypeVar("_OnSAMLLogin", bound=_Fit[[PluginContext, User, SAMLAssertion], Reject | None])
    _ChannelHasBeenCreated = TypeVar("_ChannelHasBeenCreated", bound=_Fit[[PluginContext, Channel], None])
    _UserHasJoinedChannel = TypeVar(
        "_UserHasJoinedChannel", bound=_Fit[[PluginContext, ChannelMember, User | None], None]
    )
    _UserHasLeftChannel = TypeVar("_UserHasLeftChannel", bound=_Fit[[PluginContext, ChannelMember, User | None], None])
    _UserHasJoinedTeam = TypeVar("_UserHasJoinedTeam", bound=_Fit[[PluginContext, TeamMember, User | None], None])
    _UserHasLeftTeam = TypeVar("_UserHasLeftTeam", bound=_Fit[[PluginContext, TeamMember, User | None], None])
    _ExecuteCommand = TypeVar(
        "_ExecuteCommand", bound=_Fit[[PluginContext, CommandArgs], CommandResponse | Reject | None]
    )
    _OnWebSocketConnect = TypeVar("_OnWebSocketConnect", bound=_Fit[[str, str], None])
    _OnWebSocketDisconnect = TypeVar("_OnWebSocketDisconnect", bound=_Fit[[str, str], None])
    _WebSocketMessageHasBeenPosted = TypeVar(
        "_WebSocketMessageHasBeenPosted", bound=_Fit[[str, str, WebSocketRequest], None]
    )
    _OnPluginClusterEvent = TypeVar("_OnPluginClusterEvent", bound=_Fit[[PluginContext, PluginClusterEvent], None])
    _OnSharedChannelsSyncMsg = TypeVar(
        "_OnSharedChannelsSyncMsg", bound=_Fit[[SyncMessage, RemoteCluster], SyncResponse | Reject | None]
    )
    _OnSharedChannelsPing = TypeVar("_OnSharedChannelsPing", bound=_Fit[[RemoteCluster], bool | None])
    _OnSharedChannelsAttachmentSyncMsg = TypeVar(
        "_OnSharedChannelsAttachmentSyncMsg", bound=_Fit[[FileInfo, Post, RemoteCluster], Reject | None]
    )
    _OnSharedChannelsProfileImageSyncMsg = TypeVar(
        "_OnSharedChannelsProfileImageSyncMsg", bound=_Fit[[User, RemoteCluster], Reject | None]
    )
    _GenerateSupportData = TypeVar(
        "_GenerateSupportData", bound=_Fit[[PluginContext], Sequence[FileData] | Reject | None]
    )
    _ServeHTTP = TypeVar("_ServeHTTP", bound=_Fit[[Request, Response], None])

    _OnActivateName = Literal[HookName.OnActivate, "OnActivate", "on_activate"]
    _OnDeactivateName = Literal[HookName.OnDeactivate, "OnDeactivate", "on_deactivate"]
    _OnConfigurationChangeName = Literal[
        HookName.OnConfigurationChange, "OnConfigurationChange", "on_configuration_change"
    ]
    _OnInstallName = Literal[HookName.OnInstall, "OnInstall", "on_install"]
    _OnSendDailyTelemetryName = Literal[
        HookName.OnSendDailyTelemetry, "OnSendDailyTelemetry", "on_send_daily_telemetry"
    ]
    _RunDataRetentionName = Literal[HookName.RunDataRetention, "RunDataRetention", "run_data_retention"]
    _OnCloudLimitsUpdatedName = Literal[
        HookName.OnCloudLimitsUpdated, "OnCloudLimitsUpdated", "on_cloud_limits_updated"
    ]
    _ConfigurationWillBeSavedName = Literal[
        HookName.ConfigurationWillBeSaved, "ConfigurationWillBeSaved", "configuration_will_be_saved"
    ]
    _MessageWillBePostedName = Literal[HookName.MessageWillBePosted, "MessageWillBePosted", "message_will_be_posted"]
    _MessageWillBeUpdatedName = Literal[
        HookName.MessageWillBeUpdated, "MessageWillBeUpdated", "message_will_be_updated"
    ]
    _MessageHasBeenPostedName = Literal[
        HookName.MessageHasBeenPosted, "MessageHasBeenPosted", "message_has_been_posted"
    ]
    _MessageHasBeenUpdatedName = Literal[
        HookName.MessageHasBeenUpdated, "MessageHasBeenUpdated", "message_has_been_updated"
    ]
    _MessagesWillBeConsumedName = Literal[
        HookName.MessagesWillBeConsumed, "MessagesWillBeConsumed", "messages_will_be_consumed"
    ]
    _MessageHasBeenDeletedName = Literal[
        HookName.MessageHasBeenDeleted, "MessageHasBeenDeleted", "message_has_been_deleted"
    ]
    _FileWillBeUploadedName = Literal[HookName.FileWillBeUploaded, "FileWillBeUploaded", "file_will_be_uploaded"]
    _ReactionHasBeenAddedName = Literal[
        HookName.ReactionHasBeenAdded, "ReactionHasBeenAdded", "reaction_has_been_added"
    ]
    _ReactionHasBeenRemovedName = Literal[
        HookName.ReactionHasBeenRemoved, "ReactionHasBeenRemoved", "reaction_has_been_removed"
    ]
    _NotificationWillBePushedName = Literal[
        HookName.NotificationWillBePushed, "NotificationWillBePushed", "notification_will_be_pushed"
    ]
    _EmailNotificationWillBeSentName = Literal[
        HookName.EmailNotificationWillBeSent, "EmailNotificationWillBeSent", "email_notification_will_be_sent"
    ]
    _PreferencesHaveChangedName = Literal[
        HookName.PreferencesHaveChanged, "PreferencesHaveChanged", "preferences_have_changed"
    ]
    _UserHasBeenCreatedName = Literal[HookName.UserHasBeenCreated, "UserHasBeenCreated", "user_has_been_created"]
    _UserWillLogInName = Literal[HookName.UserWillLogIn, "UserWillLogIn", "user_will_log_in"]
    _UserHasLoggedInName = Literal[HookName.UserHasLoggedIn, "UserHasLoggedIn", "user_has_logged_in"]
    _UserHasBeenDeactivatedName = Literal[
        HookName.UserHasBeenDeactivated, "UserHasBeenDeactivated", "user_has_been_deactivated"
    ]
    _OnSAMLLoginName = Literal[HookName.OnSAMLLogin, "OnSAMLLogin", "on_saml_login"]
    _ChannelHasBeenCreatedName = Literal[
        HookName.ChannelHasBeenCreated, "ChannelHasBeenCreated", "channel_has_been_created"
    ]
    _UserHasJoinedChannelName = Literal[
        HookName.UserHasJoinedChannel, "UserHasJoinedChannel", "user_has_joined_channel"
    ]
    _UserHasLeftChannelName = Literal[HookName.UserHasLeftChannel, "UserHasLeftChannel", "user_has_left_channel"]
    _UserHasJoinedTeamName = Literal[HookName.UserHasJoinedTeam, "UserHasJoinedTeam", "user_has_joined_team"]
    _UserHasLeftTeamName = Literal[HookName.UserHasLeftTeam, "UserHasLeftTeam", "user_has_left_team"]
    _ExecuteCommandName = Literal[HookName.ExecuteCommand, "ExecuteCommand", "execute_command"]
    _OnWebSocketConnectName = Literal[HookName.OnWebSocketConnect, "OnWebSocketConnect", "on_websocket_connect"]
    _OnWebSocketDisconnectName = Literal[
        HookName.OnWebSocketDisconnect, "OnWebSocketDisconnect", "on_websocket_disconnect"
    ]
    _WebSocketMessageHasBeenPostedName = Literal[
        HookName.WebSocketMessageHasBeenPosted, "WebSocketMessageHasBeenPosted", "websocket_message_has_been_posted"
    ]
    _OnPluginClusterEventName = Literal[
        HookName.OnPluginClusterEvent, "OnPluginClusterEvent", "on_plugin_cluster_event"
    ]
    _OnSharedChannelsSyncMsgName = Literal[
        HookName.OnSharedChannelsSyncMsg, "OnSharedChannelsSyncMsg", "on_shared_channels_sync_msg"
    ]
    _OnSharedChannelsPingName = Literal[
        HookName.OnSharedChannelsPing, "OnSharedChannelsPing", "on_shared_channels_ping"
    ]
    _OnSharedChannelsAttachmentSyncMsgName = Literal[
        HookName.OnSharedChannelsAttachmentSyncMsg,
        "OnSharedChannelsAttachmentSyncMsg",
        "on_shared_channels_attachment_sync_msg",
    ]
    _OnSharedChannelsProfileImageSyncMsgName = Literal[
        HookName.OnSharedChannelsProfileImageSyncMsg,
        "OnSharedChannelsProfileImageSyncMsg",
        "on_shared_channels_profile_image_sync_msg",
    ]
    _GenerateSupportDataName = Literal[HookName.GenerateSupportData, "GenerateSupportData", "generate_support_data"]
    _ServeHTTPName = Literal[HookName.ServeHTTP, "ServeHTTP", "serve_http"]


class HookDecorator(Protocol):
    """What ``hook`` is: by the hook's name a decorator of functions that fit the hook, which it returns as they are."""

    # Without a name: that of the method, which is compared with Plugin's by being an override.
    @overload
    def __call__(self, function: _AnyF, /) -> _AnyF: ...
    @overload
    def __call__(self, /, *, on_failure: _Policy = None) -> Callable[[_AnyF], _AnyF]: ...
    @overload
    def __call__(
        self, name: _OnActivateName, /, *, on_failure: _Policy = None
    ) -> Callable[[_OnActivate], _OnActivate]: ...
    @overload
    def __call__(
        self, name: _OnDeactivateName, /, *, on_failure: _Policy = None
    ) -> Callable[[_OnDeactivate], _OnDeactivate]: ...
    @overload
    def __call__(
        self, name: _OnConfigurationChangeName, /, *, on_failure: _Policy = None
    ) -> Callable[[_OnConfigurationChange], _OnConfigurationChange]: ...
    @overload
    def __call__(
        self, name: _OnInstallName, /, *, on_failure: _Policy = None
    ) -> Callable[[_OnInstall], _OnInstall]: ...
    @overload
    def __call__(
        self, name: _OnSendDailyTelemetryName, /, *, on_failure: _Policy = None
    ) -> Callable[[_OnSendDailyTelemetry], _OnSendDailyTelemetry]: ...
    @overload
    def __call__(
        self, name: _RunDataRetentionName, /, *, on_failure: _Policy = None
    ) -> Callable[[_RunDataRetention], _RunDataRetention]: ...
    @overload
    def __call__(
        self, name: _OnCloudLimitsUpdatedName, /, *, on_failure: _Policy = None
    ) -> Callable[[_OnCloudLimitsUpdated], _OnCloudLimitsUpdated]: ...
    @overload
    def __call__(
        self, name: _ConfigurationWillBeSavedName, /, *, on_failure: _Policy = None
    ) -> Callable[[_ConfigurationWillBeSaved], _ConfigurationWillBeSaved]: ...
    @overload
    def __call__(
        self, name: _MessageWillBePostedName, /, *, on_failure: _Policy = None
    ) -> Callable[[_MessageWillBePosted], _MessageWillBePosted]: ...
    @overload
    def __call__(
        self, name: _MessageWillBeUpdatedName, /, *, on_failure: _Policy = None
    ) -> Callable[[_MessageWillBeUpdated], _MessageWillBeUpdated]: ...
    @overload
    def __call__(
        self, name: _MessageHasBeenPostedName, /, *, on_failure: _Policy = None
    ) -> Callable[[_MessageHasBeenPosted], _MessageHasBeenPosted]: ...
    @overload
    def __call__(
        self, name: _MessageHasBeenUpdatedName, /, *, on_failure: _Policy = None
    ) -> Callable[[_MessageHasBeenUpdated], _MessageHasBeenUpdated]: ...
    @overload
    def __call__(
        self, name: _MessagesWillBeConsumedName, /, *, on_failure: _Policy = None
    ) -> Callable[[_MessagesWillBeConsumed], _MessagesWillBeConsumed]: ...
    @overload
    def __call__(
        self, name: _MessageHasBeenDeletedName, /, *, on_failure: _Policy = None
    ) -> Callable[[_MessageHasBeenDeleted], _MessageHasBeenDeleted]: ...
    @overload
    def __call__(
        self, name: _FileWillBeUploadedName, /, *, on_failure: _Policy = None
    ) -> Callable[[_FileWillBeUploaded], _FileWillBeUploaded]: ...
    @overload
    def __call__(
        self, name: _ReactionHasBeenAddedName, /, *, on_failure: _Policy = None
    ) -> Callable[[_ReactionHasBeenAdded], _ReactionHasBeenAdded]: ...
    @overload
    def __call__(
        self, name: _ReactionHasBeenRemovedName, /, *, on_failure: _Policy = None
    ) -> Callable[[_ReactionHasBeenRemoved], _ReactionHasBeenRemoved]: ...
    @overload
    def __call__(
        self, name: _NotificationWillBePushedName, /, *, on_failure: _Policy = None
    ) -> Callable[[_NotificationWillBePushed], _NotificationWillBePushed]: ...
    @overload
    def __call__(
        self, name: _EmailNotificationWillBeSentName, /, *, on_failure: _Policy = None
    ) -> Callable[[_EmailNotificationWillBeSent], _EmailNotificationWillBeSent]: ...
    @overload
    def __call__(
        self, name: _PreferencesHaveChangedName, /, *, on_failure: _Policy = None
    ) -> Callable[[_PreferencesHaveChanged], _PreferencesHaveChanged]: ...
    @overload
    def __call__(
        self, name: _UserHasBeenCreatedName, /, *, on_failure: _Policy = None
    ) -> Callable[[_UserHasBeenCreated], _UserHasBeenCreated]: ...
    @overload
    def __call__(
        self, name: _UserWillLogInName, /, *, on_failure: _Policy = None
    ) -> Callable[[_UserWillLogIn], _UserWillLogIn]: ...
    @overload
    def __call__(
        self, name: _UserHasLoggedInName, /, *, on_failure: _Policy = None
    ) -> Callable[[_UserHasLoggedIn], _UserHasLoggedIn]: ...
    @overload
    def __call__(
        self, name: _UserHasBeenDeactivatedName, /, *, on_failure: _Policy = None
    ) -> Callable[[_UserHasBeenDeactivated], _UserHasBeenDeactivated]: ...
    @overload
    def __call__(
        self, name: _OnSAMLLoginName, /, *, on_failure: _Policy = None
    ) -> Callable[[_OnSAMLLogin], _OnSAMLLogin]: ...
    @overload
    def __call__(
        self, name: _ChannelHasBeenCreatedName, /, *, on_failure: _Policy = None
    ) -> Callable[[_ChannelHasBeenCreated], _ChannelHasBeenCreated]: ...
    @overload
    def __call__(
        self, name: _UserHasJoinedChannelName, /, *, on_failure: _Policy = None
    ) -> Callable[[_UserHasJoinedChannel], _UserHasJoinedChannel]: ...
    @overload
    def __call__(
        self, name: _UserHasLeftChannelName, /, *, on_failure: _Policy = None
    ) -> Callable[[_UserHasLeftChannel], _UserHasLeftChannel]: ...
    @overload
    def __call__(
        self, name: _UserHasJoinedTeamName, /, *, on_failure: _Policy = None
    ) -> Callable[[_UserHasJoinedTeam], _UserHasJoinedTeam]: ...
    @overload
    def __call__(
        self, name: _UserHasLeftTeamName, /, *, on_failure: _Policy = None
    ) -> Callable[[_UserHasLeftTeam], _UserHasLeftTeam]: ...
    @overload
    def __call__(
        self, name: _ExecuteCommandName, /, *, on_failure: _Policy = None
    ) -> Callable[[_ExecuteCommand], _ExecuteCommand]: ...
    @overload
    def __call__(
        self, name: _OnWebSocketConnectName, /, *, on_failure: _Policy = None
    ) -> Callable[[_OnWebSocketConnect], _OnWebSocketConnect]: ...
    @overload
    def __call__(
        self, name: _OnWebSocketDisconnectName, /, *, on_failure: _Policy = None
    ) -> Callable[[_OnWebSocketDisconnect], _OnWebSocketDisconnect]: ...
    @overload
    def __call__(
        self, name: _WebSocketMessageHasBeenPostedName, /, *, on_failure: _Policy = None
    ) -> Callable[[_WebSocketMessageHasBeenPosted], _WebSocketMessageHasBeenPosted]: ...
    @overload
    def __call__(
        self, name: _OnPluginClusterEventName, /, *, on_failure: _Policy = None
    ) -> Callable[[_OnPluginClusterEvent], _OnPluginClusterEvent]: ...
    @overload
    def __call__(
        self, name: _OnSharedChannelsSyncMsgName, /, *, on_failure: _Policy = None
    ) -> Callable[[_OnSharedChannelsSyncMsg], _OnSharedChannelsSyncMsg]: ...
    @overload
    def __call__(
        self, name: _OnSharedChannelsPingName, /, *, on_failure: _Policy = None
    ) -> Callable[[_OnSharedChannelsPing], _OnSharedChannelsPing]: ...
    @overload
    def __call__(
        self, name: _OnSharedChannelsAttachmentSyncMsgName, /, *, on_failure: _Policy = None
    ) -> Callable[[_OnSharedChannelsAttachmentSyncMsg], _OnSharedChannelsAttachmentSyncMsg]: ...
    @overload
    def __call__(
        self, name: _OnSharedChannelsProfileImageSyncMsgName, /, *, on_failure: _Policy = None
    ) -> Callable[[_OnSharedChannelsProfileImageSyncMsg], _OnSharedChannelsProfileImageSyncMsg]: ...
    @overload
    def __call__(
        self, name: _GenerateSupportDataName, /, *, on_failure: _Policy = None
    ) -> Callable[[_GenerateSupportData], _GenerateSupportData]: ...
    @overload
    def __call__(
        self, name: _ServeHTTPName, /, *, on_failure: _Policy = None
    ) -> Callable[[_ServeHTTP], _ServeHTTP]: ...
    # A name that is known at run time only; a misspelt one is refused when the class is created.
    @overload
    def __call__(self, name: HookName | str, /, *, on_failure: _Policy = None) -> Callable[[_AnyF], _AnyF]: ...
