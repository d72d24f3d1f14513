"""Read a plugin's manifest: ``plugin.json``, or the same in YAML, into a frozen, typed model.

Job:    say what a bundle claims about itself, and refuse what the server would refuse.
Layer:  messages. Reads one file; no event loop, no third-party model library.
Input:  the bundle's folder, or the manifest's octets.
Output: Manifest. Unknown keys are ignored, as the server ignores them, and told in ``warnings``.
Errors: ManifestError, one sentence with file, line, field (dotted path) and what was expected.
"""

from __future__ import annotations

import os
import re
import shlex
import stat
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import NoReturn, cast

from mm_plugin import limits
from mm_plugin.exceptions import ManifestError
from mm_plugin.messages.manifest_text import ManifestText, decode_json, decode_yaml, kind_of
from mm_plugin.types import JSONObject

__all__ = ("FIELDS", "Manifest", "ManifestServer", "PythonSettings", "load_manifest", "parse_manifest")

#: The manifest's file name in the root of a bundle.
FILE_NAME = "plugin.json"
_YAML_NAMES = ("plugin.yaml", "plugin.yml")
_PACKED = (".tar.gz", ".tgz")
_ID = re.compile(r"[a-zA-Z0-9_.-]{3,190}")
# Semantic Versioning 2.0.0, which the server demands of version and min_server_version.
_VERSION = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?")
_RUNTIMES = ("", "go", "python")
_DEPENDENCY_MODES = ("", "system", "venv", "bundled")
_SETTING_TYPES = ("bool", "custom", "dropdown", "generated", "longtext", "number", "radio", "text", "username")
#: The fields that the server knows, by section; what is inside settings_schema, webapp and props is the author's.
FIELDS: Mapping[str, tuple[str, ...]] = {
    "": (
        "id", "name", "description", "homepage_url", "support_url", "release_notes_url", "icon_path", "version",
        "min_server_version", "server", "webapp", "settings_schema", "props", "$schema",
    ),
    "server": ("executable", "executables", "runtime", "python_version", "python"),
    "server.python": ("dependency_mode", "venv_path", "requirements_path"),
}  # fmt: skip


