"""Checked by mypy and pyright, never run: what ``@hook`` takes under another name, by each way to name a hook.

A line that must be refused carries a ``type: ignore``, which strict checkers refuse in turn where it is not needed;
every other line must pass.
"""

# pyright: reportUnnecessaryTypeIgnoreComment=true
from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any, assert_type

from mm_plugin import (
    Dismiss,
    FailurePolicy,
    FileContent,
    FileInfo,
    HookName,
    Plugin,
    PluginContext,
    Post,
    Reject,
    Request,
    Response,
    User,
    hook,
)


class Bound(Plugin):
    """Both forms pass, under any name."""

    @hook(HookName.MessageWillBePosted)
    async def screen(self, context: PluginContext, post: Post) -> Post | Reject | Dismiss | None:
        raise NotImplementedError

    @hook("MessageWillBeUpdated", on_failure=FailurePolicy.REJECT)
    def screen_edit(self, context: PluginContext, new: Post, old: Post) -> Post:
        return new

    @hook("message_has_been_posted")
    def seen(self, context: PluginContext, post: Post) -> None: ...

    @hook(HookName.FileWillBeUploaded)
    async def scan(self, context: PluginContext, info: FileInfo, content: FileContent) -> AsyncIterator[bytes]:
        yield await content.read()

    @hook("ServeHTTP")
    async def serve(self, request: Request, response: Response) -> None: ...

    @hook(HookName.UserHasJoinedChannel)
    @hook(HookName.UserHasLeftChannel)
    def moved(self, *arguments: object) -> None: ...

    @hook(HookName.UserWillLogIn)
    async def optional(self, context: PluginContext, user: User, reason: str = "no") -> Reject:
        return Reject(reason)

    async def uses(self, context: PluginContext, post: Post) -> None:
        assert_type(await self.screen(context, post), Post | Reject | Dismiss | None)
        assert_type(self.screen_edit(context, post, post), Post)


class Unbound(Plugin):
    """Methods without self, decorated in either order."""

    @hook("UserWillLogIn")
    @staticmethod
    def inside(context: PluginContext, user: User) -> Reject | None:
        return None

    @staticmethod
    @hook("UserHasLoggedIn")
    def outside(context: PluginContext, user: User) -> None: ...

    @hook("UserHasBeenCreated")
    @classmethod
    def of_class(cls, context: PluginContext, user: User) -> None: ...


class BlockingFiles(Plugin):
    """A ``def`` generator."""

    @hook("FileWillBeUploaded")
    def scan(self, context: PluginContext, info: FileInfo, content: FileContent) -> Iterator[bytes]:
        yield from content


class Unannotated(Plugin):
    """The checkers miss the annotations, as they do in every function; the decorator takes it."""

    @hook(HookName.UserWillLogIn)
    def check(self, context, user):  # type: ignore[no-untyped-def]
        return Reject("no")


class Wrong(Plugin):
    """Wrong parameters and wrong results."""

    @hook(HookName.MessageWillBePosted)  # type: ignore[type-var]
    async def too_few(self, post: Post) -> None: ...

    @hook("UserWillLogIn")  # type: ignore[type-var]
    def too_many(self, context: PluginContext, user: User, extra: int) -> None: ...

    @hook("user_has_logged_in")  # type: ignore[type-var]
    def wrong_type(self, context: PluginContext, user: Post) -> None: ...

    @hook(HookName.UserHasBeenCreated)  # type: ignore[type-var]
    def by_keyword(self, context: PluginContext, *, user: User) -> None: ...

    @hook(HookName.MessageWillBeUpdated, on_failure=FailurePolicy.REJECT)  # type: ignore[type-var]
    async def wrong_result(self, context: PluginContext, new_post: Post, old_post: Post) -> Dismiss:
        raise NotImplementedError

    @hook(HookName.OnSAMLLogin)  # type: ignore[type-var]
    def wrong_blocking_result(self, context: Any, user: Any, assertion: Any) -> bool:
        raise NotImplementedError

    @hook("MessageHasBeenPosted")  # type: ignore[type-var]
    async def result_of_none(self, context: PluginContext, post: Post) -> Post:
        return post

    @hook("OnActivate")  # type: ignore[type-var]
    @staticmethod
    def unbound(context: PluginContext, user: User) -> None: ...


def named_later(name: str, hook_name: HookName) -> None:
    """A name that is known at run time only takes any function."""
    hook(name)(wrong)
    hook(hook_name)(wrong)
    hook()(wrong)


def wrong(plugin: Plugin, a: complex, b: complex, c: complex, d: complex) -> complex:
    """Fit no hook."""
    raise NotImplementedError


