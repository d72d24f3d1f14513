"""Which API methods stand together in one file of the client: topic, its title, its rpcs."""

from __future__ import annotations

TOPICS: dict[str, tuple[str, str]] = {
    "users": (
        "Users: accounts, lists and searches",
        """
        CreateUser DeleteUser GetUsers GetUsersByIds GetUser GetUserByEmail GetUserByUsername
        GetUsersByUsernames GetUsersInTeam UpdateUser UpdateUserActive GetUsersInChannel SearchUsers
        """,
    ),
    "user_profiles": (
        "User profiles: presence, custom status, picture, directory attributes",
        """
        GetUserStatus GetUserStatusesByIds UpdateUserStatus SetUserStatusTimedDND UpdateUserCustomStatus
        RemoveUserCustomStatus GetLDAPUserAttributes GetProfileImage SetProfileImage PublishUserTyping
        """,
    ),
    "user_access": (
        "User access: permissions, roles, ways to log in, sessions, tokens",
        """
        HasPermissionTo HasPermissionToTeam HasPermissionToChannel UpdateUserAuth UpdateUserRoles GetSession
        CreateSession ExtendSessionExpiry RevokeSession CreateUserAccessToken RevokeUserAccessToken
        RolesGrantPermission
        """,
    ),
    "teams": (
        "Teams: the teams themselves, icons, counts",
        """
        CreateTeam DeleteTeam GetTeams GetTeam GetTeamByName GetTeamsUnreadForUser UpdateTeam SearchTeams
        GetTeamsForUser GetTeamIcon SetTeamIcon RemoveTeamIcon GetTeamStats
        """,
    ),
    "team_members": (
        "Team members: who belongs to a team, and with which roles",
        """
        CreateTeamMember CreateTeamMembers CreateTeamMembersGracefully DeleteTeamMember GetTeamMembers
        GetTeamMember GetTeamMembersForUser UpdateTeamMemberRoles
        """,
    ),
    "channels": (
        "Channels: the channels themselves, direct and group messages, counts",
        """
        CreateChannel DeleteChannel GetPublicChannelsForTeam GetChannel GetChannelByName
        GetChannelByNameForTeamName GetChannelsForTeamForUser GetChannelStats GetDirectChannel
        GetGroupChannel UpdateChannel SearchChannels
        """,
    ),
    "channel_members": (
        "Channel members: who belongs to a channel, with which roles, notifications and sidebar",
        """
        AddChannelMember AddUserToChannel GetChannelMember GetChannelMembers GetChannelMembersByIds
        GetChannelMembersForUser UpdateChannelMemberRoles UpdateChannelMemberNotifications
        PatchChannelMembersNotifications DeleteChannelMember CreateChannelSidebarCategory
        GetChannelSidebarCategories UpdateChannelSidebarCategories
        """,
    ),
    "posts": (
        "Posts: the posts themselves, threads, ephemeral posts, searches",
        """
        CreatePost SendEphemeralPost UpdateEphemeralPost DeleteEphemeralPost DeletePost GetPostThread
        GetPost GetPostsSince GetPostsAfter GetPostsBefore GetPostsForChannel UpdatePost SearchPostsInTeam
        SearchPostsInTeamForUser
        """,
    ),
    "reactions": (
        "Reactions and custom emoji",
        """
        AddReaction RemoveReaction GetReactions GetEmojiList GetEmojiByName GetEmoji GetEmojiImage
        """,
    ),
    "kv": (
        "The key-value store of this plugin",
        """
        KVSet KVCompareAndSet KVCompareAndDelete KVSetWithOptions KVSetWithExpiry KVGet KVDelete KVDeleteAll
        KVList
        """,
    ),
    "configuration": (
        "Configuration: of the server and of this plugin",
        """
        LoadPluginConfiguration GetConfig GetUnsanitizedConfig SaveConfig GetPluginConfig SavePluginConfig
        """,
    ),
    "plugins": (
        "Plugins: this one and the others",
        """
        GetBundlePath GetPlugins EnablePlugin DisablePlugin RemovePlugin GetPluginStatus InstallPlugin
        GetPluginID PluginHTTP RegisterCollectionAndTopic
        """,
    ),
    "logging": (
        "Logging: the server's log and audit log",
        """
        LogDebug LogInfo LogError LogWarn LogAuditRec LogAuditRecWithLevel
        """,
    ),
    "files": (
        "Files: records, contents, uploads",
        """
        CopyFileInfos GetFileInfo SetFileSearchableContent GetFileInfos GetFile GetFileLink ReadFile
        UploadFile CreateUploadSession UploadData GetUploadSession
        """,
    ),
    "bots": (
        "Bots: accounts that belong to plugins",
        """
        CreateBot PatchBot GetBot GetBots UpdateBotActive PermanentDeleteBot EnsureBotUser
        """,
    ),
    "server": (
        "The server: version, license, limits",
        """
        GetLicense IsEnterpriseReady GetServerVersion GetSystemInstallDate GetDiagnosticId GetTelemetryId
        GetCloudLimits RequestTrialLicense
        """,
    ),
    "commands": (
        "Slash commands: of this plugin, stored ones, running them",
        """
        RegisterCommand UnregisterCommand ExecuteSlashCommand CreateCommand ListCommands ListCustomCommands
        ListPluginCommands ListBuiltInCommands GetCommand UpdateCommand DeleteCommand
        """,
    ),
    "preferences": (
        "Preferences of users",
        """
        GetPreferenceForUser GetPreferencesForUser UpdatePreferencesForUser DeletePreferencesForUser
        """,
    ),
    "oauth": (
        "OAuth 2.0 applications",
        """
        CreateOAuthApp GetOAuthApp UpdateOAuthApp DeleteOAuthApp
        """,
    ),
    "groups": (
        "Groups: the groups themselves and their members",
        """
        GetGroup GetGroupByName GetGroupMemberUsers GetGroupsBySource GetGroupsForUser UpsertGroupMember
        UpsertGroupMembers GetGroupByRemoteID CreateGroup UpdateGroup DeleteGroup RestoreGroup
        DeleteGroupMember GetGroups
        """,
    ),
    "group_syncables": (
        "Group syncables: links between groups and teams or channels",
        """
        GetGroupSyncable GetGroupSyncables UpsertGroupSyncable UpdateGroupSyncable DeleteGroupSyncable
        CreateDefaultSyncableMemberships DeleteGroupConstrainedMemberships
        """,
    ),
    "shared_channels": (
        "Shared channels: channels that several servers have in common",
        """
        RegisterPluginForSharedChannels UnregisterPluginForSharedChannels ShareChannel UpdateSharedChannel
        UnshareChannel UpdateSharedChannelCursor SyncSharedChannel InviteRemoteToChannel
        UninviteRemoteFromChannel
        """,
    ),
    "property_fields": (
        "Property groups and the fields in them",
        """
        CreatePropertyField GetPropertyField GetPropertyFields UpdatePropertyField DeletePropertyField
        SearchPropertyFields CountPropertyFields CountPropertyFieldsForTarget RegisterPropertyGroup
        GetPropertyGroup GetPropertyFieldByName UpdatePropertyFields
        """,
    ),
    "property_values": (
        "Property values: what the fields hold for a target",
        """
        CreatePropertyValue GetPropertyValue GetPropertyValues UpdatePropertyValue UpsertPropertyValue
        DeletePropertyValue SearchPropertyValues UpdatePropertyValues UpsertPropertyValues
        DeletePropertyValuesForTarget DeletePropertyValuesForField
        """,
    ),
    "events": (
        "Reaching people and nodes: events, dialogs, mail, push notifications",
        """
        PublishWebSocketEvent PublishPluginClusterEvent OpenInteractiveDialog SendMail SendPushNotification
        """,
    ),
}
