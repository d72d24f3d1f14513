"""plugin.json into the typed model, and one sentence for each thing that can be wrong with it."""

import dataclasses
import json
import shlex
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from mm_plugin.exceptions import ManifestError
from mm_plugin.messages.manifest import Manifest, load_manifest, parse_manifest

SMALL = {"id": "com.example.Guard", "name": "Guard"}


def parse(**fields: object) -> Manifest:
    return parse_manifest(json.dumps({**SMALL, **fields}).encode())


def test_smallest_manifest() -> None:
    """Id and name are enough; the id is lower-cased."""
    manifest = parse()
    assert (manifest.id, manifest.name, manifest.version, manifest.server) == ("com.example.guard", "Guard", "", None)
    assert dict(manifest.settings_schema) == dict(manifest.props) == {}


def test_full_manifest() -> None:
    """Every known field arrives, unknown ones are ignored."""
    manifest = parse(
        version="1.2.3-rc1+5",
        min_server_version="9.0.0",
        description="d",
        server={
            "executable": "plugin.py",
            "executables": {"linux-amd64": "linux.py"},
            "runtime": "python",
            "python_version": ">=3.11",
            "python": {"dependency_mode": "venv", "venv_path": "server/venv", "requirements_path": "r.txt"},
            "unknown": 1,
        },
        settings_schema={"header": "h", "settings": [{"key": "Words"}]},
        props={"a": [1, None]},
        webapp={"bundle_path": "main.js"},
    )
    assert (manifest.version, manifest.min_server_version, manifest.description) == ("1.2.3-rc1+5", "9.0.0", "d")
    server = manifest.server
    assert server is not None
    assert server.executable_for("linux-amd64") == "linux.py"
    assert server.executable_for("darwin-arm64") == "plugin.py"
    assert (server.runtime, server.python_version) == ("python", ">=3.11")
    assert dataclasses.astuple(server.python) == ("venv", "server/venv", "r.txt")
    assert manifest.settings_schema["settings"] == [{"key": "Words"}]
    assert manifest.props["a"] == [1, None]


def test_frozen() -> None:
    """Neither fields nor kept mappings can be changed."""
    manifest = parse(props={"a": 1})
    with pytest.raises(dataclasses.FrozenInstanceError):
        manifest.id = "x"  # type: ignore[misc]
    with pytest.raises(TypeError):
        manifest.props["a"] = 2  # type: ignore[index]


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"id": None}, "plugin.json: line 1: id: is missing; expected the plugin's id, such as com.example.guard"),
        ({"id": " "}, "plugin.json: line 1: id: is missing"),
        ({"id": 5}, "plugin.json: line 1: id: expected text, found a number"),
        ({"id": "ab"}, "plugin.json: line 1: id: expected 3 to 190 of the characters"),
        ({"id": "a/../b"}, "plugin.json: line 1: id: expected 3 to 190 of the characters"),
        ({"id": "com.example\n"}, "plugin.json: line 1: id: expected 3 to 190 of the characters"),
        ({"id": "ä" * 5}, "plugin.json: line 1: id: expected 3 to 190 of the characters"),
        ({"id": "a" * 191}, "plugin.json: line 1: id: expected 3 to 190 of the characters"),
        ({"name": ""}, "plugin.json: line 1: name: is missing; expected the name people see"),
        ({"version": "1.2"}, "plugin.json: line 1: version: expected a version such as 1.2.3, found '1.2'"),
        ({"min_server_version": "v9.0.0"}, "plugin.json: line 1: min_server_version: expected a version"),
        ({"server": []}, "plugin.json: line 1: server: expected an object, found a list"),
        ({"server": {}}, "plugin.json: line 1: server.executable: expected the path of the program"),
        ({"server": {"executable": True}}, "plugin.json: line 1: server.executable: expected text, found a boolean"),
        (
            {"server": {"executable": "p", "runtime": "java"}},
            "plugin.json: line 1: server.runtime: expected one of go, python",
        ),
        (
            {"server": {"executables": {"linux-amd64": 1}}},
            "plugin.json: line 1: server.executables.linux-amd64: expected text",
        ),
        (
            {"server": {"executable": "p.py", "python": {"dependency_mode": "poetry"}}},
            "plugin.json: line 1: server.python.dependency_mode: expected one of system, venv, bundled, found 'poetry'",
        ),
        ({"settings_schema": "x"}, "plugin.json: line 1: settings_schema: expected an object, found text"),
        ({"props": 1.5}, "plugin.json: line 1: props: expected an object, found a number"),
    ],
)
def test_wrong_field(fields: dict[str, object], sentence: str) -> None:
    """File, dotted field and what was expected stand in one sentence."""
    with pytest.raises(ManifestError) as raised:
        parse(**fields)
    assert str(raised.value).startswith(sentence)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("octets", "sentence"),
    [
        (b"", "plugin.json: line 1, column 1: bad JSON"),
        (b'{\n"id" 5}', "plugin.json: line 2, column 6: bad JSON"),
        (b"\xef\xbb\xbf{}", "plugin.json: line 1: begins with a byte order mark"),
        (b'{\n"id": "\xff"}', "plugin.json: line 2: expected UTF-8, found octet 0xff"),
        (b'{"id": NaN}', "plugin.json: bad JSON: JSON has no NaN"),
        (b"[" * 100_000, "plugin.json: bad JSON"),
        (b"9" * 10_000, "plugin.json: bad JSON"),
        (b"[]", "plugin.json: expected an object with the plugin's id, found a list"),
    ],
)
def test_bad_json(octets: bytes, sentence: str) -> None:
    """Bad JSON is told with its place."""
    with pytest.raises(ManifestError) as raised:
        parse_manifest(octets)
    assert str(raised.value).startswith(sentence)


