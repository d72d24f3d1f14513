"""Code of the how-to pages at work, beyond that it imports; and the page of the manifest against the model."""

from __future__ import annotations

import re
import tarfile
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import cast

import anyio
import pytest

from mm_plugin.messages.manifest import FIELDS, Manifest, ManifestServer, PythonSettings

ROOT = Path(__file__).parents[2]


def blocks(page: str) -> list[dict[str, object]]:
    """Run each Python block of a page as a module, and return their names."""
    found: list[dict[str, object]] = []
    for block in re.findall(r"^```python\n(.*?)^```", (ROOT / "docs" / page).read_text(), re.DOTALL | re.MULTILINE):
        names: dict[str, object] = {"__name__": "docs"}
        exec(compile(block, page, "exec", dont_inherit=True), names)
        found.append(names)
    return found


@pytest.mark.parametrize("number", [0, 1])
async def test_tests_of_a_plugin(number: int, monkeypatch: pytest.MonkeyPatch, anyio_backend_name: str) -> None:
    """The tests that the page shows pass."""
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("MM_PLUGIN_BACKEND", anyio_backend_name)
    names = blocks("how-to/test-a-plugin.md")[number]
    (test,) = (value for name, value in names.items() if name.startswith("test_"))
    with anyio.fail_after(40):
        await cast("Callable[[], Awaitable[None]]", test)()


def test_a_bundle_holds_what_the_server_takes(tmp_path: Path) -> None:
    """Files and folders go in under their own names; links, environments and caches do not."""
    folder = tmp_path / "plugin"
    for name in ("plugin.json", "server/plugin.py", "server/__pycache__/x.pyc", "venv/bin/python", "tests/test_x.py"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    (folder / "link").symlink_to("plugin.json")
    make_bundle = cast("Callable[[Path, Path], list[str]]", blocks("how-to/deploy.md")[0]["make_bundle"])
    names = make_bundle(folder, tmp_path / "bundle.tar.gz")
    assert names == ["plugin.json", "server/plugin.py"]
    with tarfile.open(tmp_path / "bundle.tar.gz") as bundle:
        assert bundle.getnames() == names


def test_the_manifest_page_is_the_model() -> None:
    """Each field of the model, and each that is known and not kept, has one row in its section, and no row is left."""
    sections = re.split(r"^## ", (ROOT / "docs" / "reference" / "manifest.md").read_text(), flags=re.MULTILINE)
    rows = {
        section.splitlines()[0].strip("`"): re.findall(
            r"^\| `([$\w]+)` \|", section.split("| `dependency_mode` | the i")[0], re.MULTILINE
        )
        for section in sections[1:]
    }
    titles: Mapping[str, tuple[str, type]] = {
        "Fields": ("", Manifest),
        "server": ("server", ManifestServer),
        "server.python": ("server.python", PythonSettings),
    }
    for title, (section, model) in titles.items():
        assert sorted(rows[title]) == sorted(FIELDS[section])
        assert {field.name for field in fields(model)} - {"warnings"} <= set(rows[title])
