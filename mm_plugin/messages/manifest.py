"""Read a plugin's manifest: ``plugin.json`` into a frozen, typed model.

Job:    say what a bundle claims about itself, and refuse what the server would refuse.
Layer:  messages. Reads one file; no event loop, no third-party model library.
Input:  the bundle's folder, or the manifest's octets.
Output: Manifest. Unknown keys are ignored, as the server ignores them.
Errors: ManifestError, one sentence with file, field (dotted path) and what was expected.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import NoReturn, cast

from mm_plugin.exceptions import ManifestError
from mm_plugin.types import JSONObject

__all__ = ("Manifest", "ManifestServer", "PythonSettings", "load_manifest", "parse_manifest")

#: The manifest's file name in the root of a bundle.
FILE_NAME = "plugin.json"
_YAML_NAMES = ("plugin.yaml", "plugin.yml")
_ID = re.compile(r"[a-zA-Z0-9_.-]{3,190}")
# Semantic Versioning 2.0.0, which the server demands of version and min_server_version.
_VERSION = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?")
_RUNTIMES = ("", "go", "python")
_DEPENDENCY_MODES = ("", "system", "venv", "bundled")
_JSON_NAMES: Mapping[type, str] = {
    dict: "an object",
    list: "a list",
    str: "text",
    bool: "a boolean",
    int: "a number",
    float: "a number",
    type(None): "null",
}


def _empty() -> JSONObject:
    return MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class PythonSettings:
    """``server.python``: how the plugin's interpreter is to be found.

    Attributes:
        dependency_mode: ``system``, ``venv``, ``bundled``, or "" where it is not said.
        venv_path: Folder of the virtual environment, relative to the bundle.
        requirements_path: The requirements file, relative to the bundle.
    """

    dependency_mode: str = ""
    venv_path: str = ""
    requirements_path: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ManifestServer:
    """``server``: the part of the plugin that runs beside the server.

    Attributes:
        executable: Path relative to the bundle, where no platform's own is given.
        executables: The same by platform, such as ``linux-amd64``.
        runtime: ``python``, ``go``, or "" (which means go, unless the executable ends in ``.py``).
        python_version: The Python it asks for, free text.
        python: How the interpreter is to be found.
    """

    executable: str = ""
    executables: Mapping[str, str] = field(default_factory=dict[str, str])
    runtime: str = ""
    python_version: str = ""
    python: PythonSettings = PythonSettings()

    def executable_for(self, platform: str) -> str:
        """Return the executable of a platform such as ``linux-amd64``; "" where there is none."""
        return self.executables.get(platform) or self.executable


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What a plugin says about itself.

    Attributes:
        id: The plugin's id in lower case.
        server: None where the plugin has no server side.
        settings_schema: The System Console's settings, kept as they are.
        props: Free values, kept as they are.
    """

    id: str
    name: str
    description: str = ""
    homepage_url: str = ""
    support_url: str = ""
    release_notes_url: str = ""
    icon_path: str = ""
    version: str = ""
    min_server_version: str = ""
    server: ManifestServer | None = None
    settings_schema: JSONObject = field(default_factory=_empty)
    props: JSONObject = field(default_factory=_empty)


def load_manifest(bundle: Path) -> Manifest:
    """Read the manifest of a bundle.

    Args:
        bundle: The bundle's folder, which holds ``plugin.json``.

    Raises:
        ManifestError: There is none, it cannot be read, or it is wrong.
    """
    path = bundle / FILE_NAME
    try:
        octets = path.read_bytes()
    except FileNotFoundError:
        if not bundle.is_dir():
            raise ManifestError(f"{bundle}: expected the folder of a plugin, found no such folder") from None
        for name in _YAML_NAMES:
            if (bundle / name).is_file():
                raise ManifestError(f"{bundle / name}: YAML is not read here; write the same as {FILE_NAME}") from None
        raise ManifestError(f"{path}: no such file; the root of a plugin must hold {FILE_NAME}") from None
    except NotADirectoryError:
        raise ManifestError(f"{bundle}: expected the folder of a plugin, found a file") from None
    except OSError as error:
        raise ManifestError(f"{path}: cannot be read: {error.strerror or error}") from None
    return parse_manifest(octets, where=str(path))


