"""Find what to run: is a bundle a Python plugin, which interpreter, which script, or which program.

Job:    turn bundle and manifest into one command line, or say what is wrong with them.
Layer:  host. Looks at the file system; starts nothing.
Errors: ManifestError for what the manifest says, ConfigurationError for what the machine lacks.
See:    reference of the Go host's Python supervisor, sections 1.1 and 1.2. Unlike it, ``server.python`` is honoured,
        an interpreter must be executable, and the path that is checked is the path that is run.
"""

from __future__ import annotations

import os
import platform
import shutil
import sys
from pathlib import Path

from mm_plugin.exceptions import ConfigurationError, ManifestError
from mm_plugin.messages.manifest import Manifest, ManifestServer, PythonSettings

__all__ = (
    "find_interpreter",
    "find_script",
    "is_python_plugin",
    "machine_interpreter",
    "platform_name",
    "plugin_command",
    "requirements_to_install",
)

_VENVS = ("venv", ".venv")
_INTERPRETERS = ("bin/python", "bin/python3")
_ON_PATH = ("python3", "python")
_MACHINES = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}


def platform_name() -> str:
    """Return this machine's name in ``server.executables``, such as ``linux-amd64``."""
    machine = platform.machine().lower()
    return f"{sys.platform}-{_MACHINES.get(machine, machine)}"


def is_python_plugin(manifest: Manifest) -> bool:
    """Tell whether a plugin is to be run by Python: by its runtime, or because its executable ends in ``.py``."""
    server = manifest.server
    return server is not None and (server.runtime == "python" or server.executable_for(platform_name()).endswith(".py"))


def plugin_command(
    bundle: Path, manifest: Manifest, *, fallback: Path | None = None, installed: Path | None = None
) -> list[str]:
    """Return the command line that starts a plugin.

    Args:
        bundle: The bundle's folder.
        manifest: What the bundle says about itself.
        fallback: The interpreter to take where the bundle has none of its own, before PATH is searched; a developer's
            tool gives its own, ``Path(sys.executable)``, which certainly has this package.
        installed: The interpreter of an environment that was made of ``requirements_to_install``.

    Raises:
        ManifestError: The plugin has no server side, or what it names is not to be run.
        ConfigurationError: There is no interpreter.
    """
    server = manifest.server
    if server is None:
        raise ManifestError(f"{bundle}: server: is missing; expected the plugin's server side, there is nothing to run")
    script = find_script(bundle, server)
    if is_python_plugin(manifest):
        return [str(installed or _interpreter_for(bundle, server.python, fallback)), str(script)]
    if not os.access(script, os.X_OK):
        raise ManifestError(
            f"{bundle}: server.executable: {script} cannot be executed; make it executable with: chmod +x {script}, "
            'or say that it is Python: "runtime": "python"'
        )
    return [str(script)]


def requirements_to_install(bundle: Path, manifest: Manifest) -> Path | None:
    """Return the requirements file of a plugin that asks for a virtual environment and brings none; else None.

    Raises:
        ManifestError: A path leads out of the bundle, or the file is not there.
    """
    server = manifest.server
    if server is None or not is_python_plugin(manifest) or server.python.dependency_mode != "venv":
        return None
    find_script(bundle, server)  # before anything is installed for it
    requirements = _requirements(bundle, server.python)
    venv_path = server.python.venv_path
    venvs = [_inside(bundle, venv_path, f"{bundle}: server.python.venv_path")] if venv_path else _own_venvs(bundle)
    return None if any(venv.is_dir() for venv in venvs) else requirements


def _own_venvs(bundle: Path) -> list[Path]:
    return [bundle / name for name in _VENVS]


def _requirements(bundle: Path, python: PythonSettings) -> Path | None:
    if not python.requirements_path:
        return None
    where = f"{bundle}: server.python.requirements_path"
    path = _inside(bundle, python.requirements_path, where)
    if not path.is_file():
        raise ManifestError(f"{where}: there is no file {python.requirements_path!r} in the bundle")
    return path


