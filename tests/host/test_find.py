"""Which bundles are Python plugins, with which interpreter, and which script."""

import os
import sys
from pathlib import Path

import pytest

from mm_plugin.exceptions import ConfigurationError, ManifestError
from mm_plugin.host.find import find_interpreter, find_script, is_python_plugin, platform_name, plugin_command
from mm_plugin.messages.manifest import Manifest, ManifestServer, PythonSettings


def manifest(server: ManifestServer | None) -> Manifest:
    return Manifest(id="com.example.x", name="x", server=server)


def executable(path: Path, mode: int = 0o755) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(mode)
    return path


@pytest.mark.parametrize(
    ("server", "expected"),
    [
        (None, False),
        (ManifestServer(executable="server/plugin"), False),
        (ManifestServer(executable="plugin.py"), True),
        (ManifestServer(executable="plugin", runtime="python"), True),
        (ManifestServer(executable="plugin", runtime="go"), False),
        (ManifestServer(executable="plugin", executables={platform_name(): "other.py"}), True),
        (ManifestServer(executable="plugin.py", executables={platform_name(): "other"}), False),
        (ManifestServer(executable="plugin", executables={"plan9-mips": "other.py"}), False),
    ],
)
def test_is_python(server: ManifestServer | None, expected: bool) -> None:
    """Runtime or the platform's executable decides."""
    assert is_python_plugin(manifest(server)) is expected


def test_interpreter_order(tmp_path: Path) -> None:
    """Venv before .venv, python before python3, the bundle before the fallback, the fallback before PATH."""
    path = str(executable(tmp_path / "bin/python").parent)
    fallback = Path("/fallback/python")
    bundle = tmp_path / "bundle"
    assert find_interpreter(bundle, search_path=path) == tmp_path / "bin/python"
    executable(tmp_path / "bin/python3")
    assert find_interpreter(bundle, search_path=path) == tmp_path / "bin/python3"
    assert find_interpreter(bundle, fallback=fallback, search_path=path) == fallback
    for name in (".venv/bin/python3", ".venv/bin/python", "venv/bin/python3", "venv/bin/python"):
        executable(bundle / name)
        assert find_interpreter(bundle, fallback=fallback, search_path=path) == bundle / name


def test_interpreter_must_be_executable(tmp_path: Path) -> None:
    """On PATH a file without the x bit is passed over; in the bundle it is told, for it was meant."""
    executable(tmp_path / "a/python3", 0o644)
    executable(tmp_path / "b/python3")
    path = os.pathsep.join((str(tmp_path / "a"), str(tmp_path / "b")))
    assert find_interpreter(tmp_path, search_path=path) == tmp_path / "b/python3"
    executable(tmp_path / "venv/bin/python", 0o644)
    with pytest.raises(ConfigurationError, match="cannot be executed; make it anew"):
        find_interpreter(tmp_path, search_path=path)


def test_dangling_interpreter(tmp_path: Path) -> None:
    """A virtual environment whose Python has moved away is told."""
    (tmp_path / ".venv/bin").mkdir(parents=True)
    (tmp_path / ".venv/bin/python").symlink_to("/nowhere/python3")
    with pytest.raises(ConfigurationError, match=r"\.venv/bin/python: is there but cannot be executed"):
        find_interpreter(tmp_path)


def test_interpreter_keeps_links(tmp_path: Path) -> None:
    """The link inside a virtual environment is run as it is."""
    (tmp_path / "venv/bin").mkdir(parents=True)
    (tmp_path / "venv/bin/python").symlink_to(sys.executable)
    assert find_interpreter(tmp_path) == tmp_path / "venv/bin/python"


def test_interpreter_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A relative bundle gives an absolute interpreter: the process runs in another folder."""
    executable(tmp_path / "bundle/venv/bin/python")
    monkeypatch.chdir(tmp_path)
    assert find_interpreter(Path("bundle")) == tmp_path / "bundle/venv/bin/python"


def test_venv_path(tmp_path: Path) -> None:
    """The manifest's venv_path is honoured, and nothing replaces it."""
    executable(tmp_path / "venv/bin/python")
    wanted = executable(tmp_path / "server/env/bin/python3")
    assert find_interpreter(tmp_path, "server/./env/") == wanted
    with pytest.raises(ManifestError, match=r"server.python.venv_path: there is no bin/python in 'server/other'"):
        find_interpreter(tmp_path, "server/other")
    for out in ("../x", "/usr", "a/../../x", ".."):
        with pytest.raises(ManifestError, match="expected a path inside the bundle"):
            find_interpreter(tmp_path, out)


def test_no_interpreter(tmp_path: Path) -> None:
    """Without any Python the sentence lists where it was looked for."""
    with pytest.raises(ConfigurationError, match=r"neither venv/bin/python nor .* on PATH"):
        find_interpreter(tmp_path, search_path=str(tmp_path))


def test_script(tmp_path: Path) -> None:
    """The script is the resolved file inside the bundle, also through a link that stays inside."""
    script = executable(tmp_path / "server/plugin.py")
    (tmp_path / "link.py").symlink_to("server/plugin.py")
    assert find_script(tmp_path, ManifestServer(executable="server/plugin.py")) == script.resolve()
    assert find_script(tmp_path, ManifestServer(executable="server/../link.py")) == script.resolve()


