"""Rules of the house that no linter knows."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MODULES = sorted(path for path in (ROOT / "mm_plugin").rglob("*.py") if "_proto" not in path.parts)
TESTS = sorted((ROOT / "tests").rglob("*.py"))


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_module_says_its_job_and_stays_small(path: Path) -> None:
    """The first line is a docstring; 400 lines are the end."""
    source = path.read_text()
    assert source.startswith('"""'), "open with a docstring that says the one job of the file"
    assert source.count("\n") <= 400, "split it by meaning"


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_only_the_process_layer_and_the_commands_start_a_loop(path: Path) -> None:
    """anyio.run is called in supervisor/run.py, in cli/ and in tools that are programs of their own."""
    calls = [
        node
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "anyio.run"
    ]
    programs = {"mm_plugin/supervisor/run.py", "mm_plugin/testing/parity.py"}
    allowed = path.parent.name == "cli" or name_of(path) in programs
    assert allowed or not calls


def test_there_is_one_backend_matrix() -> None:
    """Only tests/conftest.py defines the anyio_backend fixture."""
    found = [
        name_of(path)
        for path in TESTS
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == "anyio_backend"
    ]
    assert found == ["tests/conftest.py"]


def test_every_test_says_what_it_expects() -> None:
    """Each test has a docstring: the suite reads as a specification."""
    silent = [
        f"{name_of(path)}:{node.lineno} {node.name}"
        for path in TESTS
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name.startswith("test_")
        and not ast.get_docstring(node)
    ]
    assert silent == []


def test_nothing_names_a_registry_or_a_machine() -> None:
    """No file that is kept names the host of a package registry or a path of somebody's machine."""
    hosts = ("pyth~onhosted", "py~pi.org", "proxy.go~lang", "registry.np~mjs", "/ro~ot/")
    words = [host.replace("~", "") for host in hosts]
    for path in ROOT.rglob("*"):
        parts = path.relative_to(ROOT).parts
        hidden = any(part.startswith(".") and part != ".ci" for part in parts)
        if not path.is_file() or hidden or "__pycache__" in parts:
            continue
        if path.suffix in {".py", ".md", ".toml", ".txt", ".proto", ".sh", ".json", ".mod", ".sum", ""}:
            text = path.read_text(errors="ignore")
            assert not [word for word in words if word in text], name_of(path)


def test_what_types_need_comes_with_the_extras() -> None:
    """Mypy takes messages for Any without types-protobuf, so who develops or tests gets it; forms need their parser."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    for extra, names in {"dev": ("types-protobuf", "python-multipart"), "testing": ("types-protobuf", "httpx")}.items():
        assert set(names) <= {re.split("[<>=]", line)[0] for line in extras[extra]}
