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

#: Distributions, by the name of their top-level package.
PACKAGES = {"anyio", "google", "hpack", "mm_plugin", "sniffio", "typing_extensions"}
OF_LOOP = {
    "asyncio": set[str](),
    "uvloop": {"cython_runtime", "uvloop"},
    "trio": {"attr", "attrs", "idna", "outcome", "sortedcontainers", "trio"},
}
#: What Trio loads of them for its own use.
BY_LOOP = {"asyncio": set[str](), "uvloop": set[str](), "trio": {"ctypes.util"}}
#: Standard modules that are slow to load and that nothing in a plugin's start has a use for.
HEAVY = {
    "argparse", "cProfile", "ctypes.util", "doctest", "email", "ftplib", "html", "http", "multiprocessing", "pdb",
    "pydoc", "sqlite3", "tkinter", "unittest", "urllib.request", "wsgiref", "xml", "zipfile",
}  # fmt: skip
#: Rooms of our own that a plugin process may load, and those it never may.
ROOMS = {
    "_proto", "api", "exceptions", "hooks", "limits", "messages", "plugin", "serve_http", "settings", "supervisor",
    "transport", "types", "wire",
}  # fmt: skip
NOT_YET = {
    "mm_plugin.messages.manifest",
    "mm_plugin.plugin.settings_keeper",
    "mm_plugin.plugin.settings_model",
    "mm_plugin.serve_http.asgi",
    "mm_plugin.serve_http.multipart",
    "mm_plugin.serve_http.wsgi",
    "mm_plugin.transport.memory",
    "mm_plugin.transport.grpc.host_link",
}


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


@pytest.mark.parametrize(
    "loop", ["asyncio", "trio", pytest.param("uvloop", marks=[] if find_spec("uvloop") else pytest.mark.skip)]
)
def test_a_plugin_process_loads_what_it_may(loop: str, tmp_path: Path) -> None:
    """A minimal plugin loads the packages and rooms of the list, nothing heavy, and only its own event loop."""
    modules = loaded(loop, tmp_path)
    packages = {name.partition(".")[0] for name in modules} - sys.stdlib_module_names
    packages = {name for name in packages if not name.startswith("_")}
    assert packages <= PACKAGES | OF_LOOP[loop]
    assert {"anyio", "google", "hpack", "mm_plugin"} <= packages
    assert not modules & HEAVY - BY_LOOP[loop]
    assert loop != "trio" or "asyncio" not in modules
    rooms = {name.split(".")[1] for name in modules if name.startswith("mm_plugin.")}
    assert rooms <= ROOMS
    assert not modules & NOT_YET
    assert not {name for name in modules if name.startswith("mm_plugin._proto.") and name.endswith("_grpc")}
