"""docs/reference/host-errors.md: every line of it is provoked, and says what the page says."""

from __future__ import annotations

import ast
import json
import os
import re
import signal
import socket
import sys
import textwrap
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from pathlib import Path

import anyio
import pytest

from mm_plugin import limits
from mm_plugin.exceptions import ConfigurationError, HandshakeError, ManifestError, PluginStartError
from mm_plugin.host.faults import parse_faults
from mm_plugin.host.find import find_interpreter
from mm_plugin.host.host import open_host
from mm_plugin.host.options import HostOptions
from mm_plugin.host.python_version import check_python_version
from mm_plugin.host.supervision import SupervisionRules
from mm_plugin.messages.manifest import parse_manifest
from mm_plugin.settings import load_runtime_config
from mm_plugin.transport.grpc.api_end import open_api, open_api_server
from mm_plugin.transport.link import CallFailure, HostLink
from mm_plugin.wire.handshake import Handshake, parse_handshake_line
from tests.host.guard_plugin import ROOT
from tests.host.stubs import QUICK, NoAPI, StubWire, write_bundle

pytestmark = pytest.mark.usefixtures("nothing_left")

PAGE = ROOT / "docs" / "reference" / "host-errors.md"
ROWS: dict[str, str] = dict(re.findall(r"^\| ([^|]+) \| (.+) \| [^|]+ \|$", PAGE.read_text(), re.MULTILINE))
del ROWS["cause"], ROWS["---"]

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


# -- the manifest ---------------------------------------------------------------------------------------------


@case("the folder is not there")
async def _no_folder(folder: Path) -> str:
    return await error_of(folder / "nowhere")


@case("a file stands where the folder should")
async def _a_file(folder: Path) -> str:
    (folder / "file").touch()
    return await error_of(folder / "file")


@case("there is no manifest")
async def _no_manifest(folder: Path) -> str:
    return await error_of(folder)


@case("the manifest cannot be read")
async def _unreadable(folder: Path) -> str:
    (folder / "plugin.json").mkdir()
    return await error_of(folder)


@case("the manifest is no file")
async def _pipe(folder: Path) -> str:
    os.mkfifo(folder / "plugin.json")
    return await error_of(folder)


@case("the manifest is endless")
async def _endless(folder: Path) -> str:
    with (folder / "plugin.json").open("wb") as file:
        file.truncate(limits.manifest_octets + 1)
    return await error_of(folder)


@case("YAML without PyYAML")
async def _no_pyyaml(folder: Path) -> str:
    (folder / "plugin.yaml").write_text("id: x.y.z")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "yaml", None)
        return await error_of(folder)


manifest_case("it is not UTF-8", b'{"id": "\xff"}')
manifest_case("it begins with a byte order mark", b'\xef\xbb\xbf{"id": "com.example.x", "name": "x"}')
manifest_case("it holds half a character", r'{"id": "com.example.x", "name": "\ud800"}')
manifest_case("id or name is misspelt", '{"ID": "com.example.x", "name": "x"}')
manifest_case("settings are no list", '{"id": "com.example.x", "name": "x", "settings_schema": {"settings": 5}}')
manifest_case("a setting is no object", '{"id": "com.example.x", "name": "x", "settings_schema": {"settings": ["a"]}}')
manifest_case(
    "a setting's key is no text", '{"id": "com.example.x", "name": "x", "settings_schema": {"settings": [{"key": 1}]}}'
)
manifest_case("it is no JSON", '{"id": 1,}')
manifest_case("it is no YAML", "a: [", "x/plugin.yaml")
manifest_case("YAML says what JSON cannot", "a: .nan", "x/plugin.yaml")
manifest_case("YAML names one value in two places", "a: &a [1]\nb: *a", "x/plugin.yaml")
manifest_case("it is a list or a text", "[]")
manifest_case("id or name is missing", "{}")
manifest_case("the id has other characters", '{"id": "a b"}')
manifest_case("a field has another type", '{"id": 5}')
manifest_case("a section is no object", '{"id": "x.y", "name": "x", "server": []}')
manifest_case(
    "a field has a value that is none of its own", '{"id": "x.y", "name": "x", "server": {"runtime": "java"}}'
)
manifest_case("a version is none", '{"id": "x.y", "name": "x", "version": "1"}')
manifest_case("server names no program", '{"id": "x.y", "name": "x", "server": {"runtime": "go"}}')


@case("a field that there is not")
async def _unknown_field(folder: Path) -> str:
    manifest = parse_manifest(b'{"id": "x.y", "name": "x", "server": {"executable": "x", "runtme": "go"}}')
    return " ".join(manifest.warnings)


# -- what the manifest names ----------------------------------------------------------------------------------


@case("there is no server side")
async def _no_server(folder: Path) -> str:
    (folder / "plugin.json").write_text(json.dumps({"id": "x.y.z", "name": "x"}))
    return await error_of(folder)


