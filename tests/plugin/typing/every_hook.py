"""Checked by mypy and pyright, never run: every hook of Plugin in both forms, and with too few or too many parameters.

A line that must be refused carries a ``type: ignore``, which strict checkers refuse in turn where it is not needed;
every other line must pass.
"""

# pyright: reportUnnecessaryTypeIgnoreComment=true
from __future__ import annotations

from collections.abc import Mapping, Sequence

from mm_plugin import (
    Channel,
    ChannelMember,
    CommandArgs,
    CommandResponse,
    Configuration,
    Dismiss,
    EmailNotification,
    EmailNotificationContent,
    FileContent,
    FileData,
    FileInfo,
    OnInstallEvent,
    Plugin,
    PluginClusterEvent,
    PluginContext,
    Post,
    Preference,
    ProductLimits,
    PushNotification,
    Reaction,
    Reject,
    RemoteCluster,
    ReplaceFile,
    Request,
    Response,
    SAMLAssertion,
    SyncMessage,
    SyncResponse,
    TeamMember,
    User,
    WebSocketRequest,
)
from mm_plugin.hooks.files import NewContent
from mm_plugin.types import JSONValue


class EveryAsync(Plugin):
    """Every hook as ``async def``, with the very types of Plugin."""

    async def on_activate(self) -> Reject | None:
        raise NotImplementedError

    async def on_deactivate(self) -> Reject | None:
        raise NotImplementedError

    async def on_configuration_change(self) -> Reject | None:
        raise NotImplementedError

    async def on_install(self, context: PluginContext, event: OnInstallEvent) -> Reject | None:
        raise NotImplementedError

    async def on_send_daily_telemetry(self) -> None: ...

    async def run_data_retention(self, now_time: int, batch_size: int) -> int | Reject | None:
        raise NotImplementedError

    async def on_cloud_limits_updated(self, limits: ProductLimits) -> None: ...

    async def configuration_will_be_saved(
        self, new_config: Configuration
    ) -> Mapping[str, JSONValue] | bytes | Reject | None:
        raise NotImplementedError

    async def message_will_be_posted(self, context: PluginContext, post: Post) -> Post | Reject | Dismiss | None:
        raise NotImplementedError

    async def message_will_be_updated(
        self, context: PluginContext, new_post: Post, old_post: Post
    ) -> Post | Reject | None:
        raise NotImplementedError

    async def message_has_been_posted(self, context: PluginContext, post: Post) -> None: ...

    async def message_has_been_updated(self, context: PluginContext, new_post: Post, old_post: Post) -> None: ...

    async def messages_will_be_consumed(self, posts: list[Post]) -> Sequence[Post] | None:
        raise NotImplementedError

    async def message_has_been_deleted(self, context: PluginContext, post: Post) -> None: ...

    async def file_will_be_uploaded(
        self, context: PluginContext, file_info: FileInfo, file_content: FileContent
    ) -> FileInfo | NewContent | ReplaceFile | Reject | None:
        raise NotImplementedError

    async def reaction_has_been_added(self, context: PluginContext, reaction: Reaction) -> None: ...

    async def reaction_has_been_removed(self, context: PluginContext, reaction: Reaction) -> None: ...

    async def notification_will_be_pushed(
        self, push_notification: PushNotification, user_id: str
    ) -> PushNotification | Reject | None:
        raise NotImplementedError

    async def email_notification_will_be_sent(
        self, email_notification: EmailNotification
    ) -> EmailNotificationContent | Reject | None:
        raise NotImplementedError

    async def preferences_have_changed(self, context: PluginContext, preferences: list[Preference]) -> None: ...

    async def user_has_been_created(self, context: PluginContext, user: User) -> None: ...

    async def user_will_log_in(self, context: PluginContext, user: User) -> Reject | None:
        raise NotImplementedError

    async def user_has_logged_in(self, context: PluginContext, user: User) -> None: ...

    async def user_has_been_deactivated(self, context: PluginContext, user: User) -> None: ...

    async def on_saml_login(self, context: PluginContext, user: User, assertion: SAMLAssertion) -> Reject | None:
        raise NotImplementedError

    async def channel_has_been_created(self, context: PluginContext, channel: Channel) -> None: ...

    async def user_has_joined_channel(
        self, context: PluginContext, channel_member: ChannelMember, actor: User | None
    ) -> None: ...

    async def user_has_left_channel(
        self, context: PluginContext, channel_member: ChannelMember, actor: User | None
    ) -> None: ...

    async def user_has_joined_team(
        self, context: PluginContext, team_member: TeamMember, actor: User | None
    ) -> None: ...

    async def user_has_left_team(self, context: PluginContext, team_member: TeamMember, actor: User | None) -> None: ...

    async def execute_command(self, context: PluginContext, args: CommandArgs) -> CommandResponse | Reject | None:
        raise NotImplementedError

    async def on_websocket_connect(self, web_conn_id: str, user_id: str) -> None: ...

    async def on_websocket_disconnect(self, web_conn_id: str, user_id: str) -> None: ...

    async def websocket_message_has_been_posted(
        self, web_conn_id: str, user_id: str, request: WebSocketRequest
    ) -> None: ...

    async def on_plugin_cluster_event(self, context: PluginContext, event: PluginClusterEvent) -> None: ...

    async def on_shared_channels_sync_msg(
        self, sync_msg: SyncMessage, remote_cluster: RemoteCluster
    ) -> SyncResponse | Reject | None:
        raise NotImplementedError

    async def on_shared_channels_ping(self, remote_cluster: RemoteCluster) -> bool | None:
        raise NotImplementedError

    async def on_shared_channels_attachment_sync_msg(
        self, file_info: FileInfo, post: Post, remote_cluster: RemoteCluster
    ) -> Reject | None:
        raise NotImplementedError

    async def on_shared_channels_profile_image_sync_msg(
        self, user: User, remote_cluster: RemoteCluster
    ) -> Reject | None:
        raise NotImplementedError

    async def generate_support_data(self, context: PluginContext) -> Sequence[FileData] | Reject | None:
        raise NotImplementedError

    async def serve_http(self, request: Request, response: Response) -> None: ...


