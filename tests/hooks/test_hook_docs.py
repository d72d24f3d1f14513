"""The page about hooks is what the hook table says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from mm_plugin.hooks.table import HOOK_TABLE

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "reference" / "hooks.md"


def check(root: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(root / "tools" / "hook_docs.py"), "--check"]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=root)


def test_the_page_is_up_to_date() -> None:
    """The generator would change nothing."""
    result = check(ROOT)
    assert (result.returncode, result.stdout) == (0, ""), result.stderr


def test_a_difference_is_shown_and_fails(tmp_path: Path) -> None:
    """On an outdated page --check prints the difference, exits 1 and writes nothing."""
    (tmp_path / "mm_plugin").symlink_to(ROOT / "mm_plugin")
    for name in ("tools/hook_docs.py", "tools/generated_file.py", "docs/reference/hooks.md"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text((ROOT / name).read_text())
    page = tmp_path / "docs" / "reference" / "hooks.md"
    page.write_text(old := page.read_text().replace("UserWillLogIn", "UserMayLogIn"))
    result = check(tmp_path)
    assert result.returncode == 1
    assert "-### UserMayLogIn" in result.stdout
    assert "+### UserWillLogIn" in result.stdout
    assert page.read_text() == old


def test_every_hook_has_a_section_with_its_arguments() -> None:
    """No row is missing, and each shows its method and arguments."""
    text = PAGE.read_text()
    for row in HOOK_TABLE.values():
        (section,) = (part for part in text.split("\n### ") if part.startswith(f"{row.name}\n"))
        assert f"def {row.method}(" in section
        assert all(f"{argument}: " in section for argument in row.arguments)