# Every row by each of its names: Plugin's own method passes, a function that fits no hook does not.
hook(HookName.OnActivate)(Plugin.on_activate)
hook(HookName.OnActivate)(wrong)  # type: ignore[type-var]
hook("OnActivate")(wrong)  # type: ignore[type-var]
hook("on_activate")(wrong)  # type: ignore[type-var]
hook(HookName.OnDeactivate)(Plugin.on_deactivate)
hook(HookName.OnDeactivate)(wrong)  # type: ignore[type-var]
hook("OnDeactivate")(wrong)  # type: ignore[type-var]
hook("on_deactivate")(wrong)  # type: ignore[type-var]
hook(HookName.OnConfigurationChange)(Plugin.on_configuration_change)
hook(HookName.OnConfigurationChange)(wrong)  # type: ignore[type-var]
hook("OnConfigurationChange")(wrong)  # type: ignore[type-var]
hook("on_configuration_change")(wrong)  # type: ignore[type-var]
hook(HookName.OnInstall)(Plugin.on_install)
hook(HookName.OnInstall)(wrong)  # type: ignore[type-var]
hook("OnInstall")(wrong)  # type: ignore[type-var]
hook("on_install")(wrong)  # type: ignore[type-var]
hook(HookName.OnSendDailyTelemetry)(Plugin.on_send_daily_telemetry)
hook(HookName.OnSendDailyTelemetry)(wrong)  # type: ignore[type-var]
hook("OnSendDailyTelemetry")(wrong)  # type: ignore[type-var]
hook("on_send_daily_telemetry")(wrong)  # type: ignore[type-var]
hook(HookName.RunDataRetention)(Plugin.run_data_retention)
hook(HookName.RunDataRetention)(wrong)  # type: ignore[type-var]
hook("RunDataRetention")(wrong)  # type: ignore[type-var]
hook("run_data_retention")(wrong)  # type: ignore[type-var]
hook(HookName.OnCloudLimitsUpdated)(Plugin.on_cloud_limits_updated)
hook(HookName.OnCloudLimitsUpdated)(wrong)  # type: ignore[type-var]
hook("OnCloudLimitsUpdated")(wrong)  # type: ignore[type-var]
hook("on_cloud_limits_updated")(wrong)  # type: ignore[type-var]
hook(HookName.ConfigurationWillBeSaved)(Plugin.configuration_will_be_saved)
hook(HookName.ConfigurationWillBeSaved)(wrong)  # type: ignore[type-var]
hook("ConfigurationWillBeSaved")(wrong)  # type: ignore[type-var]
hook("configuration_will_be_saved")(wrong)  # type: ignore[type-var]
hook(HookName.MessageWillBePosted)(Plugin.message_will_be_posted)
hook(HookName.MessageWillBePosted)(wrong)  # type: ignore[type-var]
hook("MessageWillBePosted")(wrong)  # type: ignore[type-var]
hook("message_will_be_posted")(wrong)  # type: ignore[type-var]
hook(HookName.MessageWillBeUpdated)(Plugin.message_will_be_updated)
hook(HookName.MessageWillBeUpdated)(wrong)  # type: ignore[type-var]
hook("MessageWillBeUpdated")(wrong)  # type: ignore[type-var]
hook("message_will_be_updated")(wrong)  # type: ignore[type-var]
hook(HookName.MessageHasBeenPosted)(Plugin.message_has_been_posted)
hook(HookName.MessageHasBeenPosted)(wrong)  # type: ignore[type-var]
hook("MessageHasBeenPosted")(wrong)  # type: ignore[type-var]
hook("message_has_been_posted")(wrong)  # type: ignore[type-var]
hook(HookName.MessageHasBeenUpdated)(Plugin.message_has_been_updated)
hook(HookName.MessageHasBeenUpdated)(wrong)  # type: ignore[type-var]
hook("MessageHasBeenUpdated")(wrong)  # type: ignore[type-var]
hook("message_has_been_updated")(wrong)  # type: ignore[type-var]
hook(HookName.MessagesWillBeConsumed)(Plugin.messages_will_be_consumed)
hook(HookName.MessagesWillBeConsumed)(wrong)  # type: ignore[type-var]
hook("MessagesWillBeConsumed")(wrong)  # type: ignore[type-var]
hook("messages_will_be_consumed")(wrong)  # type: ignore[type-var]
hook(HookName.MessageHasBeenDeleted)(Plugin.message_has_been_deleted)
hook(HookName.MessageHasBeenDeleted)(wrong)  # type: ignore[type-var]
hook("MessageHasBeenDeleted")(wrong)  # type: ignore[type-var]
hook("message_has_been_deleted")(wrong)  # type: ignore[type-var]
hook(HookName.FileWillBeUploaded)(Plugin.file_will_be_uploaded)
hook(HookName.FileWillBeUploaded)(wrong)  # type: ignore[type-var]
hook("FileWillBeUploaded")(wrong)  # type: ignore[type-var]
hook("file_will_be_uploaded")(wrong)  # type: ignore[type-var]
hook(HookName.ReactionHasBeenAdded)(Plugin.reaction_has_been_added)
hook(HookName.ReactionHasBeenAdded)(wrong)  # type: ignore[type-var]
hook("ReactionHasBeenAdded")(wrong)  # type: ignore[type-var]
hook("reaction_has_been_added")(wrong)  # type: ignore[type-var]
hook(HookName.ReactionHasBeenRemoved)(Plugin.reaction_has_been_removed)
hook(HookName.ReactionHasBeenRemoved)(wrong)  # type: ignore[type-var]
hook("ReactionHasBeenRemoved")(wrong)  # type: ignore[type-var]
hook("reaction_has_been_removed")(wrong)  # type: ignore[type-var]
hook(HookName.NotificationWillBePushed)(Plugin.notification_will_be_pushed)
hook(HookName.NotificationWillBePushed)(wrong)  # type: ignore[type-var]
hook("NotificationWillBePushed")(wrong)  # type: ignore[type-var]
hook("notification_will_be_pushed")(wrong)  # type: ignore[type-var]
hook(HookName.EmailNotificationWillBeSent)(Plugin.email_notification_will_be_sent)
hook(HookName.EmailNotificationWillBeSent)(wrong)  # type: ignore[type-var]
hook("EmailNotificationWillBeSent")(wrong)  # type: ignore[type-var]
hook("email_notification_will_be_sent")(wrong)  # type: ignore[type-var]
hook(HookName.PreferencesHaveChanged)(Plugin.preferences_have_changed)
hook(HookName.PreferencesHaveChanged)(wrong)  # type: ignore[type-var]
hook("PreferencesHaveChanged")(wrong)  # type: ignore[type-var]
hook("preferences_have_changed")(wrong)  # type: ignore[type-var]
hook(HookName.UserHasBeenCreated)(Plugin.user_has_been_created)
hook(HookName.UserHasBeenCreated)(wrong)  # type: ignore[type-var]
hook("UserHasBeenCreated")(wrong)  # type: ignore[type-var]
hook("user_has_been_created")(wrong)  # type: ignore[type-var]
hook(HookName.UserWillLogIn)(Plugin.user_will_log_in)
hook(HookName.UserWillLogIn)(wrong)  # type: ignore[type-var]
hook("UserWillLogIn")(wrong)  # type: ignore[type-var]
hook("user_will_log_in")(wrong)  # type: ignore[type-var]
hook(HookName.UserHasLoggedIn)(Plugin.user_has_logged_in)
hook(HookName.UserHasLoggedIn)(wrong)  # type: ignore[type-var]
hook("UserHasLoggedIn")(wrong)  # type: ignore[type-var]
hook("user_has_logged_in")(wrong)  # type: ignore[type-var]
hook(HookName.UserHasBeenDeactivated)(Plugin.user_has_been_deactivated)
hook(HookName.UserHasBeenDeactivated)(wrong)  # type: ignore[type-var]
hook("UserHasBeenDeactivated")(wrong)  # type: ignore[type-var]
hook("user_has_been_deactivated")(wrong)  # type: ignore[type-var]
hook(HookName.OnSAMLLogin)(Plugin.on_saml_login)
hook(HookName.OnSAMLLogin)(wrong)  # type: ignore[type-var]
hook("OnSAMLLogin")(wrong)  # type: ignore[type-var]
hook("on_saml_login")(wrong)  # type: ignore[type-var]
hook(HookName.ChannelHasBeenCreated)(Plugin.channel_has_been_created)
hook(HookName.ChannelHasBeenCreated)(wrong)  # type: ignore[type-var]
hook("ChannelHasBeenCreated")(wrong)  # type: ignore[type-var]
hook("channel_has_been_created")(wrong)  # type: ignore[type-var]
hook(HookName.UserHasJoinedChannel)(Plugin.user_has_joined_channel)
hook(HookName.UserHasJoinedChannel)(wrong)  # type: ignore[type-var]
hook("UserHasJoinedChannel")(wrong)  # type: ignore[type-var]
hook("user_has_joined_channel")(wrong)  # type: ignore[type-var]
hook(HookName.UserHasLeftChannel)(Plugin.user_has_left_channel)
hook(HookName.UserHasLeftChannel)(wrong)  # type: ignore[type-var]
hook("UserHasLeftChannel")(wrong)  # type: ignore[type-var]
hook("user_has_left_channel")(wrong)  # type: ignore[type-var]
hook(HookName.UserHasJoinedTeam)(Plugin.user_has_joined_team)
hook(HookName.UserHasJoinedTeam)(wrong)  # type: ignore[type-var]
hook("UserHasJoinedTeam")(wrong)  # type: ignore[type-var]
hook("user_has_joined_team")(wrong)  # type: ignore[type-var]
hook(HookName.UserHasLeftTeam)(Plugin.user_has_left_team)
hook(HookName.UserHasLeftTeam)(wrong)  # type: ignore[type-var]
hook("UserHasLeftTeam")(wrong)  # type: ignore[type-var]
hook("user_has_left_team")(wrong)  # type: ignore[type-var]
hook(HookName.ExecuteCommand)(Plugin.execute_command)
hook(HookName.ExecuteCommand)(wrong)  # type: ignore[type-var]
hook("ExecuteCommand")(wrong)  # type: ignore[type-var]
hook("execute_command")(wrong)  # type: ignore[type-var]
hook(HookName.OnWebSocketConnect)(Plugin.on_websocket_connect)
hook(HookName.OnWebSocketConnect)(wrong)  # type: ignore[type-var]
hook("OnWebSocketConnect")(wrong)  # type: ignore[type-var]
hook("on_websocket_connect")(wrong)  # type: ignore[type-var]
hook(HookName.OnWebSocketDisconnect)(Plugin.on_websocket_disconnect)
hook(HookName.OnWebSocketDisconnect)(wrong)  # type: ignore[type-var]
hook("OnWebSocketDisconnect")(wrong)  # type: ignore[type-var]
hook("on_websocket_disconnect")(wrong)  # type: ignore[type-var]
hook(HookName.WebSocketMessageHasBeenPosted)(Plugin.websocket_message_has_been_posted)
hook(HookName.WebSocketMessageHasBeenPosted)(wrong)  # type: ignore[type-var]
hook("WebSocketMessageHasBeenPosted")(wrong)  # type: ignore[type-var]
hook("websocket_message_has_been_posted")(wrong)  # type: ignore[type-var]
hook(HookName.OnPluginClusterEvent)(Plugin.on_plugin_cluster_event)
hook(HookName.OnPluginClusterEvent)(wrong)  # type: ignore[type-var]
hook("OnPluginClusterEvent")(wrong)  # type: ignore[type-var]
hook("on_plugin_cluster_event")(wrong)  # type: ignore[type-var]
hook(HookName.OnSharedChannelsSyncMsg)(Plugin.on_shared_channels_sync_msg)
hook(HookName.OnSharedChannelsSyncMsg)(wrong)  # type: ignore[type-var]
hook("OnSharedChannelsSyncMsg")(wrong)  # type: ignore[type-var]
hook("on_shared_channels_sync_msg")(wrong)  # type: ignore[type-var]
hook(HookName.OnSharedChannelsPing)(Plugin.on_shared_channels_ping)
hook(HookName.OnSharedChannelsPing)(wrong)  # type: ignore[type-var]
hook("OnSharedChannelsPing")(wrong)  # type: ignore[type-var]
hook("on_shared_channels_ping")(wrong)  # type: ignore[type-var]
hook(HookName.OnSharedChannelsAttachmentSyncMsg)(Plugin.on_shared_channels_attachment_sync_msg)
hook(HookName.OnSharedChannelsAttachmentSyncMsg)(wrong)  # type: ignore[type-var]
hook("OnSharedChannelsAttachmentSyncMsg")(wrong)  # type: ignore[type-var]
hook("on_shared_channels_attachment_sync_msg")(wrong)  # type: ignore[type-var]
hook(HookName.OnSharedChannelsProfileImageSyncMsg)(Plugin.on_shared_channels_profile_image_sync_msg)
hook(HookName.OnSharedChannelsProfileImageSyncMsg)(wrong)  # type: ignore[type-var]
hook("OnSharedChannelsProfileImageSyncMsg")(wrong)  # type: ignore[type-var]
hook("on_shared_channels_profile_image_sync_msg")(wrong)  # type: ignore[type-var]
hook(HookName.GenerateSupportData)(Plugin.generate_support_data)
hook(HookName.GenerateSupportData)(wrong)  # type: ignore[type-var]
hook("GenerateSupportData")(wrong)  # type: ignore[type-var]
hook("generate_support_data")(wrong)  # type: ignore[type-var]
hook(HookName.ServeHTTP)(Plugin.serve_http)
hook(HookName.ServeHTTP)(wrong)  # type: ignore[type-var]
hook("ServeHTTP")(wrong)  # type: ignore[type-var]
hook("serve_http")(wrong)  # type: ignore[type-var]
