"""What can be wrong with a plugin's process: its environment, its handshake and start, and while it runs."""

from __future__ import annotations

import os
import signal
import sys
import textwrap
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from pathlib import Path

import anyio
import pytest

from mm_plugin.exceptions import ConfigurationError, PluginStartError
from mm_plugin.host.host import open_host
from mm_plugin.host.supervision import SupervisionRules
from mm_plugin.settings import load_runtime_config
from mm_plugin.transport.grpc.api_end import open_api, open_api_server
from mm_plugin.transport.link import CallFailure, HostLink
from mm_plugin.wire.handshake import Handshake
from tests.host.error_cases import (
    DIES,
    FAILS,
    REFUSES,
    WAITS,
    case,
    error_of,
    line_case,
    options,
    start_case,
)
from tests.host.stubs import QUICK, NoAPI, StubWire, write_bundle

# -- the plugin's environment ---------------------------------------------------------------------------------


def environment_case(cause: str, name: str) -> None:
    @case(cause)
    async def provoke(folder: Path) -> str:
        with pytest.raises(ConfigurationError) as raised:
            load_runtime_config({name: "nonsense"})
        return str(raised.value)


environment_case("a log level that is none", "MATTERMOST_PLUGIN_LOG_LEVEL")
environment_case("a hook timeout that is none", "MATTERMOST_PLUGIN_HOOK_TIMEOUT")
environment_case("an event loop that is none", "MM_PLUGIN_BACKEND")


# -- the handshake and the start ------------------------------------------------------------------------------


@case("the operating system cannot run it")
async def _not_runnable(folder: Path) -> str:
    bundle = write_bundle(folder, executable="x")
    (bundle / "x").write_text("#!/nowhere/interpreter\n")
    (bundle / "x").chmod(0o755)
    return await error_of(bundle)


async def installation_error(folder: Path, base: str = sys.executable) -> str:
    bundle = write_bundle(folder / "x", python={"dependency_mode": "venv", "requirements_path": "r.txt"})
    (bundle / "r.txt").write_text("--no-index\nnonsense\n")
    return await error_of(bundle, interpreter=Path(base), environments=folder / "cache")


@case("its environment cannot be made")
async def _no_environment(folder: Path) -> str:
    return await installation_error(folder, base="/bin/false")


@case("its environment cannot be kept")
async def _no_room(folder: Path) -> str:
    (folder / "cache").touch()
    return await installation_error(folder)


@case("its requirements cannot be installed")
async def _not_installed(folder: Path) -> str:
    return await installation_error(folder)


@case("its installation takes too long")
async def _slow_installation(folder: Path) -> str:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mm_plugin.limits.host_install_s", 0.01)
        return await installation_error(folder)


@case("a requirement is missing")
async def _missing_requirement(folder: Path) -> str:
    python = {"dependency_mode": "venv", "requirements_path": "r.txt"}
    bundle = write_bundle(folder / "x", "import mm_plugin", python=python)
    (bundle / "r.txt").touch()
    return await error_of(bundle, environments=folder / "cache", environment={"PYTHONPATH": ""})


@case("a package is missing")
async def _missing_package(folder: Path) -> str:
    bundle = write_bundle(folder, "import nonsense_module", python={"requirements_path": "r.txt"})
    (bundle / "r.txt").touch()
    return await error_of(bundle)


def says_first(line: str) -> str:
    return f"print({line!r}, flush=True)\n{WAITS}"


start_case("a package is missing, and no requirements are declared", "import nonsense_module")
start_case("it is silent", WAITS, start_timeout_s=0.3)
start_case("it exits first", FAILS)
start_case("it dies first", DIES)
start_case("it closes its standard output", "import os; os.close(1)\n" + WAITS, start_timeout_s=0.5)
start_case("it prints something else first", says_first("Hello"))
line_case("its first line is endless", b"x" * 20_000)
line_case("its first line is empty", b"\n")
line_case("its first line is no text", b"\xff\xfe")
line_case("its first line holds control characters", "\x1b[31mred|a|b|c")
line_case("too many fields", "1|1|tcp|127.0.0.1:1|grpc||true|8")
line_case("another core version", "2|1|tcp|127.0.0.1:1|grpc")
line_case("an app version that is no number", "1|one|tcp|127.0.0.1:1|grpc")
line_case("another network", "1|1|pipe|x|grpc")
line_case("another protocol", "1|1|tcp|127.0.0.1:1|http")
line_case("a wrong multiplex field", "1|1|tcp|127.0.0.1:1|grpc||maybe")
line_case("an address without a port", "1|1|tcp|127.0.0.1|grpc")
line_case("a socket without a path", "1|1|unix||grpc")
start_case("another app version", says_first("1|2|tcp|127.0.0.1:1|grpc"))
start_case("net/rpc", says_first("1|1|tcp|127.0.0.1:1|netrpc"))
start_case("TLS", says_first("1|1|tcp|127.0.0.1:1|grpc|" + "A" * 60))


@case("its link cannot be opened")
async def _no_link(folder: Path) -> str:
    def open_link(handshake: Handshake) -> AbstractAsyncContextManager[HostLink]:
        raise OSError("no descriptor is left")

    wire = replace(StubWire().wire, open_link=open_link)
    async with open_host(lambda _: NoAPI(), options=QUICK, wire=wire) as host:
        with pytest.raises(PluginStartError) as raised:
            await host.start(write_bundle(folder))
    return raised.value.reason


start_case("nobody listens there", says_first("1|1|tcp|127.0.0.1:1|grpc"))
start_case("activation refused", REFUSES.format("raise RuntimeError('no database')"))
start_case("it dies while it is activated", REFUSES.format("import os; os._exit(4)"))


# -- while it runs --------------------------------------------------------------------------------------------


async def off_by(folder: Path, number: signal.Signals) -> str:
    rules = SupervisionRules(failures=2 if number is signal.SIGKILL else 1, ping_interval_s=0.1, restart_pause_s=0)
    hurried = options(supervision=rules, health_timeout_s=0.2, ask_stop_s=0.1, exit_grace_s=0.1)
    async with open_host(lambda _: NoAPI(), options=hurried) as host:
        plugin = await host.start(write_bundle(folder, textwrap.dedent(REFUSES).format("pass")))
        with anyio.fail_after(30):
            for _ in range(rules.failures):
                await plugin.wait_settled()
                assert plugin.pid is not None
                os.kill(plugin.pid, number)
                await plugin.wait_change()
            await plugin.wait_over()
        return plugin.reason


@case("it dies")
async def _dies(folder: Path) -> str:
    return await off_by(folder, signal.SIGKILL)


@case("it hangs")
async def _hangs(folder: Path) -> str:
    return await off_by(folder, signal.SIGSTOP)


@case("an API call without the secret")
async def _no_secret(folder: Path) -> str:
    from mm_plugin._proto.api_server_pb2 import GetServerVersionRequest

    async with open_api_server(NoAPI(), secret="s") as target, open_api(target) as api:
        with pytest.raises(CallFailure) as raised:
            await api.call_api("GetServerVersion", GetServerVersionRequest())
        return raised.value.text