def parse_manifest(octets: bytes, *, where: str = FILE_NAME) -> Manifest:
    """Read a manifest.

    Args:
        octets: The JSON text in UTF-8.
        where: The file's name for errors.

    Raises:
        ManifestError: It is wrong; the text names file, field and what was expected.
    """
    root = _Section(_decode(octets, where), where)
    plugin_id = root.text("id", required="the plugin's id, such as com.example.guard")
    if not _ID.fullmatch(plugin_id):
        root.wrong("id", f"expected 3 to 190 of the characters A-Z a-z 0-9 - _ . , found {plugin_id[:200]!r}")
    return Manifest(
        id=plugin_id.lower(),
        name=root.text("name", required="the name people see"),
        description=root.text("description"),
        homepage_url=root.text("homepage_url"),
        support_url=root.text("support_url"),
        release_notes_url=root.text("release_notes_url"),
        icon_path=root.text("icon_path"),
        version=root.version("version"),
        min_server_version=root.version("min_server_version"),
        server=_server(root.section("server")),
        settings_schema=root.mapping("settings_schema"),
        props=root.mapping("props"),
    )


def _server(section: _Section | None) -> ManifestServer | None:
    if section is None:
        return None
    server = ManifestServer(
        executable=section.text("executable"),
        executables=section.text_mapping("executables"),
        runtime=section.choice("runtime", _RUNTIMES),
        python_version=section.text("python_version"),
        python=_python(section.section("python")),
    )
    if not server.executable and not server.executables:
        section.wrong("executable", "expected the path of the program inside the bundle, such as plugin.py")
    return server


def _python(section: _Section | None) -> PythonSettings:
    if section is None:
        return PythonSettings()
    return PythonSettings(
        dependency_mode=section.choice("dependency_mode", _DEPENDENCY_MODES),
        venv_path=section.text("venv_path"),
        requirements_path=section.text("requirements_path"),
    )


def _decode(octets: bytes, where: str) -> dict[str, object]:
    try:
        text = octets.decode("utf-8")
    except UnicodeDecodeError as error:
        line = octets.count(b"\n", 0, error.start) + 1
        raise ManifestError(f"{where}: line {line}: expected UTF-8, found octet 0x{octets[error.start]:02x}") from None
    try:
        value: object = json.loads(text, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        raise ManifestError(f"{where}: line {error.lineno}, column {error.colno}: bad JSON: {error.msg}") from None
    except (ValueError, RecursionError) as error:  # a number too long, NaN, nesting too deep
        raise ManifestError(f"{where}: bad JSON: {error}") from None
    if not isinstance(value, dict):
        raise ManifestError(f"{where}: expected an object with the plugin's id, found {_kind(value)}")
    return cast("dict[str, object]", value)


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"JSON has no {name}")


def _kind(value: object) -> str:
    return _JSON_NAMES.get(type(value), type(value).__name__)


class _Section:
    """One object of the manifest, which knows its dotted path."""

    def __init__(self, fields: Mapping[str, object], where: str, path: str = "") -> None:
        self._fields = fields
        self._where = where
        self._path = path

    def wrong(self, name: str, text: str) -> NoReturn:
        raise ManifestError(f"{self._where}: {self._path}{name}: {text}")

    def text(self, name: str, *, required: str = "") -> str:
        value = self._fields.get(name)
        if value is None:
            value = ""
        if not isinstance(value, str):
            self.wrong(name, f"expected text, found {_kind(value)}")
        if required and not value.strip():
            self.wrong(name, f"is missing; expected {required}")
        return value

    def choice(self, name: str, allowed: tuple[str, ...]) -> str:
        value = self.text(name)
        if value not in allowed:
            self.wrong(name, f"expected one of {', '.join(allowed[1:])}, found {value!r}")
        return value

    def version(self, name: str) -> str:
        value = self.text(name)
        if value and not _VERSION.fullmatch(value):
            self.wrong(name, f"expected a version such as 1.2.3, found {value!r}")
        return value

    def mapping(self, name: str) -> JSONObject:
        value = self._fields.get(name)
        if value is None:
            return _empty()
        if not isinstance(value, dict):
            self.wrong(name, f"expected an object, found {_kind(value)}")
        return MappingProxyType(cast("dict[str, None]", value))

    def section(self, name: str) -> _Section | None:
        value = self._fields.get(name)
        if value is None:
            return None
        return _Section(self.mapping(name), self._where, f"{self._path}{name}.")

    def text_mapping(self, name: str) -> Mapping[str, str]:
        inner = self.section(name)
        if inner is None:
            return MappingProxyType({})
        return MappingProxyType({key: inner.text(key) for key in self.mapping(name)})