def _interpreter_for(bundle: Path, python: PythonSettings, fallback: Path | None) -> Path:
    """Return the interpreter that ``server.python`` asks for; what it names must be there."""
    requirements = python.requirements_path if _requirements(bundle, python) else ""
    match python.dependency_mode:
        case "system" | "bundled" if python.venv_path:
            raise ManifestError(
                f"{bundle}: server.python.venv_path: a virtual environment is not used with dependency_mode "
                f'"{python.dependency_mode}"; leave one of the two out'
            )
        case "system" | "bundled":
            return machine_interpreter(bundle, fallback)
        case "venv" if not python.venv_path and not any(venv.is_dir() for venv in _own_venvs(bundle)):
            install = f" && venv/bin/pip install -r {requirements}" if requirements else ""
            raise ManifestError(
                f'{bundle}: server.python.dependency_mode: expected a virtual environment for "venv", found neither '
                f"venv nor .venv; make it with: cd {bundle} && python3 -m venv venv{install}"
            )
        case _:
            return find_interpreter(bundle, python.venv_path, fallback=fallback)


def find_script(bundle: Path, server: ManifestServer) -> Path:
    """Return the plugin's script, resolved: exactly the file that is then run.

    Raises:
        ManifestError: It is missing, no file, or not inside the bundle (also by a symbolic link).
    """
    executable = server.executable_for(platform_name())
    where = f"{bundle}: server.executable"
    if not executable:
        raise ManifestError(f"{where}: is missing, and server.executables has no {platform_name()}")
    if Path(executable).is_absolute():
        raise ManifestError(f"{where}: expected a path inside the bundle, found the absolute path {executable!r}")
    try:
        root = bundle.resolve(strict=True)
        script = (root / executable).resolve(strict=True)
    except (OSError, ValueError, RuntimeError):  # missing, a null character, a loop of links
        raise ManifestError(f"{where}: there is no file {executable!r} in the bundle") from None
    if not script.is_relative_to(root):
        raise ManifestError(f"{where}: expected a path inside the bundle, {executable!r} leads out of it to {script}")
    if not script.is_file():
        raise ManifestError(f"{where}: expected a file, {executable!r} is none")
    return script


def find_interpreter(
    bundle: Path, venv_path: str = "", *, fallback: Path | None = None, search_path: str | None = None
) -> Path:
    """Return the Python to run a bundle with.

    The order: the manifest's ``venv_path``, which must then hold one; ``venv`` and ``.venv`` in the bundle's root;
    ``fallback``; ``python3`` and ``python`` on PATH. Links are kept, for a virtual environment is known by its path.

    Args:
        bundle: The bundle's folder.
        venv_path: ``server.python.venv_path`` of the manifest.
        fallback: An interpreter that goes before PATH.
        search_path: Instead of the PATH variable.

    Raises:
        ManifestError: ``venv_path`` leads out of the bundle or holds no interpreter.
        ConfigurationError: There is none, or the one in the bundle cannot be executed.
    """
    root = Path(os.path.abspath(bundle))
    if venv_path:
        where = f"{bundle}: server.python.venv_path"
        venv = _inside(root, venv_path, where)
        found = _in_venv(venv)
        if found is None:
            raise ManifestError(
                f"{where}: there is no bin/python in {venv_path!r}; make it with: python3 -m venv {venv}"
            )
        return found
    for name in _VENVS:
        found = _in_venv(root / name)
        if found is not None:
            return found
    return machine_interpreter(bundle, fallback, search_path)


def machine_interpreter(bundle: Path, fallback: Path | None, search_path: str | None = None) -> Path:
    """Return the Python that is not the bundle's own: ``fallback``, else that on PATH.

    Raises:
        ConfigurationError: There is none.
    """
    if fallback is not None:
        return fallback
    for name in _ON_PATH:
        on_path = shutil.which(name, path=search_path)
        if on_path is not None:
            return Path(os.path.abspath(on_path))
    raise ConfigurationError(
        f"{bundle}: no Python to run the plugin with: neither venv/bin/python nor .venv/bin/python in the bundle, "
        "nor python3 or python on PATH"
    )


def _inside(bundle: Path, path: str, where: str) -> Path:
    """Return a path of the manifest, links kept; it must not lead out of the bundle."""
    inside = os.path.normpath(path)
    if os.path.isabs(inside) or inside.split(os.sep, 1)[0] == os.pardir:
        raise ManifestError(f"{where}: expected a path inside the bundle, found {path!r}")
    return bundle / inside


def _in_venv(venv: Path) -> Path | None:
    for name in _INTERPRETERS:
        candidate = venv / name
        if candidate.is_file() and os.access(candidate, os.X_OK):
            return candidate
        if os.path.lexists(candidate):
            # Taking another Python in silence would only fail later, at the plugin's first import.
            raise ConfigurationError(
                f"{candidate}: is there but cannot be executed; make it anew: python3 -m venv --clear {venv}"
            )
    return None
