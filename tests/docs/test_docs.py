"""The documentation: its code runs, its tables are complete, its links lead somewhere."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages

import pytest

import mm_plugin
from mm_plugin.exceptions import MMPluginError

ROOT = Path(__file__).parent.parent.parent
PAGES = sorted(
    page for page in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").rglob("*.md")]
)
BLOCKS = [
    pytest.param(block, id=f"{page.relative_to(ROOT)}-{number}")
    for page in PAGES
    for number, block in enumerate(re.findall(r"^```python\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE))
]


@pytest.mark.parametrize("block", BLOCKS)
def test_python_in_the_docs_runs(block: str) -> None:
    """Each block is a module that imports; plugin classes in it pass their checks at creation."""
    exec(compile(block, "<docs>", "exec", dont_inherit=True), {"__name__": "docs"})


def test_every_error_is_explained_once() -> None:
    """docs/reference/errors.md has one row for each exception class, under its own code."""
    for module in walk_packages(mm_plugin.__path__, "mm_plugin."):
        if "._proto" not in module.name and not module.name.startswith("mm_plugin.cli"):
            import_module(module.name)
    found: dict[str, str] = {}
    classes = [MMPluginError]
    while classes:
        cls = classes.pop()
        classes += cls.__subclasses__()
        if cls.__module__.startswith("mm_plugin.") and not cls.__name__.startswith("_"):
            if "docs_code" in vars(cls):
                assert cls.docs_code not in found, f"{cls.__name__} and {found[cls.docs_code]} share a code"
            found[cls.docs_code] = cls.__name__
    page = (ROOT / "docs" / "reference" / "errors.md").read_text()
    rows = dict(re.findall(r"^\| (MMP\d+) \| `(\w+)` \|", page, re.MULTILINE))
    assert rows == found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    """Every relative link of a page names a file that is there."""
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
        assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_see_lines_name_pages_that_exist() -> None:
    """A module that says where to read on names a page that is there."""
    for path in [*(ROOT / "mm_plugin").rglob("*.py")]:
        for target in re.findall(r"(?<!: )docs/[\w/-]+\.md", path.read_text()):
            assert (ROOT / target).exists(), f"{path.relative_to(ROOT)} names {target}"


def test_decisions_are_listed() -> None:
    """Each numbered decision stands in the table, under its own title."""
    folder = ROOT / "docs" / "decisions"
    table = (folder / "README.md").read_text()
    for page in sorted(folder.glob("0*.md")):
        title = page.read_text().splitlines()[0].removeprefix("# ")
        number, _, rest = title.partition(" ")
        assert page.name.startswith(number)
        assert f"[{number}]({page.name}) | {rest} |" in table
