"""What can be wrong before a plugin's process: its manifest, what that names, the machine and the operator."""

from __future__ import annotations

import json
import os
import socket
import sys
import textwrap
from pathlib import Path

import anyio
import pytest

from mm_plugin import limits
from mm_plugin.devserver.watch import watch_bundle
from mm_plugin.exceptions import ConfigurationError
from mm_plugin.host.faults import parse_faults
from mm_plugin.host.find import find_interpreter
from mm_plugin.host.host import open_host
from mm_plugin.host.python_version import check_python_version
from mm_plugin.messages.manifest import parse_manifest
from tests.host.error_cases import (
    REFUSES,
    bundle_case,
    case,
    error_of,
    manifest_case,
    options,
)
from tests.host.stubs import NoAPI, write_bundle

# -- the manifest ---------------------------------------------------------------------------------------------


@case("the folder is not there")
async def _no_folder(folder: Path) -> str:
    return await error_of(folder / "nowhere")


@case("a file stands where the folder should")
async def _a_file(folder: Path) -> str:
    (folder / "file").touch()
    return await error_of(folder / "file")


@case("a packed bundle stands where the folder should")
async def _a_packed_bundle(folder: Path) -> str:
    (folder / "guard.tar.gz").touch()
    return await error_of(folder / "guard.tar.gz")


@case("the manifest stands where the folder should")
async def _the_manifest(folder: Path) -> str:
    (folder / "plugin.json").touch()
    return await error_of(folder / "plugin.json")


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


@case("a setting's type is none")
async def _unknown_type(folder: Path) -> str:
    manifest = parse_manifest(
        b'{"id": "x.y", "name": "x", "settings_schema": {"settings": [{"key": "k", "type": "numbr"}]}}'
    )
    return " ".join(manifest.warnings)


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


@case("the folder cannot be watched")
async def _no_watch(folder: Path) -> str:
    def refuse(*_paths: object, **_options: object) -> None:
        raise OSError(28, "OS file watch limit reached")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("watchfiles.main.RustNotify", refuse)
        with pytest.raises(ConfigurationError) as raised:
            async with watch_bundle(folder):
                await anyio.sleep_forever()
    return str(raised.value)


@case("the port is taken")
async def _taken_port(folder: Path) -> str:
    from mm_plugin.devserver.server import open_doorway

    async def app(scope: object, receive: object, send: object) -> None: ...

    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(ConfigurationError) as raised:
        async with open_doorway(app, "127.0.0.1", taken.getsockname()[1]):
            pass
    return str(raised.value)
