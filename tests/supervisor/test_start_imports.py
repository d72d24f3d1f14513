"""What a plugin process loads from start to stop: a list, because each module costs start time.

Whoever adds a line here has measured it: start to handshake is under 300 ms on asyncio and 350 ms on Trio
(``make bench``, lifecycle).
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from mm_plugin.settings import COOKIE_KEY, COOKIE_VALUE

PLUGIN = """
import sys
before = set(sys.modules)
from mm_plugin import Plugin, run_plugin
class Minimal(Plugin):
    pass
run_plugin(Minimal)
import json, os
os.write(2, json.dumps(sorted(set(sys.modules) - before)).encode())
"""

LIST = Path(__file__).with_name("plugin_imports.txt")
#: What Trio loads of them for its own use.
BY_LOOP = {"asyncio": set[str](), "uvloop": set[str](), "trio": {"ctypes.util"}}
#: Standard modules that are slow to load and that nothing in a plugin's start has a use for.
HEAVY = {
    "argparse", "cProfile", "ctypes.util", "doctest", "email", "ftplib", "html", "http", "multiprocessing", "pdb",
    "pydoc", "sqlite3", "tkinter", "unittest", "urllib.request", "wsgiref", "xml", "zipfile",
}  # fmt: skip
LOOPS = ["asyncio", "trio", pytest.param("uvloop", marks=[] if find_spec("uvloop") else pytest.mark.skip)]


def listed(section: str) -> set[str]:
    """Return the names of one section of the list; of one that is not there, none."""
    found: dict[str, set[str]] = {}
    names = set[str]()
    for line in LIST.read_text().splitlines():
        if line.startswith("["):
            names = found.setdefault(line.strip("[]"), set())
        elif line and not line.startswith("#"):
            names.add(line)
    return found.get(section, set())


def loaded(loop: str, folder: Path) -> set[str]:
    """Start a minimal plugin, stop it, and return the modules it has loaded."""
    environment = {COOKIE_KEY: COOKIE_VALUE, "MM_PLUGIN_BACKEND": loop, "MATTERMOST_PLUGIN_LOG_LEVEL": "ERROR"}
    with subprocess.Popen(
        [sys.executable, "-c", PLUGIN],
        env={**environment, "PYTHONPATH": str(Path(__file__).parents[2])},
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith(b"1|1|")
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=20)
    assert process.returncode == 0, errors.decode()
    return set(json.loads(errors.splitlines()[-1]))


def complain(surplus: set[str]) -> str:
    return f"{sorted(surplus)} is loaded when a plugin starts: load it later, or measure and add it to {LIST.name}"


@pytest.mark.parametrize("loop", LOOPS)
def test_a_plugin_process_loads_what_it_may(loop: str, tmp_path: Path) -> None:
    """A minimal plugin loads the packages and modules of the list, nothing heavy, and only its own event loop."""
    modules = loaded(loop, tmp_path)
    tops = {name.partition(".")[0] for name in modules}
    packages = {name for name in tops - sys.stdlib_module_names if not name.startswith("_")}
    assert not (surplus := packages - listed("packages") - listed(f"packages of {loop}")), complain(surplus)
    ours = {
        name.removeprefix("mm_plugin").removeprefix(".") or "(root)"
        for name in modules
        if name.partition(".")[0] == "mm_plugin"
    }
    allowed = listed("modules of mm_plugin")
    assert not (surplus := ours - allowed), complain(surplus)
    assert not (stale := allowed - ours), f"{sorted(stale)} is loaded no more: take it out of {LIST.name}"
    assert not modules & HEAVY - BY_LOOP[loop]
    assert loop != "trio" or "asyncio" not in modules
    if sys.version_info[:2] == (3, 11):  # which parts of itself the library loads differs from version to version
        standard = {name for name in tops & sys.stdlib_module_names if not name.startswith("_")}
        surplus = standard - listed("standard library") - listed(f"standard library of {loop}")
        assert not surplus, complain(surplus)
