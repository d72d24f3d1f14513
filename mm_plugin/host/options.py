"""What whoever runs a host may choose; every default comes from limits.py."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mm_plugin import limits
from mm_plugin.host.faults import Faults
from mm_plugin.host.supervision import SupervisionRules

__all__ = ("HostOptions",)


@dataclass(frozen=True, slots=True, kw_only=True)
class HostOptions:
    """Choices that hold for every plugin of a host.

    Attributes:
        interpreter: The Python for bundles without one of their own; None searches PATH. A developer's tool gives
            ``Path(sys.executable)``.
        environments: Folder for the virtual environments of plugins whose manifest says
            ``"dependency_mode": "venv"`` with a requirements file, and that bring none; None makes none, as the server.
        environment: Variables for the plugins, on top of the host's own environment.
        log_level: What MATTERMOST_PLUGIN_LOG_LEVEL says.
        start_timeout_s: From the start of a process to its handshake line.
        hook_timeout_s: Longest wait for Implemented, OnActivate and OnDeactivate.
        stop_hook_timeout_s: Longest wait for OnDeactivate while the whole host stops.
        health_timeout_s: Longest wait for one health check.
        drain_s: Longest wait, at a stop and before OnDeactivate, for hooks and HTTP requests under way; a part of
            ``hook_timeout_s``.
        stop_drain_s: The same while the whole host stops.
        ask_stop_s: Longest wait for the answer to the Shutdown rpc.
        exit_grace_s: After Shutdown, before SIGTERM.
        terminate_grace_s: After SIGTERM, before SIGKILL.
        supervision: When a plugin is pinged, counts as failed and is started again.
        debugger: Whether plugins run under a debugger, which suspends deadlines and health; None finds out (a debugger
            that a plugin has loaded itself cannot be seen). A stop keeps its deadlines.
        api_unix_socket: Serve the API on unix sockets in a private folder instead of on ports of the loopback.
        require_api_secret: Whether API calls must carry the plugin's secret; None demands it of Python plugins only,
            since others cannot know of it. False lets plugins work that do not use this package.
        message_limit_octets: Longest message between host and plugin.
        faults: Switches that make plugins and API misbehave.
    """

    interpreter: Path | None = None
    environments: Path | None = None
    environment: Mapping[str, str] = field(default_factory=dict[str, str])
    log_level: str = "INFO"
    start_timeout_s: float = limits.host_start_timeout_s
    hook_timeout_s: float = limits.host_hook_timeout_s
    stop_hook_timeout_s: float = limits.host_stop_hook_timeout_s
    health_timeout_s: float = limits.host_health_timeout_s
    drain_s: float = limits.host_drain_s
    stop_drain_s: float = limits.host_stop_drain_s
    ask_stop_s: float = limits.host_ask_stop_s
    exit_grace_s: float = limits.host_exit_grace_s
    terminate_grace_s: float = limits.host_terminate_grace_s
    supervision: SupervisionRules = field(default_factory=SupervisionRules)
    debugger: bool | None = None
    api_unix_socket: bool = False
    require_api_secret: bool | None = None
    message_limit_octets: int = limits.message_limit_octets
    faults: Faults | None = None
