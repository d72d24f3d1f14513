"""The server: configuration, limits, installation."""

from __future__ import annotations

from mm_plugin._proto.system_pb2 import (
    ConfigJson as ConfigJson,
    FilesLimits as FilesLimits,
    MessagesLimits as MessagesLimits,
    OnInstallEvent as OnInstallEvent,
    ProductLimits as ProductLimits,
    SamlAssertionInfoJson as SamlAssertionInfoJson,
    TeamsLimits as TeamsLimits,
)
