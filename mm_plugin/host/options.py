"""What whoever runs a host may choose; every default comes from limits.py."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mm_plugin import limits

__all__ = ("HostOptions",)


@dataclass(frozen=True, slots=True, kw_only=True)
class HostOptions:
    """Choices that hold for every plugin of a host.

    Attributes:
        interpreter: The Python for bundles without one of their own; None searches PATH. A developer's tool gives
            ``Path(sys.executable)``.
        environment: Variables for the plugins, on top of the host's own environment.
        log_level: What MATTERMOST_PLUGIN_LOG_LEVEL says.
        start_timeout_s: From the start of a process to its handshake line.
        hook_timeout_s: Longest wait for Implemented, OnActivate and OnDeactivate.
        stop_hook_timeout_s: Longest wait for OnDeactivate while the whole host stops.
        health_timeout_s: Longest wait for one health check.
        ask_stop_s: Longest wait for the answer to the Shutdown rpc.
        exit_grace_s: After Shutdown, before SIGTERM.
        terminate_grace_s: After SIGTERM, before SIGKILL.
    """

    interpreter: Path | None = None
    environment: Mapping[str, str] = field(default_factory=dict[str, str])
    log_level: str = "INFO"
    start_timeout_s: float = limits.host_start_timeout_s
    hook_timeout_s: float = limits.host_hook_timeout_s
    stop_hook_timeout_s: float = limits.host_stop_hook_timeout_s
    health_timeout_s: float = limits.host_health_timeout_s
    ask_stop_s: float = limits.host_ask_stop_s
    exit_grace_s: float = limits.host_exit_grace_s
    terminate_grace_s: float = limits.host_terminate_grace_s
