"""How the lines of docs/reference/host-errors.md are provoked: one function for each cause, kept in CASES."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from mm_plugin.exceptions import ConfigurationError, HandshakeError, ManifestError, PluginStartError
from mm_plugin.host.host import open_host
from mm_plugin.host.options import HostOptions
from mm_plugin.messages.manifest import parse_manifest
from mm_plugin.wire.handshake import parse_handshake_line
from tests.host.guard_plugin import ROOT
from tests.host.stubs import NoAPI, write_bundle

FAILS = "import sys; sys.stderr.write('why'); sys.exit(3)"
DIES = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
REFUSES = """
    from mm_plugin import Plugin, run_plugin
    class P(Plugin):
        async def on_activate(self):
            {}
    run_plugin(P)
"""
WAITS = "import signal\nwhile True: signal.pause()\n"

Provoke = Callable[[Path], Awaitable[str]]
CASES: dict[str, Provoke] = {}


def options(**changes: object) -> HostOptions:
    environment = {"PYTHONPATH": str(ROOT)}
    quick = HostOptions(
        interpreter=Path(sys.executable), environment=environment, start_timeout_s=10, terminate_grace_s=0.1
    )
    return replace(quick, **changes)  # type: ignore[arg-type]


async def error_of(bundle: Path, **changes: object) -> str:
    """Start a bundle in vain, and return what was said."""
    async with open_host(lambda _: NoAPI(), options=options(**changes)) as host:
        with pytest.raises((ConfigurationError, PluginStartError)) as raised:
            await host.start(bundle)
        if isinstance(raised.value, PluginStartError):
            return raised.value.reason
        return str(raised.value)


def case(cause: str) -> Callable[[Provoke], Provoke]:
    def keep(provoke: Provoke) -> Provoke:
        assert cause not in CASES
        CASES[cause] = provoke
        return provoke

    return keep


def manifest_case(cause: str, text: str | bytes, where: str = "x/plugin.json") -> None:
    @case(cause)
    async def provoke(folder: Path) -> str:
        with pytest.raises(ManifestError) as raised:
            parse_manifest(text if isinstance(text, bytes) else text.encode(), where=where)
        return str(raised.value)


def bundle_case(cause: str, *, prepare: Callable[[Path], object] = lambda _: None, **server: object) -> None:
    @case(cause)
    async def provoke(folder: Path) -> str:
        bundle = write_bundle(folder / "bundle", **server)  # type: ignore[arg-type]
        prepare(bundle)
        return await error_of(bundle, interpreter=None)


def start_case(cause: str, code: str, **changes: object) -> None:
    @case(cause)
    async def provoke(folder: Path) -> str:
        return await error_of(write_bundle(folder, textwrap.dedent(code)), **changes)


def line_case(cause: str, line: bytes | str) -> None:
    @case(cause)
    async def provoke(folder: Path) -> str:
        with pytest.raises(HandshakeError) as raised:
            parse_handshake_line(line)
        return f"com.example.x: The plugin printed no handshake: {raised.value}"