def test_what_is_checked_is_what_is_run(tmp_path: Path) -> None:
    """A link that is bent after the check changes nothing: the command has the file, not the way to it."""
    bundle, script, outside = tmp_path / "bundle", tmp_path / "bundle/server/plugin.py", tmp_path / "outside"
    executable(script)
    executable(outside / "plugin.py")
    (bundle / "way").symlink_to("server")
    server = ManifestServer(executable="way/plugin.py", runtime="python")
    command = plugin_command(bundle, Manifest(id="x.y", name="x", server=server), fallback=Path("/python"))
    (bundle / "way").unlink()
    (bundle / "way").symlink_to(outside)
    assert command == ["/python", str(script.resolve())]
    assert Path(command[1]).resolve() == script.resolve()


def test_script_outside(tmp_path: Path) -> None:
    """Absolute paths, climbing ones and links that lead out are refused."""
    bundle = tmp_path / "bundle"
    bundle.mkdir()
    outside = executable(tmp_path / "outside.py")
    executable(bundle / str(outside).lstrip("/"))  # a relative file of the same name helps nobody
    (bundle / "link.py").symlink_to(outside)
    (bundle / "folder").symlink_to(tmp_path)
    for name in (str(outside), "../outside.py", "link.py", "folder/outside.py"):
        with pytest.raises(ManifestError, match="expected a path inside the bundle"):
            find_script(bundle, ManifestServer(executable=name))


def test_script_missing(tmp_path: Path) -> None:
    """Missing files, folders, loops and null characters each end in a ManifestError."""
    (tmp_path / "folder.py").mkdir()
    (tmp_path / "loop.py").symlink_to("loop.py")
    for name in ("missing.py", "folder.py", "loop.py", "a\0b.py"):
        with pytest.raises(ManifestError, match=r"server\.executable: "):
            find_script(tmp_path, ManifestServer(executable=name))
    with pytest.raises(ManifestError, match=f"server.executables has no {platform_name()}"):
        find_script(tmp_path, ManifestServer(executables={"plan9-mips": "x.py"}))


def test_command(tmp_path: Path) -> None:
    """Interpreter and script, and nothing else."""
    script = executable(tmp_path / "plugin.py")
    wanted = executable(tmp_path / "env/bin/python")
    server = ManifestServer(executable="plugin.py")
    assert plugin_command(tmp_path, manifest(server), fallback=Path("/f")) == ["/f", str(script.resolve())]
    server = ManifestServer(executable="plugin.py", python=PythonSettings(venv_path="env"))
    assert plugin_command(tmp_path, manifest(server), fallback=Path("/f")) == [str(wanted), str(script.resolve())]
    with pytest.raises(ManifestError, match="server: is missing"):
        plugin_command(tmp_path, manifest(None))


def test_other_program(tmp_path: Path) -> None:
    """A program in any language is run as it is; it must be executable."""
    program = executable(tmp_path / "server/plugin")
    server = ManifestServer(executable="server/plugin", runtime="go")
    assert plugin_command(tmp_path, manifest(server)) == [str(program.resolve())]
    program.chmod(0o644)
    with pytest.raises(ManifestError, match=r"cannot be executed; make it executable with: chmod \+x"):
        plugin_command(tmp_path, manifest(server))


def command(bundle: Path, **python: str) -> list[str]:
    server = ManifestServer(executable="plugin.py", python=PythonSettings(**python))
    return plugin_command(bundle, manifest(server), fallback=Path("/f"))


def test_dependency_mode(tmp_path: Path) -> None:
    """A mode of "venv" demands one in the bundle; "system" and "bundled" pass one over."""
    executable(tmp_path / "plugin.py")
    (tmp_path / "r.txt").touch()
    with pytest.raises(ManifestError, match=r"python3 -m venv venv && venv/bin/pip install -r r\.txt$"):
        command(tmp_path, dependency_mode="venv", requirements_path="r.txt")
    with pytest.raises(ManifestError, match='a virtual environment is not used with dependency_mode "system"'):
        command(tmp_path, dependency_mode="system", venv_path="venv")
    venv = executable(tmp_path / "venv/bin/python")
    assert command(tmp_path, dependency_mode="venv")[0] == str(venv)
    assert command(tmp_path, dependency_mode="venv", venv_path="venv")[0] == str(venv)
    assert command(tmp_path, dependency_mode="system")[0] == "/f"
    assert command(tmp_path, dependency_mode="bundled")[0] == "/f"


def test_requirements_path(tmp_path: Path) -> None:
    """The requirements file must be there, and inside the bundle."""
    executable(tmp_path / "plugin.py")
    with pytest.raises(ManifestError, match=r"server\.python\.requirements_path: there is no file 'r\.txt'"):
        command(tmp_path, requirements_path="r.txt")
    with pytest.raises(ManifestError, match=r"server\.python\.requirements_path: expected a path inside the bundle"):
        command(tmp_path, requirements_path="../r.txt")
