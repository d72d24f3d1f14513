"""Mattermost server plugins in Python, on AnyIO: the front door.

Every name is imported when it is first asked for (PEP 562), so that a plugin process loads what it uses and no more.
No room inside the package imports this module.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import TracebackType

    from mm_plugin.api.client import PluginAPIClient as PluginAPIClient
    from mm_plugin.api.cluster_job import ClusterJob as ClusterJob
    from mm_plugin.api.cluster_lock import ClusterLock as ClusterLock
    from mm_plugin.api.kv_codecs import (
        INT as INT,
        JSON as JSON,
        TEXT as TEXT,
        Codec as Codec,
        DataclassCodec as DataclassCodec,
    )
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
    from mm_plugin.messages.structs import json_object as json_object
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
    from mm_plugin.transport.link import CallFault as CallFault
    from mm_plugin.wire.handshake import format_handshake_line as format_handshake_line

__version__ = "0.1.0"

if os.environ.get("MATTERMOST_PLUGIN"):
    # A host has started this process: nothing but the handshake may reach standard output, from this line on.
    from mm_plugin.supervisor.stdio import claim_stdout_early

    claim_stdout_early(os.environ)

    _write = sys.excepthook

    def _write_short(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
        """Show a mistake in a plugin class by its author's line, where nobody catches it."""
        from mm_plugin.supervisor.short_traceback import shortened

        _write(kind, error, shortened(error, traceback))

    sys.excepthook = _write_short  # of a plugin's process alone: other programs that import us keep their own

#: The names by the module that each lives in.
_NAMES = {
    "api.client": "PluginAPIClient",
    "api.cluster_job": "ClusterJob",
    "api.cluster_lock": "ClusterLock",
    "api.kv_codecs": "Codec DataclassCodec INT JSON TEXT",
    "api.kv_store": "KVStore",
    "api.paging": "Paged",
    "exceptions": (
        "AlreadyExistsError ConfigurationError ConnectionLostError DeadlineError DeclarationError HandshakeError "
        "HookRegistrationError HookResultError HookTimeoutError KVConflictError KVValueError LockLostError "
        "ManifestError MMPluginError NotFoundError NotMagicCookieError PermissionDeniedError PluginAPIError "
        "PluginStartError RateLimitedError RequestBodyAbortedError ResponseStateError SettingsError StatusCode "
        "TooLargeError UnauthenticatedError UnavailableError ValidationError"
    ),
    "hooks.decorator": "hook",
    "hooks.files": "FileContent",
    "hooks.names": "HookName",
    "hooks.policy": "FailurePolicy",
    "hooks.results": "Dismiss Reject ReplaceFile",
    "messages.audit": "AuditRecord",
    "messages.bots": "Bot BotGetOptions BotPatch",
    "messages.channels": (
        "Channel ChannelBannerInfo ChannelMember ChannelMemberIdentifier ChannelStats ChannelType "
        "OrderedSidebarCategories SidebarCategoryWithChannels"
    ),
    "messages.commands": "Command CommandArgs CommandResponse",
    "messages.common": "AppError PluginContext RequestContext StringMap ViewUsersRestrictions",
    "messages.dialogs": "Dialog DialogElement DialogElementOption OpenDialogRequest",
    "messages.emoji": "Emoji",
    "messages.files": "FileData FileInfo FileUploadResponse GetFileInfosOptions UploadSession",
    "messages.groups": "CreateDefaultMembershipParams Group GroupMember GroupSearchOpts GroupSyncable",
    "messages.helpers": "new_id now_ms props_of time_of",
    "messages.json_fields": "Configuration EmailNotification JSONDocument SAMLAssertion SyncMessage",
    "messages.notifications": "EmailNotificationContent EmailNotificationJson PushNotification",
    "messages.oauth": "OAuthApp",
    "messages.plugins": (
        "KeyValuePair Manifest PluginClusterEvent PluginClusterEventSendOptions PluginKVSetOptions PluginStatus"
    ),
    "messages.posts": (
        "Post PostAcknowledgement PostEmbed PostImage PostList PostMetadata PostPriority PostSearchResults "
        "Reaction SearchParameter SearchParams StringList"
    ),
    "messages.preferences": "Preference",
    "messages.properties": "PropertyField PropertyFieldSearchOpts PropertyGroup PropertyValue PropertyValueSearchOpts",
    "messages.shared_channels": (
        "GetPostsSinceForSyncCursor RegisterPluginOpts RemoteCluster SharedChannel SyncMsgJson SyncResponse"
    ),
    "messages.structs": "json_object",
    "messages.system": (
        "ConfigJson FilesLimits MessagesLimits OnInstallEvent ProductLimits SamlAssertionInfoJson TeamsLimits"
    ),
    "messages.teams": "Team TeamMember TeamMemberWithError TeamStats TeamType TeamUnread",
    "messages.users": "CustomStatus Session Status User UserAccessToken UserAuth",
    "messages.websocket": "WebsocketBroadcast WebSocketRequest",
    "plugin.background": "every OnCrash",
    "plugin.command_mark": "command",
    "plugin.plugin": "Plugin",
    "plugin.settings_model": "Setting settings_schema_of SettingsModel",
    "serve_http.mounts": "mount_asgi mount_wsgi",
    "serve_http.request": "Request",
    "serve_http.response": "Response",
    "serve_http.routing": "route",
    "settings": "load_runtime_config RuntimeConfig",
    "supervisor.run": "PluginServer run_plugin serve_plugin",
    "transport.call_metrics": "CallSeries prometheus_text",
    "transport.interceptors": "CallDirection CallInfo CallNext Interceptor",
    "transport.link": "CallFault",
    "wire.handshake": "format_handshake_line",
}
_HOMES = {name: home for home, names in _NAMES.items() for name in names.split()}


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