def test_load(tmp_path: Path) -> None:
    """The file is found in the bundle's root, and named in errors."""
    (tmp_path / "plugin.json").write_text(json.dumps(SMALL))
    assert load_manifest(tmp_path).id == "com.example.guard"
    (tmp_path / "plugin.json").write_text("{")
    with pytest.raises(ManifestError, match=r"plugin\.json: line 1, column 2"):
        load_manifest(tmp_path)


def test_load_missing(tmp_path: Path) -> None:
    """A missing folder, a missing file and a file for a folder each have their own sentence."""
    with pytest.raises(ManifestError, match="no such folder"):
        load_manifest(tmp_path / "nowhere")
    with pytest.raises(ManifestError, match=r"no such file; the root of a plugin must hold plugin\.json"):
        load_manifest(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(ManifestError, match="found a file"):
        load_manifest(tmp_path / "file")
    for name in ("my bundle.tar.gz", "b.tgz"):
        (tmp_path / name).touch()
        with pytest.raises(ManifestError) as caught:
            load_manifest(tmp_path / name)
        folder = str(tmp_path / name.partition(".")[0])
        packed, to = shlex.quote(str(tmp_path / name)), shlex.quote(folder)
        assert f"found a packed bundle; unpack it with: mkdir {to} && tar -xzf {packed} -C {to}, and" in str(
            caught.value
        )
    (tmp_path / "plugin.json").touch()
    with pytest.raises(ManifestError) as caught:
        load_manifest(tmp_path / "plugin.json")
    assert str(caught.value).endswith(f"found its manifest; give {tmp_path}")
    (tmp_path / "plugin.json").unlink()
    (tmp_path / "plugin.json").mkdir()
    with pytest.raises(ManifestError, match=r"plugin.json: cannot be read"):
        load_manifest(tmp_path)


def check_manifest_or_error(octets: bytes) -> None:
    try:
        manifest = parse_manifest(octets)
    except ManifestError as error:
        text = str(error)
    else:
        text = f"plugin.json: {manifest.id}"
    assert text.startswith("plugin.json: ")


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
_NAMES = ("id", "name", "version", "server", "settings_schema", "props")
_server = st.dictionaries(st.sampled_from(("executable", "executables", "runtime", "python")), _json)


@given(st.dictionaries(st.sampled_from(_NAMES), _json | _server) | _json)
def test_any_json(value: object) -> None:
    """Whatever JSON holds, the answer is a manifest or ManifestError."""
    check_manifest_or_error(json.dumps(value).encode())


@given(st.binary(max_size=30))
def test_any_octets(octets: bytes) -> None:
    """Whatever the file holds, the answer is a manifest or ManifestError."""
    check_manifest_or_error(octets)


@pytest.mark.parametrize(
    ("fields", "warnings"),
    [
        ({"nmae": 1}, ["plugin.json: line 1: nmae: is no field of a manifest and is ignored; did you mean name?"]),
        (
            {"server": {"executable": "x", "runtme": "python", "python": {"venv-path": "v"}}},
            [
                "plugin.json: line 1: server.runtme: is no field of a manifest and is ignored; did you mean runtime?",
                "server.python.venv-path: is no field of a manifest and is ignored; did you mean venv_path?",
            ],
        ),
        (
            {"executable": "x"},
            ["executable: is no field of a manifest and is ignored; did you mean server.executable?"],
        ),
        ({"Runtime": "x", "server": {"executable": "x", "Runtime": "python"}}, ["server.runtime?", "runtime?"]),
        ({"quite_else": 1}, ["plugin.json: line 1: quite_else: is no field of a manifest and is ignored"]),
        ({"$schema": "s", "webapp": {"x": 1}, "props": {"x": 1}, "settings_schema": {"x": 1}, "server": None}, []),
        ({"server": {"executable": "x", "executables": {"linux-amd64": "x"}}}, []),
    ],
)
def test_unknown_fields_are_told(fields: dict[str, object], warnings: list[str]) -> None:
    """An unknown field fails nothing, but is told with its line and what was probably meant, in its section first."""
    found = parse(**fields).warnings
    assert len(found) == len(warnings)
    assert all(told.endswith(wanted) for told, wanted in zip(found, warnings, strict=True)), found


def test_a_setting_of_a_type_that_there_is_not_is_told() -> None:
    """A server would refuse the manifest; here it is a warning, with the line and the types there are."""
    settings = [{"key": "a", "type": "text"}, {"key": "b"}, {"key": "c", "type": "numbr"}, {"key": "d", "type": ["x"]}]
    (misspelt, listed) = parse(settings_schema={"settings": settings}).warnings
    assert misspelt.startswith("plugin.json: line 1: settings_schema.settings: setting 3 has type 'numbr', which a ")
    assert misspelt.endswith("longtext, number, radio, text, username")
    assert "setting 4 has type ['x']" in listed


@given(st.dictionaries(st.text(max_size=12), st.none() | st.integers(), max_size=4))
def test_any_unknown_field_is_told_once(more: dict[str, object]) -> None:
    """Whatever other names a manifest has, each has one warning."""
    more = {name: value for name, value in more.items() if name not in {*Manifest.__dataclass_fields__, "webapp"}}
    found = parse(**more).warnings
    assert len(found) == len(more)
    assert len(parse(**more, warnings=1).warnings) == len(more) + 1


def test_misspelt_executable_is_named() -> None:
    """A manifest that is refused for what is missing says which unknown field may be meant for it."""
    with pytest.raises(ManifestError, match=r"server\.executable: expected .*; is excutable meant for it\?"):
        parse(server={"excutable": "plugin.py"})


def test_byte_order_mark_in_yaml() -> None:
    """YAML may begin with a byte order mark, as the server reads it too."""
    assert parse_manifest(b"\xef\xbb\xbfid: com.example.x\nname: x\n", where="plugin.yaml").id == "com.example.x"


def test_half_a_character_in_yaml() -> None:
    """Half of a surrogate pair is refused in YAML as in JSON."""
    with pytest.raises(ManifestError, match="half of a surrogate pair"):
        parse_manifest(rb'{id: com.example.x, name: "\ud800"}', where="plugin.yaml")
