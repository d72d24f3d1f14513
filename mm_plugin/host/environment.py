"""Make the environment of a plugin's process.

Layer:  host.
Output: the host's own environment, the operator's additions, and last, so that nothing inherited wins, what go-plugin
        and Mattermost tell a plugin (reference of the Go host, section 1.4; it forgets the last three of these).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from mm_plugin import settings
from mm_plugin.host.debugger import is_debugged_from_the_start
from mm_plugin.host.options import HostOptions

__all__ = ("plugin_environment",)

# go-plugin's defaults (hashicorp/go-plugin: client.go).
_MIN_PORT, _MAX_PORT = "10000", "25000"
# Set by a host that was itself started as a plugin, they would promise what this host does not do.
_NOT_OURS = (
    "PLUGIN_CLIENT_CERT",
    "PLUGIN_MULTIPLEX_GRPC",
    "PLUGIN_UNIX_SOCKET_DIR",
    "PLUGIN_UNIX_SOCKET_GROUP",
    settings.API_SECRET,
)
# Longest a hook may take under a debugger: whoever looks at a breakpoint has a day.
_DEBUGGED_HOOK_TIMEOUT = "86400"


def plugin_environment(
    inherited: Mapping[str, str],
    options: HostOptions,
    *,
    plugin_id: str,
    bundle: Path,
    api_target: str,
    api_secret: str = "",
) -> dict[str, str]:
    """Return all variables of one plugin's process.

    Args:
        inherited: Usually ``os.environ``.
        options: The operator's additions and the log level.
        plugin_id: The plugin's id.
        bundle: The bundle's folder.
        api_target: ``host:port`` or ``unix:/path`` of the API server.
        api_secret: What the plugin's API calls are to carry; "" for nothing.
    """
    given = {**{name: value for name, value in inherited.items() if name not in _NOT_OURS}, **options.environment}
    if is_debugged_from_the_start(options.debugger, given):
        given.setdefault(settings.HOOK_TIMEOUT, _DEBUGGED_HOOK_TIMEOUT)
    if api_secret:
        given[settings.API_SECRET] = api_secret
    return {
        **given,
        settings.COOKIE_KEY: settings.COOKIE_VALUE,
        "PLUGIN_MIN_PORT": _MIN_PORT,
        "PLUGIN_MAX_PORT": _MAX_PORT,
        "PLUGIN_PROTOCOL_VERSIONS": "1",
        settings.API_TARGET: api_target,
        settings.PLUGIN_ID: plugin_id,
        settings.PLUGIN_PATH: str(bundle),
        settings.LOG_LEVEL: options.log_level,
    }
