"""Mattermost server plugins in Python, on AnyIO: the front door.

Every name is imported when it is first asked for (PEP 562), so that a plugin process loads what it uses and no more.
No room inside the package imports this module.
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mm_plugin.api.client import PluginAPIClient as PluginAPIClient
    from mm_plugin.api.cluster_job import ClusterJob as ClusterJob
    from mm_plugin.api.cluster_lock import ClusterLock as ClusterLock
    from mm_plugin.api.kv_store import KVStore as KVStore
    from mm_plugin.api.paging import Paged as Paged
    from mm_plugin.exceptions import (
        AlreadyExistsError as AlreadyExistsError,
        ConfigurationError as ConfigurationError,
        ConnectionLostError as ConnectionLostError,
        DeadlineError as DeadlineError,
        DeclarationError as DeclarationError,
        HandshakeError as HandshakeError,
        HookRegistrationError as HookRegistrationError,
        HookResultError as HookResultError,
        HookTimeoutError as HookTimeoutError,
        KVConflictError as KVConflictError,
        KVValueError as KVValueError,
        LockLostError as LockLostError,
        ManifestError as ManifestError,
        MMPluginError as MMPluginError,
        NotFoundError as NotFoundError,
        NotMagicCookieError as NotMagicCookieError,
        PermissionDeniedError as PermissionDeniedError,
        PluginAPIError as PluginAPIError,
        PluginStartError as PluginStartError,
        RateLimitedError as RateLimitedError,
        RequestBodyAbortedError as RequestBodyAbortedError,
        ResponseStateError as ResponseStateError,
        SettingsError as SettingsError,
        StatusCode as StatusCode,
        TooLargeError as TooLargeError,
        UnauthenticatedError as UnauthenticatedError,
        UnavailableError as UnavailableError,
        ValidationError as ValidationError,
    )
    from mm_plugin.hooks.decorator import hook as hook
    from mm_plugin.hooks.files import FileContent as FileContent
    from mm_plugin.hooks.names import HookName as HookName
    from mm_plugin.hooks.policy import FailurePolicy as FailurePolicy
    from mm_plugin.hooks.results import (
        Dismiss as Dismiss,
        Reject as Reject,
        ReplaceFile as ReplaceFile,
    )
    from mm_plugin.messages.audit import AuditRecord as AuditRecord
    from mm_plugin.messages.bots import (
        Bot as Bot,
        BotGetOptions as BotGetOptions,
        BotPatch as BotPatch,
    )
    from mm_plugin.messages.channels import (
        Channel as Channel,
        ChannelBannerInfo as ChannelBannerInfo,
        ChannelMember as ChannelMember,
        ChannelMemberIdentifier as ChannelMemberIdentifier,
        ChannelStats as ChannelStats,
        ChannelType as ChannelType,
        OrderedSidebarCategories as OrderedSidebarCategories,
        SidebarCategoryWithChannels as SidebarCategoryWithChannels,
    )
    from mm_plugin.messages.commands import (
        Command as Command,
        CommandArgs as CommandArgs,
        CommandResponse as CommandResponse,
    )
    from mm_plugin.messages.common import (
        AppError as AppError,
        PluginContext as PluginContext,
        RequestContext as RequestContext,
        StringMap as StringMap,
        ViewUsersRestrictions as ViewUsersRestrictions,
    )
    from mm_plugin.messages.dialogs import (
        Dialog as Dialog,
        DialogElement as DialogElement,
        DialogElementOption as DialogElementOption,
        OpenDialogRequest as OpenDialogRequest,
    )
    from mm_plugin.messages.emoji import Emoji as Emoji
    from mm_plugin.messages.files import (
        FileData as FileData,
        FileInfo as FileInfo,
        FileUploadResponse as FileUploadResponse,
        GetFileInfosOptions as GetFileInfosOptions,
        UploadSession as UploadSession,
    )
    from mm_plugin.messages.groups import (
        CreateDefaultMembershipParams as CreateDefaultMembershipParams,
        Group as Group,
        GroupMember as GroupMember,
        GroupSearchOpts as GroupSearchOpts,
        GroupSyncable as GroupSyncable,
    )
    from mm_plugin.messages.helpers import (
        new_id as new_id,
        now_ms as now_ms,
        props_of as props_of,
        time_of as time_of,
    )
    from mm_plugin.messages.json_fields import (
        Configuration as Configuration,
        EmailNotification as EmailNotification,
        JSONDocument as JSONDocument,
        SAMLAssertion as SAMLAssertion,
        SyncMessage as SyncMessage,
    )
    from mm_plugin.messages.notifications import (
        EmailNotificationContent as EmailNotificationContent,
        EmailNotificationJson as EmailNotificationJson,
        PushNotification as PushNotification,
    )
    from mm_plugin.messages.oauth import OAuthApp as OAuthApp
    from mm_plugin.messages.plugins import (
        KeyValuePair as KeyValuePair,
        Manifest as Manifest,
        PluginClusterEvent as PluginClusterEvent,
        PluginClusterEventSendOptions as PluginClusterEventSendOptions,
        PluginKVSetOptions as PluginKVSetOptions,
        PluginStatus as PluginStatus,
    )
    from mm_plugin.messages.posts import (
        Post as Post,
        PostAcknowledgement as PostAcknowledgement,
        PostEmbed as PostEmbed,
        PostImage as PostImage,
        PostList as PostList,
        PostMetadata as PostMetadata,
        PostPriority as PostPriority,
        PostSearchResults as PostSearchResults,
        Reaction as Reaction,
        SearchParameter as SearchParameter,
        SearchParams as SearchParams,
        StringList as StringList,
    )
    from mm_plugin.messages.preferences import Preference as Preference
    from mm_plugin.messages.properties import (
        PropertyField as PropertyField,
        PropertyFieldSearchOpts as PropertyFieldSearchOpts,
        PropertyGroup as PropertyGroup,
        PropertyValue as PropertyValue,
        PropertyValueSearchOpts as PropertyValueSearchOpts,
    )
    from mm_plugin.messages.shared_channels import (
        GetPostsSinceForSyncCursor as GetPostsSinceForSyncCursor,
        RegisterPluginOpts as RegisterPluginOpts,
        RemoteCluster as RemoteCluster,
        SharedChannel as SharedChannel,
        SyncMsgJson as SyncMsgJson,
        SyncResponse as SyncResponse,
    )
    from mm_plugin.messages.system import (
        ConfigJson as ConfigJson,
        FilesLimits as FilesLimits,
        MessagesLimits as MessagesLimits,
        OnInstallEvent as OnInstallEvent,
        ProductLimits as ProductLimits,
        SamlAssertionInfoJson as SamlAssertionInfoJson,
        TeamsLimits as TeamsLimits,
    )
    from mm_plugin.messages.teams import (
        Team as Team,
        TeamMember as TeamMember,
        TeamMemberWithError as TeamMemberWithError,
        TeamStats as TeamStats,
        TeamType as TeamType,
        TeamUnread as TeamUnread,
    )
    from mm_plugin.messages.users import (
        CustomStatus as CustomStatus,
        Session as Session,
        Status as Status,
        User as User,
        UserAccessToken as UserAccessToken,
        UserAuth as UserAuth,
    )
    from mm_plugin.messages.websocket import (
        WebsocketBroadcast as WebsocketBroadcast,
        WebSocketRequest as WebSocketRequest,
    )
    from mm_plugin.plugin.background import (
        OnCrash as OnCrash,
        every as every,
    )
    from mm_plugin.plugin.command_mark import command as command
    from mm_plugin.plugin.plugin import Plugin as Plugin
    from mm_plugin.plugin.settings_model import (
        Setting as Setting,
        SettingsModel as SettingsModel,
        settings_schema_of as settings_schema_of,
    )
    from mm_plugin.serve_http.mounts import (
        mount_asgi as mount_asgi,
        mount_wsgi as mount_wsgi,
    )
    from mm_plugin.serve_http.request import Request as Request
    from mm_plugin.serve_http.response import Response as Response
    from mm_plugin.serve_http.routing import route as route
    from mm_plugin.settings import (
        RuntimeConfig as RuntimeConfig,
        load_runtime_config as load_runtime_config,
    )
    from mm_plugin.supervisor.run import (
        PluginServer as PluginServer,
        run_plugin as run_plugin,
        serve_plugin as serve_plugin,
    )
    from mm_plugin.transport.call_metrics import (
        CallSeries as CallSeries,
        prometheus_text as prometheus_text,
    )
    from mm_plugin.transport.interceptors import (
        CallDirection as CallDirection,
        CallInfo as CallInfo,
        CallNext as CallNext,
        Interceptor as Interceptor,
    )
    from mm_plugin.wire.handshake import format_handshake_line as format_handshake_line

__version__ = "0.1.0"

if os.environ.get("MATTERMOST_PLUGIN"):
    # A host has started this process: nothing but the handshake may reach standard output, from this line on.
    from mm_plugin.supervisor.stdio import claim_stdout_early

    claim_stdout_early(os.environ)

#: Where each name lives.
_HOMES = {
    "PluginAPIClient": "api.client",
    "ClusterJob": "api.cluster_job",
    "ClusterLock": "api.cluster_lock",
    "KVStore": "api.kv_store",
    "Paged": "api.paging",
    "AlreadyExistsError": "exceptions",
    "ConfigurationError": "exceptions",
    "ConnectionLostError": "exceptions",
    "DeadlineError": "exceptions",
    "DeclarationError": "exceptions",
    "HandshakeError": "exceptions",
    "HookRegistrationError": "exceptions",
    "HookResultError": "exceptions",
    "HookTimeoutError": "exceptions",
    "KVConflictError": "exceptions",
    "KVValueError": "exceptions",
    "LockLostError": "exceptions",
    "ManifestError": "exceptions",
    "MMPluginError": "exceptions",
    "NotFoundError": "exceptions",
    "NotMagicCookieError": "exceptions",
    "PermissionDeniedError": "exceptions",
    "PluginAPIError": "exceptions",
    "PluginStartError": "exceptions",
    "RateLimitedError": "exceptions",
    "RequestBodyAbortedError": "exceptions",
    "ResponseStateError": "exceptions",
    "SettingsError": "exceptions",
    "StatusCode": "exceptions",
    "TooLargeError": "exceptions",
    "UnauthenticatedError": "exceptions",
    "UnavailableError": "exceptions",
    "ValidationError": "exceptions",
    "hook": "hooks.decorator",
    "FileContent": "hooks.files",
    "HookName": "hooks.names",
    "FailurePolicy": "hooks.policy",
    "Dismiss": "hooks.results",
    "Reject": "hooks.results",
    "ReplaceFile": "hooks.results",
    "AuditRecord": "messages.audit",
    "Bot": "messages.bots",
    "BotGetOptions": "messages.bots",
    "BotPatch": "messages.bots",
    "Channel": "messages.channels",
    "ChannelBannerInfo": "messages.channels",
    "ChannelMember": "messages.channels",
    "ChannelMemberIdentifier": "messages.channels",
    "ChannelStats": "messages.channels",
    "ChannelType": "messages.channels",
    "OrderedSidebarCategories": "messages.channels",
    "SidebarCategoryWithChannels": "messages.channels",
    "Command": "messages.commands",
    "CommandArgs": "messages.commands",
    "CommandResponse": "messages.commands",
    "AppError": "messages.common",
    "PluginContext": "messages.common",
    "RequestContext": "messages.common",
    "StringMap": "messages.common",
    "ViewUsersRestrictions": "messages.common",
    "Dialog": "messages.dialogs",
    "DialogElement": "messages.dialogs",
    "DialogElementOption": "messages.dialogs",
    "OpenDialogRequest": "messages.dialogs",
    "Emoji": "messages.emoji",
    "FileData": "messages.files",
    "FileInfo": "messages.files",
    "FileUploadResponse": "messages.files",
    "GetFileInfosOptions": "messages.files",
    "UploadSession": "messages.files",
    "CreateDefaultMembershipParams": "messages.groups",
    "Group": "messages.groups",
    "GroupMember": "messages.groups",
    "GroupSearchOpts": "messages.groups",
    "GroupSyncable": "messages.groups",
    "new_id": "messages.helpers",
    "now_ms": "messages.helpers",
    "props_of": "messages.helpers",
    "time_of": "messages.helpers",
    "Configuration": "messages.json_fields",
    "EmailNotification": "messages.json_fields",
    "JSONDocument": "messages.json_fields",
    "SAMLAssertion": "messages.json_fields",
    "SyncMessage": "messages.json_fields",
    "EmailNotificationContent": "messages.notifications",
    "EmailNotificationJson": "messages.notifications",
    "PushNotification": "messages.notifications",
    "OAuthApp": "messages.oauth",
    "KeyValuePair": "messages.plugins",
    "Manifest": "messages.plugins",
    "PluginClusterEvent": "messages.plugins",
    "PluginClusterEventSendOptions": "messages.plugins",
    "PluginKVSetOptions": "messages.plugins",
    "PluginStatus": "messages.plugins",
    "Post": "messages.posts",
    "PostAcknowledgement": "messages.posts",
    "PostEmbed": "messages.posts",
    "PostImage": "messages.posts",
    "PostList": "messages.posts",
    "PostMetadata": "messages.posts",
    "PostPriority": "messages.posts",
    "PostSearchResults": "messages.posts",
    "Reaction": "messages.posts",
    "SearchParameter": "messages.posts",
    "SearchParams": "messages.posts",
    "StringList": "messages.posts",
    "Preference": "messages.preferences",
    "PropertyField": "messages.properties",
    "PropertyFieldSearchOpts": "messages.properties",
    "PropertyGroup": "messages.properties",
    "PropertyValue": "messages.properties",
    "PropertyValueSearchOpts": "messages.properties",
    "GetPostsSinceForSyncCursor": "messages.shared_channels",
    "RegisterPluginOpts": "messages.shared_channels",
    "RemoteCluster": "messages.shared_channels",
    "SharedChannel": "messages.shared_channels",
    "SyncMsgJson": "messages.shared_channels",
    "SyncResponse": "messages.shared_channels",
    "ConfigJson": "messages.system",
    "FilesLimits": "messages.system",
    "MessagesLimits": "messages.system",
    "OnInstallEvent": "messages.system",
    "ProductLimits": "messages.system",
    "SamlAssertionInfoJson": "messages.system",
    "TeamsLimits": "messages.system",
    "Team": "messages.teams",
    "TeamMember": "messages.teams",
    "TeamMemberWithError": "messages.teams",
    "TeamStats": "messages.teams",
    "TeamType": "messages.teams",
    "TeamUnread": "messages.teams",
    "CustomStatus": "messages.users",
    "Session": "messages.users",
    "Status": "messages.users",
    "User": "messages.users",
    "UserAccessToken": "messages.users",
    "UserAuth": "messages.users",
    "WebsocketBroadcast": "messages.websocket",
    "WebSocketRequest": "messages.websocket",
    "OnCrash": "plugin.background",
    "every": "plugin.background",
    "command": "plugin.command_mark",
    "Plugin": "plugin.plugin",
    "Setting": "plugin.settings_model",
    "SettingsModel": "plugin.settings_model",
    "settings_schema_of": "plugin.settings_model",
    "mount_asgi": "serve_http.mounts",
    "mount_wsgi": "serve_http.mounts",
    "Request": "serve_http.request",
    "Response": "serve_http.response",
    "route": "serve_http.routing",
    "load_runtime_config": "settings",
    "RuntimeConfig": "settings",
    "PluginServer": "supervisor.run",
    "run_plugin": "supervisor.run",
    "serve_plugin": "supervisor.run",
    "CallSeries": "transport.call_metrics",
    "prometheus_text": "transport.call_metrics",
    "CallDirection": "transport.interceptors",
    "CallInfo": "transport.interceptors",
    "CallNext": "transport.interceptors",
    "Interceptor": "transport.interceptors",
    "format_handshake_line": "wire.handshake",
}


if not TYPE_CHECKING:  # else every name would be a valid one for type checkers

    def __getattr__(name: str) -> object:
        home = _HOMES.get(name)
        if home is None:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value: object = getattr(import_module(f"{__name__}.{home}"), name)
        globals()[name] = value  # asked once
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
