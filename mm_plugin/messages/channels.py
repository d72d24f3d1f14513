"""Channels, their members and the sidebar."""

from __future__ import annotations

from mm_plugin._proto.channel_pb2 import (
    Channel as Channel,
    ChannelBannerInfo as ChannelBannerInfo,
    ChannelMember as ChannelMember,
    ChannelMemberIdentifier as ChannelMemberIdentifier,
    ChannelStats as ChannelStats,
    ChannelType as ChannelType,
    OrderedSidebarCategories as OrderedSidebarCategories,
    SidebarCategoryWithChannels as SidebarCategoryWithChannels,
)
