"""docs/reference/host-errors.md: every line of it is provoked, and says what the page says."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

from tests.host.error_cases import CASES
from tests.host.guard_plugin import ROOT

pytestmark = pytest.mark.usefixtures("nothing_left")

PAGE = ROOT / "docs" / "reference" / "host-errors.md"
ROWS: dict[str, str] = dict(re.findall(r"^\| ([^|]+) \| (.+) \| [^|]+ \|$", PAGE.read_text(), re.MULTILINE))
del ROWS["cause"], ROWS["---"]

for module_of_cases in ("errors_before_start", "errors_of_processes"):
    import_module(f"tests.host.{module_of_cases}")  # fills CASES


def test_page_and_cases_agree() -> None:
    """Each line of the page has a case, and each case a line."""
    assert set(ROWS) == set(CASES)


@pytest.mark.parametrize("cause", CASES)
async def test_sentence(cause: str, tmp_path: Path) -> None:
    """The cause brings the sentence of the page, on one line."""
    said = await CASES[cause](tmp_path)
    assert "\n" not in said
    pattern = ".+?".join(re.escape(part) for part in ROWS[cause].split("…"))
    assert re.fullmatch(rf"(com\.example\.x: The plugin )?{pattern}.*", said), said


RAISED_IN = (
    "messages/manifest.py", "messages/manifest_text.py", "host/find.py", "host/faults.py", "host/host.py",
    "host/installing.py", "host/life.py", "host/process.py", "host/python_version.py", "settings.py",
    "wire/handshake.py", "devserver/watch.py",
)  # fmt: skip
#: Said by a plugin that writes a handshake, not by the host that reads it.
NOT_READ = "cannot be said in one handshake line: an address may not hold '|'"
#: Functions whose text argument becomes an error's.
SAID_BY = {"ManifestError", "ConfigurationError", "HandshakeError", "PluginStartError", "wrong", "start_error", "run"}


def sentences(module: str) -> Iterator[str]:
    """Give the fixed parts of each error's text in a module."""
    for node in ast.walk(ast.parse((ROOT / "mm_plugin" / module).read_text())):
        if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in SAID_BY:
            for argument in node.args:
                parts = argument.values if isinstance(argument, ast.JoinedStr) else [argument]
                texts = [part.value for part in parts if isinstance(part, ast.Constant) and isinstance(part.value, str)]
                words = (text.removeprefix("The plugin ").strip(' :;,("') for text in texts)
                yield from (text for text in words if len(text.split()) > 2 and text != NOT_READ)


@pytest.mark.parametrize("module", RAISED_IN)
def test_the_page_is_complete(module: str) -> None:
    """Every text that a manifest, a path, a handshake or a start can be refused with stands on the page."""
    page = " ".join(PAGE.read_text().replace("`", "").split())
    missing = [text for text in sentences(module) if text not in page]
    assert missing == []