class EveryBlocking(Plugin):
    """Every hook as ``def``."""

    def on_activate(self) -> Reject | None:
        raise NotImplementedError

    def on_deactivate(self) -> Reject | None:
        raise NotImplementedError

    def on_configuration_change(self) -> Reject | None:
        raise NotImplementedError

    def on_install(self, context: PluginContext, event: OnInstallEvent) -> Reject | None:
        raise NotImplementedError

    def on_send_daily_telemetry(self) -> None: ...

    def run_data_retention(self, now_time: int, batch_size: int) -> int | Reject | None:
        raise NotImplementedError

    def on_cloud_limits_updated(self, limits: ProductLimits) -> None: ...

    def configuration_will_be_saved(self, new_config: Configuration) -> Mapping[str, JSONValue] | bytes | Reject | None:
        raise NotImplementedError

    def message_will_be_posted(self, context: PluginContext, post: Post) -> Post | Reject | Dismiss | None:
        raise NotImplementedError

    def message_will_be_updated(self, context: PluginContext, new_post: Post, old_post: Post) -> Post | Reject | None:
        raise NotImplementedError

    def message_has_been_posted(self, context: PluginContext, post: Post) -> None: ...

    def message_has_been_updated(self, context: PluginContext, new_post: Post, old_post: Post) -> None: ...

    def messages_will_be_consumed(self, posts: list[Post]) -> Sequence[Post] | None:
        raise NotImplementedError

    def message_has_been_deleted(self, context: PluginContext, post: Post) -> None: ...

    def file_will_be_uploaded(
        self, context: PluginContext, file_info: FileInfo, file_content: FileContent
    ) -> FileInfo | NewContent | ReplaceFile | Reject | None:
        raise NotImplementedError

    def reaction_has_been_added(self, context: PluginContext, reaction: Reaction) -> None: ...

    def reaction_has_been_removed(self, context: PluginContext, reaction: Reaction) -> None: ...

    def notification_will_be_pushed(
        self, push_notification: PushNotification, user_id: str
    ) -> PushNotification | Reject | None:
        raise NotImplementedError

    def email_notification_will_be_sent(
        self, email_notification: EmailNotification
    ) -> EmailNotificationContent | Reject | None:
        raise NotImplementedError

    def preferences_have_changed(self, context: PluginContext, preferences: list[Preference]) -> None: ...

    def user_has_been_created(self, context: PluginContext, user: User) -> None: ...

    def user_will_log_in(self, context: PluginContext, user: User) -> Reject | None:
        raise NotImplementedError

    def user_has_logged_in(self, context: PluginContext, user: User) -> None: ...

    def user_has_been_deactivated(self, context: PluginContext, user: User) -> None: ...

    def on_saml_login(self, context: PluginContext, user: User, assertion: SAMLAssertion) -> Reject | None:
        raise NotImplementedError

    def channel_has_been_created(self, context: PluginContext, channel: Channel) -> None: ...

    def user_has_joined_channel(
        self, context: PluginContext, channel_member: ChannelMember, actor: User | None
    ) -> None: ...

    def user_has_left_channel(
        self, context: PluginContext, channel_member: ChannelMember, actor: User | None
    ) -> None: ...

    def user_has_joined_team(self, context: PluginContext, team_member: TeamMember, actor: User | None) -> None: ...

    def user_has_left_team(self, context: PluginContext, team_member: TeamMember, actor: User | None) -> None: ...

    def execute_command(self, context: PluginContext, args: CommandArgs) -> CommandResponse | Reject | None:
        raise NotImplementedError

    def on_websocket_connect(self, web_conn_id: str, user_id: str) -> None: ...

    def on_websocket_disconnect(self, web_conn_id: str, user_id: str) -> None: ...

    def websocket_message_has_been_posted(self, web_conn_id: str, user_id: str, request: WebSocketRequest) -> None: ...

    def on_plugin_cluster_event(self, context: PluginContext, event: PluginClusterEvent) -> None: ...

    def on_shared_channels_sync_msg(
        self, sync_msg: SyncMessage, remote_cluster: RemoteCluster
    ) -> SyncResponse | Reject | None:
        raise NotImplementedError

    def on_shared_channels_ping(self, remote_cluster: RemoteCluster) -> bool | None:
        raise NotImplementedError

    def on_shared_channels_attachment_sync_msg(
        self, file_info: FileInfo, post: Post, remote_cluster: RemoteCluster
    ) -> Reject | None:
        raise NotImplementedError

    def on_shared_channels_profile_image_sync_msg(self, user: User, remote_cluster: RemoteCluster) -> Reject | None:
        raise NotImplementedError

    def generate_support_data(self, context: PluginContext) -> Sequence[FileData] | Reject | None:
        raise NotImplementedError


