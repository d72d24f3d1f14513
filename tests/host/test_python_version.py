"""Which versions a manifest may ask for, and what an interpreter answers."""

import sys
from pathlib import Path

import pytest

from mm_plugin.exceptions import ConfigurationError, ManifestError
from mm_plugin.host.python_version import check_python_version, parse_python_version

BUNDLE = Path("bundle")


@pytest.mark.parametrize(
    ("text", "version", "fits"),
    [
        ("3", (3, 11, 2), True),
        ("3.11", (3, 11, 0), True),
        ("3.11", (3, 12, 1), True),
        ("3.11", (3, 10, 9), False),
        ("3.11+", (3, 14, 0), True),
        (">=3.11,<3.14", (3, 13, 9), True),
        (">= 3.11 , < 3.14", (3, 14, 0), False),
        (">3.11", (3, 11, 5), False),
        (">3.11", (3, 12, 0), True),
        ("<=3.12", (3, 12, 7), True),
        ("==3.12", (3, 12, 7), True),
        ("==3.12.*", (3, 13, 0), False),
        ("!=3.12", (3, 12, 7), False),
        ("~=3.11", (3, 14, 0), True),
        ("~=3.11.4", (3, 12, 0), False),
        ("~=3.11.4", (3, 11, 4), True),
        ("3.9", (3, 11, 0), True),  # as numbers, not as text
    ],
)
def test_comparison(text: str, version: tuple[int, ...], fits: bool) -> None:
    """A number alone means "or newer"; comparisons are those of Python's packages."""
    test = parse_python_version(text)
    assert test is not None
    assert test(version) is fits


@pytest.mark.parametrize("text", ["latest", "3.x", ">=", "3.11,", "=3.11", "3.11 or newer", "3.1.2.3", "-3"])
async def test_no_version(text: str) -> None:
    """Any other text is an error of the manifest."""
    with pytest.raises(ManifestError, match="python_version: expected a version such as"):
        await check_python_version(BUNDLE, Path(sys.executable), text)


async def test_interpreter(tmp_path: Path) -> None:
    """An interpreter is asked; one of another version and one that is none are refused."""
    other = tmp_path / "python"
    other.symlink_to(sys.executable)
    await check_python_version(BUNDLE, other, "3.11")
    await check_python_version(BUNDLE, Path("/nowhere"), "")
    for python in (other, Path(sys.executable)):
        with pytest.raises(ConfigurationError, match=r"expected Python >=4, but .*python.* is 3\.\d+\.\d+; give"):
            await check_python_version(BUNDLE, python, ">=4")
    for name in ("/nowhere", "/bin/false", "/bin/echo"):
        with pytest.raises(ConfigurationError, match="does not say its version; is it a Python"):
            await check_python_version(BUNDLE, Path(name), "3.11")
