"""The models that authors import."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from importlib import import_module
from importlib.metadata import version
from pathlib import Path

import mm_plugin
from mm_plugin.messages.helpers import new_id, now_ms, props_of, time_of
from mm_plugin.messages.posts import Post

ROOT = Path(mm_plugin.__file__).parent


def test_every_model_of_the_contract_stands_at_the_front_door() -> None:
    """Each message and enum that is no request or response of an rpc can be imported from mm_plugin."""
    from mm_plugin._proto._pool import POOL
    from mm_plugin._proto.services import api_methods, hook_methods

    of_calls = {
        cls.DESCRIPTOR.name
        for method in (*api_methods().values(), *hook_methods().values())
        for cls in (method.request, method.response)
    }
    private = {"Empty", "ServeHTTPRequestInit", "ServeHTTPResponseInit", "HTTPHeader"}
    files = {POOL.FindMessageTypeByName(f"mattermost.pluginapi.v1.{name}").file for name in of_calls}
    seen: set[str] = set()
    while files:
        file = files.pop()
        if file.package != "mattermost.pluginapi.v1" or file.name in seen:
            continue
        seen.add(file.name)
        files.update(file.dependencies)
        for name in (*file.message_types_by_name, *file.enum_types_by_name):
            if name not in of_calls and name not in private:
                assert hasattr(mm_plugin, name), f"{name} of {file.name} is missing"
    assert len(seen) > 20


def test_the_lazy_names_and_the_typed_names_are_the_same() -> None:
    """What a type checker sees is what an import finds: same names, same homes."""
    import ast

    tree = ast.parse((ROOT / "__init__.py").read_text())
    blocks = (node for node in tree.body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING")
    (block,) = blocks
    typed = {
        alias.name: node.module
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if alias.asname == alias.name
    }
    lazy = {name: f"mm_plugin.{home}" for name, home in mm_plugin._HOMES.items()}
    assert typed == lazy


def test_every_lazy_name_can_be_imported() -> None:
    """No entry of the front door leads nowhere, and an unknown name is an AttributeError."""
    for name, home in mm_plugin._HOMES.items():
        assert getattr(mm_plugin, name) is getattr(import_module(f"mm_plugin.{home}"), name)
    assert not hasattr(mm_plugin, "no_such_name")
    assert "Plugin" in dir(mm_plugin)


def test_the_front_door_loads_nothing_by_itself() -> None:
    """Importing the package imports no room of it."""
    code = "import sys, mm_plugin; print([m for m in sys.modules if m.startswith('mm_plugin.')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_no_room_imports_the_front_door() -> None:
    """Inside the package names come from their homes; only submodules are imported from the root."""
    import ast

    folders_and_modules = {path.stem for path in ROOT.iterdir()}
    for path in ROOT.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module == "mm_plugin":
                assert {alias.name for alias in node.names} <= folders_and_modules, path


def test_the_version_is_the_distributions() -> None:
    """One version, in pyproject.toml and at the front door."""
    assert mm_plugin.__version__ == version("mm-plugin")


def test_ids_look_like_the_servers() -> None:
    """26 characters of the server's alphabet, never twice."""
    ids = {new_id() for _ in range(1000)}
    assert len(ids) == 1000
    assert all(len(id_) == 26 and set(id_) <= set("ybndrfg8ejkmcpqxot1uwisza345h769") for id_ in ids)


def test_times_are_milliseconds_and_zero_is_never() -> None:
    """A time of the server becomes a datetime in UTC."""
    assert time_of(0) is None
    assert time_of(1_700_000_000_123) == datetime(2023, 11, 14, 22, 13, 20, 123_000, tzinfo=UTC)
    now = time_of(now_ms())
    assert now is not None
    assert abs((datetime.now(UTC) - now).total_seconds()) < 60


def test_props_are_a_plain_dict_with_whole_numbers() -> None:
    """Props come out as Python values, ints as ints."""
    post = Post(props={"count": 3, "share": 0.5, "tags": ["a", None], "deep": {"yes": True}})
    props = props_of(post)
    assert props == {"count": 3, "share": 0.5, "tags": ["a", None], "deep": {"yes": True}}
    assert type(props["count"]) is int
    assert props_of(Post()) == {}