class WrongCount(Plugin):
    """Too few parameters, or one too many."""

    def on_activate(self, more: int) -> None: ...  # type: ignore[override]

    async def on_deactivate(self, more: int) -> None: ...  # type: ignore[override]

    def on_configuration_change(self, more: int) -> None: ...  # type: ignore[override]

    async def on_install(self) -> None: ...  # type: ignore[override]

    def on_send_daily_telemetry(self, more: int) -> None: ...  # type: ignore[override]

    async def run_data_retention(self) -> None: ...  # type: ignore[override]

    def on_cloud_limits_updated(self) -> None: ...  # type: ignore[override]

    async def configuration_will_be_saved(self) -> None: ...  # type: ignore[override]

    def message_will_be_posted(self) -> None: ...  # type: ignore[override]

    async def message_will_be_updated(self) -> None: ...  # type: ignore[override]

    def message_has_been_posted(self) -> None: ...  # type: ignore[override]

    async def message_has_been_updated(self) -> None: ...  # type: ignore[override]

    def messages_will_be_consumed(self) -> None: ...  # type: ignore[override]

    async def message_has_been_deleted(self) -> None: ...  # type: ignore[override]

    def file_will_be_uploaded(self) -> None: ...  # type: ignore[override]

    async def reaction_has_been_added(self) -> None: ...  # type: ignore[override]

    def reaction_has_been_removed(self) -> None: ...  # type: ignore[override]

    async def notification_will_be_pushed(self) -> None: ...  # type: ignore[override]

    def email_notification_will_be_sent(self) -> None: ...  # type: ignore[override]

    async def preferences_have_changed(self) -> None: ...  # type: ignore[override]

    def user_has_been_created(self) -> None: ...  # type: ignore[override]

    async def user_will_log_in(self) -> None: ...  # type: ignore[override]

    def user_has_logged_in(self) -> None: ...  # type: ignore[override]

    async def user_has_been_deactivated(self) -> None: ...  # type: ignore[override]

    def on_saml_login(self) -> None: ...  # type: ignore[override]

    async def channel_has_been_created(self) -> None: ...  # type: ignore[override]

    def user_has_joined_channel(self) -> None: ...  # type: ignore[override]

    async def user_has_left_channel(self) -> None: ...  # type: ignore[override]

    def user_has_joined_team(self) -> None: ...  # type: ignore[override]

    async def user_has_left_team(self) -> None: ...  # type: ignore[override]

    def execute_command(self) -> None: ...  # type: ignore[override]

    async def on_websocket_connect(self) -> None: ...  # type: ignore[override]

    def on_websocket_disconnect(self) -> None: ...  # type: ignore[override]

    async def websocket_message_has_been_posted(self) -> None: ...  # type: ignore[override]

    def on_plugin_cluster_event(self) -> None: ...  # type: ignore[override]

    async def on_shared_channels_sync_msg(self) -> None: ...  # type: ignore[override]

    def on_shared_channels_ping(self) -> None: ...  # type: ignore[override]

    async def on_shared_channels_attachment_sync_msg(self) -> None: ...  # type: ignore[override]

    def on_shared_channels_profile_image_sync_msg(self) -> None: ...  # type: ignore[override]

    async def generate_support_data(self) -> None: ...  # type: ignore[override]
