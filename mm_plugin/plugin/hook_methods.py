"""The hooks as methods: typed for authors and their editors, overridden as ``async def`` or ``def``.

Job:    give every hook of the table but ServeHTTP its signature and its meaning.
Layer:  plugin. No behaviour: a method defined here does not count as implemented.

Parameters are positional: an override may name them as it likes. ``None`` means "as if there were no hook". A message
that is returned unchanged counts as unchanged. What is answered when a method raises or takes too long is said by the
hook's failure policy, ``@hook(on_failure=...)``.
"""

from __future__ import annotations

from collections.abc import Awaitable, Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias, TypeVar

if TYPE_CHECKING:
    from mm_plugin.hooks.files import FileContent, NewContent
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
    from mm_plugin.types import JSONValue

__all__ = ("HookMethods", "MaybeAwaitable")

_T = TypeVar("_T")

#: What a handler's return type is measured against: both ``async def f() -> T`` and ``def f() -> T`` fit.
MaybeAwaitable: TypeAlias = Awaitable[_T] | _T


class HookMethods:
    """One method for each hook, for Plugin to inherit and for authors to override."""

    def on_activate(self, /) -> MaybeAwaitable[Reject | None]:
        """Start. Raise, or return Reject, to refuse; the text reaches the operators."""

    def on_deactivate(self, /) -> MaybeAwaitable[Reject | None]:
        """Stop: the last moment at which the API answers. Afterwards ``task_group`` is cancelled."""

    def on_configuration_change(self, /) -> MaybeAwaitable[Reject | None]:
        """The server's configuration changed; also called once before on_activate."""

    def on_install(self, context: PluginContext, event: OnInstallEvent, /) -> MaybeAwaitable[Reject | None]:
        """The plugin was installed; ``event.user_id`` did it."""

    def on_send_daily_telemetry(self, /) -> MaybeAwaitable[None]:
        """The server sends its daily telemetry."""

    def run_data_retention(self, now_time: int, batch_size: int, /) -> MaybeAwaitable[int | Reject | None]:
        """Delete what is older than the policy allows; return how much was deleted.

        ``now_time`` is in milliseconds since the epoch.
        """

    def on_cloud_limits_updated(self, limits: ProductLimits, /) -> MaybeAwaitable[None]:
        """The limits of a cloud subscription changed."""

    def configuration_will_be_saved(
        self, new_config: Configuration, /
    ) -> MaybeAwaitable[Mapping[str, JSONValue] | bytes | Reject | None]:
        """An administrator saves the configuration; return it changed, all of it, or refuse it."""

    def message_will_be_posted(
        self, context: PluginContext, post: Post, /
    ) -> MaybeAwaitable[Post | Reject | Dismiss | None]:
        """A post is about to be stored; return it changed, refuse it, or dismiss it silently."""

    def message_will_be_updated(
        self, context: PluginContext, new_post: Post, old_post: Post, /
    ) -> MaybeAwaitable[Post | Reject | None]:
        """A post is about to be edited; return it changed, or keep the old one by Reject."""

    def message_has_been_posted(self, context: PluginContext, post: Post, /) -> MaybeAwaitable[None]:
        """A post was stored; the plugin's own posts come here too."""

    def message_has_been_updated(
        self, context: PluginContext, new_post: Post, old_post: Post, /
    ) -> MaybeAwaitable[None]:
        """A post was edited."""

    def messages_will_be_consumed(self, posts: list[Post], /) -> MaybeAwaitable[Sequence[Post] | None]:
        """Posts are about to be shown; return them, changed. They cannot be removed here."""

    def message_has_been_deleted(self, context: PluginContext, post: Post, /) -> MaybeAwaitable[None]:
        """A post was deleted."""

    def file_will_be_uploaded(
        self, context: PluginContext, file_info: FileInfo, file_content: FileContent, /
    ) -> MaybeAwaitable[FileInfo | NewContent | ReplaceFile | Reject | None]:
        """A file is about to be stored; return another description, content or both, or refuse it.

        New content is bytes, or an iterator of bytes: an async one, or a plain one from a ``def`` handler.
        """

    def reaction_has_been_added(self, context: PluginContext, reaction: Reaction, /) -> MaybeAwaitable[None]:
        """A reaction was added."""

    def reaction_has_been_removed(self, context: PluginContext, reaction: Reaction, /) -> MaybeAwaitable[None]:
        """A reaction was removed."""

    def notification_will_be_pushed(
        self, push_notification: PushNotification, user_id: str, /
    ) -> MaybeAwaitable[PushNotification | Reject | None]:
        """A push notification is about to be sent to a user; return it changed, or stop it."""

    def email_notification_will_be_sent(
        self, email_notification: EmailNotification, /
    ) -> MaybeAwaitable[EmailNotificationContent | Reject | None]:
        """A mail is about to be sent; return ``email_notification.content()`` changed, or stop it."""

    def preferences_have_changed(
        self, context: PluginContext, preferences: list[Preference], /
    ) -> MaybeAwaitable[None]:
        """Preferences of a user changed."""

    def user_has_been_created(self, context: PluginContext, user: User, /) -> MaybeAwaitable[None]:
        """A user was created."""

    def user_will_log_in(self, context: PluginContext, user: User, /) -> MaybeAwaitable[Reject | None]:
        """A user is about to log in; Reject keeps them out."""

    def user_has_logged_in(self, context: PluginContext, user: User, /) -> MaybeAwaitable[None]:
        """A user logged in."""

    def user_has_been_deactivated(self, context: PluginContext, user: User, /) -> MaybeAwaitable[None]:
        """A user was deactivated."""

    def on_saml_login(
        self, context: PluginContext, user: User, assertion: SAMLAssertion, /
    ) -> MaybeAwaitable[Reject | None]:
        """A user logs in by SAML; Reject keeps them out."""

    def channel_has_been_created(self, context: PluginContext, channel: Channel, /) -> MaybeAwaitable[None]:
        """A channel was created."""

    def user_has_joined_channel(
        self, context: PluginContext, channel_member: ChannelMember, actor: User | None, /
    ) -> MaybeAwaitable[None]:
        """A user joined a channel; ``actor`` is who added them, None where they did it themselves."""

    def user_has_left_channel(
        self, context: PluginContext, channel_member: ChannelMember, actor: User | None, /
    ) -> MaybeAwaitable[None]:
        """A user left a channel; ``actor`` is who removed them, None where they did it themselves."""

    def user_has_joined_team(
        self, context: PluginContext, team_member: TeamMember, actor: User | None, /
    ) -> MaybeAwaitable[None]:
        """A user joined a team; ``actor`` is who added them, None where they did it themselves."""

    def user_has_left_team(
        self, context: PluginContext, team_member: TeamMember, actor: User | None, /
    ) -> MaybeAwaitable[None]:
        """A user left a team; ``actor`` is who removed them, None where they did it themselves."""

    def execute_command(
        self, context: PluginContext, args: CommandArgs, /
    ) -> MaybeAwaitable[CommandResponse | Reject | None]:
        """A slash command of the plugin was given; the response is what its user sees."""

    def on_websocket_connect(self, web_conn_id: str, user_id: str, /) -> MaybeAwaitable[None]:
        """A client's WebSocket connected."""

    def on_websocket_disconnect(self, web_conn_id: str, user_id: str, /) -> MaybeAwaitable[None]:
        """A client's WebSocket disconnected."""

    def websocket_message_has_been_posted(
        self, web_conn_id: str, user_id: str, request: WebSocketRequest, /
    ) -> MaybeAwaitable[None]:
        """A client sent a message over its WebSocket; every plugin hears all of them, so look at the action."""

    def on_plugin_cluster_event(self, context: PluginContext, event: PluginClusterEvent, /) -> MaybeAwaitable[None]:
        """Another node's instance of the plugin sent an event."""

    def on_shared_channels_sync_msg(
        self, sync_msg: SyncMessage, remote_cluster: RemoteCluster, /
    ) -> MaybeAwaitable[SyncResponse | Reject | None]:
        """A shared channel has something to synchronise with a remote."""

    def on_shared_channels_ping(self, remote_cluster: RemoteCluster, /) -> MaybeAwaitable[bool | None]:
        """The server asks whether a remote is reachable; None means yes."""

    def on_shared_channels_attachment_sync_msg(
        self, file_info: FileInfo, post: Post, remote_cluster: RemoteCluster, /
    ) -> MaybeAwaitable[Reject | None]:
        """An attachment of a shared channel is to be sent to a remote."""

    def on_shared_channels_profile_image_sync_msg(
        self, user: User, remote_cluster: RemoteCluster, /
    ) -> MaybeAwaitable[Reject | None]:
        """A profile image is to be sent to a remote."""

    def generate_support_data(self, context: PluginContext, /) -> MaybeAwaitable[Sequence[FileData] | Reject | None]:
        """An administrator downloads a support packet; return the files to add to it."""
