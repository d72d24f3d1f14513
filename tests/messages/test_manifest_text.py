"""Manifests as JSON and as YAML: the same model, and each error with its line."""

import json
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

from mm_plugin.exceptions import ManifestError
from mm_plugin.messages.manifest import load_manifest, parse_manifest
from mm_plugin.messages.manifest_text import decode_json, decode_yaml

YAML = """\
id: com.example.Guard   # lower-cased
name: Guard
version: 1.2.3
server:
  executable: plugin.py
  runtime: python
  python:
    venv_path: server/venv
settings_schema:
  settings:
    - {key: Words, default: [a, b]}
props: {released: 2026-01-02, ratio: 1.5, on: true}
"""


def error_of(text: str, where: str = "plugin.yaml") -> str:
    with pytest.raises(ManifestError) as raised:
        parse_manifest(text.encode(), where=where)
    assert "\n" not in str(raised.value)
    return str(raised.value)


def test_yaml_says_what_json_says() -> None:
    """The same manifest, whichever way it is written; a date stays text."""
    manifest = parse_manifest(YAML.encode(), where="plugin.yml")
    same = {
        "id": "com.example.Guard",
        "name": "Guard",
        "version": "1.2.3",
        "server": {"executable": "plugin.py", "runtime": "python", "python": {"venv_path": "server/venv"}},
        "settings_schema": {"settings": [{"key": "Words", "default": ["a", "b"]}]},
        "props": {"released": "2026-01-02", "ratio": 1.5, "true": True},
    }
    assert manifest == parse_manifest(json.dumps(same).encode())


@pytest.mark.parametrize("name", ["plugin.yaml", "plugin.yml"])
def test_load(tmp_path: Path, name: str) -> None:
    """Both names are found, and plugin.json comes first."""
    (tmp_path / name).write_text(YAML)
    assert load_manifest(tmp_path).id == "com.example.guard"
    (tmp_path / "plugin.json").write_text('{"id": "com.example.json", "name": "J"}')
    assert load_manifest(tmp_path).id == "com.example.json"


@pytest.mark.parametrize(
    ("text", "error"),
    [
        (YAML.replace("runtime: python", "runtime: java"), "plugin.yaml: line 6: server.runtime: expected one of"),
        (YAML.replace("server/venv", "[1]"), "plugin.yaml: line 8: server.python.venv_path: expected text, found a li"),
        (YAML.replace("1.2.3", "1.2"), "plugin.yaml: line 3: version: expected text, found a number"),
        ("id: x.y.z\nserver:\n  runtime: go\nname: X\n", "plugin.yaml: line 2: server.executable: expected the path"),
        ("id: x.y.z\n", "plugin.yaml: name: is missing"),
        ("id: [", "plugin.yaml: line 1, column 6: bad YAML: "),
        ("id: 'x", "plugin.yaml: line 1, column 7: bad YAML: "),
        ("id: x\n---\nid: y\n", "plugin.yaml: line 2, column 1: bad YAML: "),
        ("id: !!python/object:os.system x", "plugin.yaml: line 1, column 5: bad YAML: could not determine a construct"),
        ("a: &a [1]\nb: *a\n", "plugin.yaml: line 1: aliases are not read; write the value again"),
        ("a: &a [*a]\n", "plugin.yaml: line 1: aliases are not read"),
        ("a: .nan", "plugin.yaml: bad YAML: Out of range float values are not JSON compliant"),
        ("a: !!binary aGk=", "plugin.yaml: bad YAML: "),
        ("a: \x01", "plugin.yaml: bad YAML: unacceptable character"),
        ("[" * 1500, "plugin.yaml: bad YAML: "),
        ("", "plugin.yaml: expected an object with the plugin's id, found null"),
        ("- 1", "plugin.yaml: expected an object with the plugin's id, found a list"),
    ],
)
def test_bad_yaml(text: str, error: str) -> None:
    """File, line and field stand in one sentence."""
    assert error_of(text).startswith(error)


def test_line_of_a_json_field() -> None:
    """The line is the field's own, or its section's where it is missing, or none where there is no section either."""
    text = '{\n "id": "x.y.z",\n\n "name": "X", "props": {"server": [{}]},\n "server": {\n  "runtime": "go"%s\n}}'
    assert error_of(text % "", "plugin.json").startswith("plugin.json: line 5: server.executable: expected the path")
    wrong = error_of(text % ', "executable":\n 5', "plugin.json")
    assert wrong.startswith("plugin.json: line 6: server.executable: expected text")
    assert error_of("{}", "plugin.json").startswith("plugin.json: id: is missing")


def test_line_of_a_repeated_field() -> None:
    """Of two fields of one name the last one counts, and its line."""
    assert error_of('{"id": "x.y.z",\n"id": 5}', "plugin.json").startswith("plugin.json: line 2: id: expected text")


_TREES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=10,
)


@settings(max_examples=50)
@given(tree=st.dictionaries(st.text(max_size=3), _TREES, min_size=1, max_size=4), data=st.data())
def test_every_field_is_found(tree: dict[str, object], data: st.DataObject) -> None:
    """Every path of any document leads to the line where its key stands."""
    text = json.dumps(tree, indent=1)
    path: list[str] = []
    node: object = tree
    while isinstance(node, dict) and node and (not path or data.draw(st.booleans())):
        path.append(data.draw(st.sampled_from(sorted(node))))
        node = node[path[-1]]
    place = decode_json(text.encode(), "x").place(path)
    number = int(place.split(":")[1].removeprefix(" line "))
    assert text.splitlines()[number - 1].startswith(" " * len(path) + json.dumps(path[-1]) + ":")
    assert decode_yaml(text.encode(), "x").fields == tree


def test_without_pyyaml(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where PyYAML is not installed, the sentence says what to do."""
    monkeypatch.setitem(sys.modules, "yaml", None)
    assert error_of(YAML) == (
        "plugin.yaml: reading YAML needs PyYAML; install it with: pip install 'mm-plugin[dev]', "
        "or write the same as plugin.json"
    )
