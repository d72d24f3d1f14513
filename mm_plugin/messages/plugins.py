"""Plugins, their key-value options and cluster events."""

from __future__ import annotations

from mm_plugin._proto.plugin_pb2 import (
    KeyValuePair as KeyValuePair,
    Manifest as Manifest,
    PluginClusterEvent as PluginClusterEvent,
    PluginClusterEventSendOptions as PluginClusterEventSendOptions,
    PluginKVSetOptions as PluginKVSetOptions,
    PluginStatus as PluginStatus,
)