bundle_case("no program for this platform", executable="", executables={"plan9-mips": "x"})
bundle_case("the program's path is absolute", executable="/bin/sh")
bundle_case("the program is not there", executable="missing.py")
bundle_case("the program's path leads out", executable="../bundle2", prepare=lambda b: (b.parent / "bundle2").touch())
bundle_case("the program is a folder", executable="folder", prepare=lambda b: (b / "folder").mkdir())
bundle_case("the program is not Python and not executable", executable="x", prepare=lambda b: (b / "x").touch())
bundle_case("venv_path leads out", python={"venv_path": "../venv"})
bundle_case("venv_path holds no Python", python={"venv_path": "server/venv"})
bundle_case("venv_path with a mode that uses none", python={"venv_path": "v", "dependency_mode": "system"})
bundle_case("dependency_mode venv without one", python={"dependency_mode": "venv"})
bundle_case("requirements_path leads out", python={"requirements_path": "/r.txt"})
bundle_case("the requirements file is not there", python={"requirements_path": "r.txt"})
bundle_case("python_version is no version", python_version="latest")


# -- the machine and the operator -----------------------------------------------------------------------------


def _broken_venv(bundle: Path) -> None:
    (bundle / "venv" / "bin").mkdir(parents=True)
    (bundle / "venv" / "bin" / "python").symlink_to("/nowhere")


bundle_case("the bundle's Python cannot be run", prepare=_broken_venv)
bundle_case("the Python has another version", python_version=">=4")


@case("there is no Python at all")
async def _no_python(folder: Path) -> str:
    with pytest.raises(ConfigurationError) as raised:
        find_interpreter(folder, search_path=str(folder))
    return str(raised.value)


@case("the interpreter is no Python")
async def _strange_python(folder: Path) -> str:
    with pytest.raises(ConfigurationError) as raised:
        await check_python_version(folder, Path("/bin/echo"), "3.11")
    return str(raised.value)


@case("a plugin of the same id runs")
async def _same_id(folder: Path) -> str:
    async with open_host(lambda _: NoAPI(), options=options()) as host:
        await host.start(write_bundle(folder / "one", textwrap.dedent(REFUSES).format("pass")))
        with pytest.raises(ConfigurationError) as raised:
            await host.start(write_bundle(folder / "two"))
        return str(raised.value)


@case("the host is stopping")
async def _stopping(folder: Path) -> str:
    async with open_host(lambda _: NoAPI(), options=options()) as host:
        await host.aclose()
        with pytest.raises(ConfigurationError) as raised:
            await host.start(write_bundle(folder))
        return str(raised.value)


@case("a fault switch that does not exist")
async def _no_fault(folder: Path) -> str:
    with pytest.raises(ConfigurationError) as raised:
        parse_faults(["burn"])
    return str(raised.value)


@case("a fault switch with a wrong value")
async def _wrong_fault(folder: Path) -> str:
    with pytest.raises(ConfigurationError) as raised:
        parse_faults(["delay_s=soon"])
    return str(raised.value)


@case("a fault switch with a value too many")
async def _full_fault(folder: Path) -> str:
    with pytest.raises(ConfigurationError) as raised:
        parse_faults(["kv_full=1"])
    return str(raised.value)


@case("the port is taken")
async def _taken_port(folder: Path) -> str:
    from mm_plugin.devserver.server import open_doorway

    async def app(scope: object, receive: object, send: object) -> None: ...

    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(ConfigurationError) as raised:
        async with open_doorway(app, "127.0.0.1", taken.getsockname()[1]):
            pass
    return str(raised.value)


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


# -------------------------------------------------------------------------------------------------------------


def test_page_and_cases_agree() -> None:
    """Each line of the page has a case, and each case a line."""
    assert set(ROWS) == set(CASES)


@pytest.mark.parametrize("cause", CASES)
async def test_sentence(cause: str, tmp_path: Path) -> None:
    """The cause brings the sentence of the page, on one line."""
    said = await CASES[cause](tmp_path)
    assert "\n" not in said
    pattern = ".+?".join(re.escape(part) for part in ROWS[cause].split("…"))
    assert re.fullmatch(rf"(com\.example\.x: The plugin )?{pattern}.*", said), said


RAISED_IN = (
    "messages/manifest.py", "messages/manifest_text.py", "host/find.py", "host/faults.py", "host/host.py",
    "host/installing.py", "host/life.py", "host/process.py", "host/python_version.py", "settings.py",
    "wire/handshake.py",
)  # fmt: skip
#: Functions whose text argument becomes an error's.
#: Said by a plugin that writes a handshake, not by the host that reads it.
NOT_READ = "cannot be said in one handshake line: an address may not hold '|'"
SAID_BY = {"ManifestError", "ConfigurationError", "HandshakeError", "PluginStartError", "wrong", "start_error", "run"}


def sentences(module: str) -> Iterator[str]:
    """Give the fixed parts of each error's text in a module."""
    for node in ast.walk(ast.parse((ROOT / "mm_plugin" / module).read_text())):
        if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in SAID_BY:
            for argument in node.args:
                parts = argument.values if isinstance(argument, ast.JoinedStr) else [argument]
                texts = [part.value for part in parts if isinstance(part, ast.Constant) and isinstance(part.value, str)]
                words = (text.removeprefix("The plugin ").strip(' :;,("') for text in texts)
                yield from (text for text in words if len(text.split()) > 2 and text != NOT_READ)


@pytest.mark.parametrize("module", RAISED_IN)
def test_the_page_is_complete(module: str) -> None:
    """Every text that a manifest, a path, a handshake or a start can be refused with stands on the page."""
    page = " ".join(PAGE.read_text().replace("`", "").split())
    missing = [text for text in sentences(module) if text not in page]
    assert missing == []
