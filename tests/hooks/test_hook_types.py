"""The types of ``@hook`` are what the hook table and Plugin's methods say."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
MODULE = "mm_plugin/hooks/decorator_types.py"


def check(root: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(root / "tools" / "hook_types.py"), "--check"]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=root)


def test_the_types_are_up_to_date() -> None:
    """The generator would change nothing."""
    result = check(ROOT)
    assert (result.returncode, result.stdout) == (0, ""), result.stderr


def test_a_type_that_differs_is_shown_and_fails(tmp_path: Path) -> None:
    """With outdated types --check prints the difference, exits 1 and writes nothing."""
    for name in ("tools", "mm_plugin", "mm_plugin/hooks"):
        (tmp_path / name).mkdir()
    for folder in ("mm_plugin", "mm_plugin/hooks"):
        for entry in (ROOT / folder).iterdir():
            if not (tmp_path / folder / entry.name).exists():
                os.symlink(entry, tmp_path / folder / entry.name)
    for name in ("tools/hook_types.py", "tools/generated_file.py", "pyproject.toml"):
        (tmp_path / name).write_text((ROOT / name).read_text())
    module = tmp_path / MODULE
    module.unlink()
    module.write_text(old := (ROOT / MODULE).read_text().replace("_UserWillLogIn", "_UserMayLogIn"))
    result = check(tmp_path)
    assert result.returncode == 1, result.stderr
    assert '-    _UserMayLogIn = TypeVar("_UserMayLogIn"' in result.stdout
    assert '+    _UserWillLogIn = TypeVar("_UserWillLogIn"' in result.stdout
    assert module.read_text() == old


def test_a_running_plugin_does_not_load_them() -> None:
    """Only type checkers read the module."""
    code = "import sys, mm_plugin as m; m.hook; m.Plugin; print('mm_plugin.hooks.decorator_types' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout == "False\n"
