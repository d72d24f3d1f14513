"""What a person reads of a mistake in a plugin class: the author's line and the message."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

HOSTED = {"MATTERMOST_PLUGIN": "Securely message teams, anywhere."}
OWN_FRAMES = f"{os.sep}mm_plugin{os.sep}"

MISTAKES = {
    "misspelt": "async def message_will_be_postet(self, context, post): ...",
    "signature": "async def message_will_be_posted(self, post): ...",
    "route": '@route("GET", "no-slash")\n    async def page(self, request, response): ...',
    "parameter": '@route("GET", "/{number}")\n    async def page(self, request, response): ...',
    "annotation": '@command("go")\n    async def go(self, when: complex) -> str: ...',
    "hook": '@hook("MessageWillBePostet")\n    async def screen(self, context, post): ...',
}


def run(tmp_path: Path, text: str, **environ: str) -> str:
    script = tmp_path / "guard.py"
    script.write_text(text)
    environ = {**{name: value for name, value in os.environ.items() if "MATTERMOST" not in name}, **HOSTED, **environ}
    done = subprocess.run([sys.executable, script], env=environ, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 1
    return done.stderr


def plugin(name: str) -> str:
    return f"from mm_plugin import Plugin, command, hook, route\n\n\nclass Guard(Plugin):\n    {MISTAKES[name]}\n"


@pytest.mark.parametrize("name", list(MISTAKES))
def test_the_authors_line_and_the_message(name: str, tmp_path: Path) -> None:
    """No frame of this package, and the last line says what is wrong."""
    shown = run(tmp_path, plugin(name))
    assert shown.startswith(
        f'Traceback (most recent call last):\n  File "{tmp_path}{os.sep}guard.py", line 4, in <module>\n'
    )
    assert OWN_FRAMES not in shown, shown
    last = shown.splitlines()[-1]
    assert last.startswith("mm_plugin.exceptions.")
    assert "[MMP10" in last


def test_everything_at_level_debug(tmp_path: Path) -> None:
    """Whoever looks for a mistake of this package gets all frames."""
    assert OWN_FRAMES in run(tmp_path, plugin("misspelt"), MATTERMOST_PLUGIN_LOG_LEVEL="DEBUG")


def test_other_errors_are_left_as_they_are(tmp_path: Path) -> None:
    """A traceback that is no mistake in a class keeps its frames."""
    shown = run(tmp_path, "from mm_plugin import Reject\n\nReject('')\n")
    assert OWN_FRAMES in shown
    assert shown.splitlines()[-1].startswith("ValueError: ")


def test_a_cause_in_the_authors_code_is_shown(tmp_path: Path) -> None:
    """What the author's own code raised on the way stays, from the author's line on."""
    text = (
        "from mm_plugin.exceptions import DeclarationError\n"
        "def broken():\n    raise KeyError('deep')\n"
        "try:\n    broken()\nexcept KeyError as error:\n    raise DeclarationError('no') from error\n"
    )
    shown = run(tmp_path, text)
    assert "KeyError: 'deep'" in shown
    assert "in broken" in shown


def test_other_programs_keep_their_hook(tmp_path: Path) -> None:
    """What is imported by a program that is no plugin's process leaves how its errors are shown to it."""
    text = "import sys\nimport mm_plugin\nsys.exit(1 if sys.excepthook is sys.__excepthook__ else 0)\n"
    assert run(tmp_path, text, MATTERMOST_PLUGIN="") == ""