def _empty() -> JSONObject:
    return MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class PythonSettings:
    """``server.python``: how the plugin's interpreter is to be found.

    Attributes:
        dependency_mode: ``system`` (the machine's Python), ``venv`` (a virtual environment in the bundle), ``bundled``
            (the packages lie in the bundle themselves), or "" where it is not said.
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
        python_version: The Python it needs, such as ``3.11`` (that one or newer) or ``>=3.11,<3.14``.
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
        warnings: One sentence for each field that is unknown, and so ignored, and for each setting of unknown type.
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
    warnings: tuple[str, ...] = field(default=(), compare=False)


def load_manifest(bundle: Path) -> Manifest:
    """Read the manifest of a bundle: plugin.json, else plugin.yaml or plugin.yml.

    Args:
        bundle: The bundle's folder.

    Raises:
        ManifestError: There is none, it cannot be read, or it is wrong.
    """
    for name in (FILE_NAME, *_YAML_NAMES):
        path = bundle / name
        try:
            octets = _read(path)
        except FileNotFoundError:
            continue
        except NotADirectoryError:
            raise ManifestError(f"{bundle}: expected the folder of a plugin, {_kind_of_file(bundle)}") from None
        except OSError as error:
            raise ManifestError(f"{path}: cannot be read: {error.strerror or error}") from None
        return parse_manifest(octets, where=str(path))
    if not bundle.is_dir():
        raise ManifestError(f"{bundle}: expected the folder of a plugin, found no such folder")
    raise ManifestError(f"{bundle / FILE_NAME}: no such file; the root of a plugin must hold {FILE_NAME}")


def _kind_of_file(path: Path) -> str:
    """Say what stands where a folder was expected, and how to come from there to the folder."""
    if path.name in (FILE_NAME, *_YAML_NAMES):
        return f"found its manifest; give {path.parent}"
    for ending in _PACKED:
        if path.name.endswith(ending) and path.name != ending:
            target = shlex.quote(str(path.with_name(path.name.removesuffix(ending))))
            unpack = f"mkdir {target} && tar -xzf {shlex.quote(str(path))} -C {target}"
            return f"found a packed bundle; unpack it with: {unpack}, and give the folder in it that holds {FILE_NAME}"
    return "found a file"


def _read(path: Path) -> bytes:
    """Return a file's content; what is no file is not waited for, and what has no end not read.

    Raises:
        ManifestError: It is no file, or too long.
        OSError: It cannot be read.
    """
    with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise ManifestError(f"{path}: cannot be read: it is no file")
        octets = file.read(limits.manifest_octets + 1)
    if len(octets) > limits.manifest_octets:
        raise ManifestError(f"{path}: is over {limits.manifest_octets:,} octets; a manifest is a small text")
    return octets


def parse_manifest(octets: bytes, *, where: str = FILE_NAME) -> Manifest:
    """Read a manifest.

    Args:
        octets: The text in UTF-8: YAML where ``where`` ends in .yaml or .yml, else JSON.
        where: The file's name for errors.

    Raises:
        ManifestError: It is wrong; the text names file, line, field and what was expected.
    """
    text = (decode_yaml if where.endswith((".yaml", ".yml")) else decode_json)(octets, where)
    root = _Section(text.fields, text)
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
        settings_schema=_settings_schema(root),
        props=root.mapping("props"),
        warnings=(*_unknown_fields(root), *_unknown_types(root.section("settings_schema"))),
    )


def _unknown_fields(section: _Section) -> Iterator[str]:
    """Say of each field that no section of this name has what was probably meant."""
    for name in section.names:
        if name not in FIELDS[section.path]:
            yield f"{section.place(name)}: is no field of a manifest and is ignored{_meant(section.path, name)}"
        elif f"{section.path}.{name}".lstrip(".") in FIELDS:
            inner = section.section(name)
            yield from () if inner is None else _unknown_fields(inner)


def _unknown_types(schema: _Section | None) -> Iterator[str]:
    """Say of each setting whose type there is not what it may be; the server refuses such a manifest."""
    if schema is None:
        return
    for number, setting in enumerate(schema.sequence("settings"), 1):
        kind = cast("dict[str, object]", setting).get("type") or _SETTING_TYPES[0]
        if kind not in _SETTING_TYPES:
            yield (
                f"{schema.place('settings')}: setting {number} has type {kind!r}, which a server "
                f"refuses; expected one of {', '.join(_SETTING_TYPES)}"
            )


def _meant(path: str, name: str) -> str:
    from difflib import get_close_matches

    paths = {field: f"{section}.{field}".lstrip(".") for section, fields in FIELDS.items() for field in fields}
    for known in (FIELDS[path], tuple(paths)):
        for close in get_close_matches(name.lower().replace("-", "_"), known, n=1, cutoff=0.7):
            return f"; did you mean {close if known is FIELDS[path] else paths[close]}?"
    return ""


def _settings_schema(root: _Section) -> JSONObject:
    """Return the schema as it is; its list of settings is what the server, and the stand-in, go through."""
    schema = root.section("settings_schema")
    if schema is None:
        return _empty()
    for number, setting in enumerate(schema.sequence("settings"), 1):
        if not isinstance(setting, dict):
            schema.wrong("settings", f"expected an object as setting {number}, found {kind_of(setting)}")
        key = cast("dict[str, object]", setting).get("key", "")
        if not isinstance(key, str):
            schema.wrong("settings", f"expected text as key of setting {number}, found {kind_of(key)}")
    return root.mapping("settings_schema")


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
        misspelt = section.misspelt("executable", "executables")
        section.wrong("executable", f"expected the path of the program inside the bundle, such as plugin.py{misspelt}")
    return server


def _python(section: _Section | None) -> PythonSettings:
    if section is None:
        return PythonSettings()
    return PythonSettings(
        dependency_mode=section.choice("dependency_mode", _DEPENDENCY_MODES),
        venv_path=section.text("venv_path"),
        requirements_path=section.text("requirements_path"),
    )


class _Section:
    """One object of the manifest, which knows its path."""

    def __init__(self, fields: Mapping[str, object], whole: ManifestText, path: tuple[str, ...] = ()) -> None:
        self._fields = fields
        self._whole = whole
        self._path = path

    @property
    def path(self) -> str:
        return ".".join(self._path)

    @property
    def names(self) -> Iterable[str]:
        return self._fields

    def place(self, name: str) -> str:
        return self._whole.place((*self._path, name))

    def wrong(self, name: str, text: str) -> NoReturn:
        raise ManifestError(f"{self.place(name)}: {text}")

    def text(self, name: str, *, required: str = "") -> str:
        value = self._fields.get(name)
        if value is None:
            value = ""
        if not isinstance(value, str):
            self.wrong(name, f"expected text, found {kind_of(value)}")
        if required and not value.strip():
            self.wrong(name, f"is missing; expected {required}{self.misspelt(name)}")
        return value

    def misspelt(self, *names: str) -> str:
        """Return, as the end of a sentence, which unknown field may be the one that is missing."""
        from difflib import get_close_matches

        for found in self.names:
            if found not in FIELDS[self.path] and get_close_matches(found.lower(), names, cutoff=0.7):
                return f"; is {found} meant for it?"
        return ""

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
            self.wrong(name, f"expected an object, found {kind_of(value)}")
        return MappingProxyType(cast("dict[str, None]", value))

    def sequence(self, name: str) -> list[object]:
        value = self._fields.get(name)
        if value is None:
            return []
        if not isinstance(value, list):
            self.wrong(name, f"expected a list, found {kind_of(value)}")
        return cast("list[object]", value)

    def section(self, name: str) -> _Section | None:
        value = self._fields.get(name)
        if value is None:
            return None
        return _Section(self.mapping(name), self._whole, (*self._path, name))

    def text_mapping(self, name: str) -> Mapping[str, str]:
        inner = self.section(name)
        if inner is None:
            return MappingProxyType({})
        return MappingProxyType({key: inner.text(key) for key in self.mapping(name)})
