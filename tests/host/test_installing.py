"""Requirements are installed where the manifest asks and the host's owner allows it: real venv, real pip."""

import fcntl
import logging
import os
import subprocess
import sys
import sysconfig
import time
import zipfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import anyio
import pytest

from mm_plugin.exceptions import ManifestError, PluginStartError
from mm_plugin.host.find import requirements_to_install
from mm_plugin.host.host import open_host
from mm_plugin.host.installing import requirements_digest
from mm_plugin.host.options import HostOptions
from mm_plugin.host.running_plugin import RunningPlugin
from mm_plugin.host.state import PluginState
from mm_plugin.messages.manifest import load_manifest
from tests.host.stubs import POLITE, QUICK, NoAPI, StubPlugin, StubWire, write_bundle

pytestmark = pytest.mark.usefixtures("nothing_left")

#: Says where it runs and what it found there, then serves like any other stub.
TELLS = "import sys, tiny\nprint(sys.prefix, tiny.VERSION, file=sys.stderr, flush=True)\n" + POLITE
VENV = {"dependency_mode": "venv", "requirements_path": "requirements.txt"}


def write_wheel(folder: Path, version: str = "1.0") -> None:
    """Write a wheel of one module; a wheel needs nothing to be built."""
    folder.mkdir(exist_ok=True)
    info = f"tiny-{version}.dist-info"
    files = {
        "tiny.py": f"VERSION = {version!r}\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: tiny\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    files[f"{info}/RECORD"] = "".join(f"{name},,\n" for name in [*files, f"{info}/RECORD"])
    with zipfile.ZipFile(folder / f"tiny-{version}-py3-none-any.whl", "w") as wheel:
        for name, text in files.items():
            wheel.writestr(name, text)


def write_requirements(bundle: Path, line: str = "tiny") -> None:
    (bundle / "requirements.txt").write_text(f"--no-index\n--find-links wheels\n{line}\n")


def bundle_of(folder: Path, code: str = TELLS, python: Mapping[str, object] = VENV) -> Path:
    bundle = write_bundle(folder / "bundle", code, python=python)
    write_wheel(bundle / "wheels")
    write_requirements(bundle)
    return bundle


def write_slow_package(bundle: Path, pid: Path) -> None:
    """Have a requirements file that pip never comes to the end of: it runs a folder's build backend, which waits."""
    (bundle / "requirements.txt").write_text("--no-index\n./slow\n")
    (bundle / "slow").mkdir()
    (bundle / "slow" / "pyproject.toml").write_text(
        '[build-system]\nrequires = []\nbuild-backend = "slow"\nbackend-path = ["."]\n'
    )
    (bundle / "slow" / "slow.py").write_text(
        f"import os, pathlib, signal\npathlib.Path({str(pid)!r}).write_text(str(os.getpid()))\nsignal.pause()\n"
    )


def options_in(folder: Path) -> HostOptions:
    return replace(QUICK, environments=folder / "cache")


def lines_of(logger: str, caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == logger]


def lives(pid: int) -> bool:
    """Whether a process is there and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


async def test_requirements_are_installed_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Two hosts make one environment for a bundle, outside of it; the next start takes it as it is."""
    caplog.set_level(logging.INFO, "mm_plugin")
    bundle = bundle_of(tmp_path)
    before = sorted(path.name for path in bundle.iterdir())
    told: list[str] = []

    def note(plugin: RunningPlugin) -> None:
        told.append(plugin.reason)

    async def start() -> None:
        wire = StubWire(StubPlugin(), StubPlugin()).wire
        async with open_host(lambda _: NoAPI(), options=options_in(tmp_path), wire=wire, on_change=note) as host:
            plugin = await host.start(bundle)
            assert plugin.reason == ""
            await host.restart(plugin.id)

    with anyio.fail_after(120):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(start)
            tasks.start_soon(start)
    (environment,) = (path for path in (tmp_path / "cache").iterdir() if path.is_dir())
    assert lines_of("mm_plugin.host.plugin.com.example.x", caplog) == [f"{environment} 1.0"] * 4
    assert {line for line in told if line} == {
        "Installing requirements.txt into a virtual environment of its own, once; this may take a while"
    }
    progress = lines_of("mm_plugin.host.install.com.example.x", caplog)
    assert progress[-1] == "Successfully installed tiny-1.0"
    assert sorted(path.name for path in bundle.iterdir()) == before  # nothing that a watch would see


def test_another_content_is_another_environment(tmp_path: Path) -> None:
    """What the file says counts, and what the files say that it includes, each once; missing ones are pip's to tell."""
    bundle = bundle_of(tmp_path)
    requirements = bundle / "requirements.txt"
    seen = {requirements_digest(Path(sys.executable), bundle, requirements)}
    for name, text in (
        ("requirements.txt", "tiny\n-r more.txt\n--constraint=sub/c.txt # why\n-r https://example.com/r.txt\n"),
        ("more.txt", "tiny==2.0\n-r requirements.txt\n"),
        ("sub/c.txt", "tiny<3\n"),
        ("sub/c.txt", "tiny<4\n"),
    ):
        (bundle / name).parent.mkdir(exist_ok=True)
        (bundle / name).write_text(text)
        found = requirements_digest(Path(sys.executable), bundle, requirements)
        assert found == requirements_digest(Path(sys.executable), bundle, requirements)
        assert found not in seen
        seen.add(found)
    assert requirements_digest(Path("/other/python"), bundle, requirements) not in seen


async def test_what_pip_says_is_told_where_it_fails(tmp_path: Path) -> None:
    """The start fails with one sentence and pip's last lines; what is half made counts for nothing."""
    bundle = bundle_of(tmp_path)
    write_requirements(bundle, "nonsense==1")
    with anyio.fail_after(120):
        async with open_host(lambda _: NoAPI(), options=options_in(tmp_path)) as host:
            with pytest.raises(PluginStartError) as raised:
                await host.start(bundle)
    sentence = "The plugin has no Python to run with: requirements.txt cannot be installed: pip ended with code 1"
    assert raised.value.reason == f"com.example.x: {sentence}"
    assert any("No matching distribution found for nonsense==1" in line for line in raised.value.stderr)
    (environment,) = (path for path in (tmp_path / "cache").iterdir() if path.is_dir())
    assert not (environment / "installed").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
async def test_a_python_that_will_not_do_installs_nothing(tmp_path: Path) -> None:
    """A version that the manifest does not want is told before anything is made."""
    bundle = write_bundle(tmp_path / "bundle", TELLS, python=VENV, python_version=">=3.99")
    write_requirements(bundle)
    async with open_host(lambda _: NoAPI(), options=options_in(tmp_path)) as host:
        with pytest.raises(PluginStartError, match=r"expected Python >=3\.99"):
            await host.start(bundle)
    assert not (tmp_path / "cache").exists()


async def test_who_waits_for_another_host_is_told(tmp_path: Path) -> None:
    """While another host makes the environment, the plugin's reason says what is going on."""
    bundle = bundle_of(tmp_path)
    digest = requirements_digest(Path(sys.executable), bundle, bundle / "requirements.txt")
    (tmp_path / "cache").mkdir()
    told = anyio.Event()

    def note(plugin: RunningPlugin) -> None:
        if plugin.reason.startswith("Installing requirements.txt"):
            told.set()

    with (tmp_path / "cache" / f"com.example.x-{digest}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        async with (
            open_host(lambda _: NoAPI(), options=options_in(tmp_path), on_change=note) as host,
            anyio.create_task_group() as tasks,
        ):
            tasks.start_soon(host.start_all, [bundle])
            with anyio.fail_after(20):
                await told.wait()
            await host.stop("com.example.x")


def test_another_python_behind_a_link_is_another_environment(tmp_path: Path) -> None:
    """An upgrade of the Python that a link leads to asks for a new environment."""
    bundle = bundle_of(tmp_path)
    digests: set[str] = set()
    for name in ("python3.11", "python3.12"):
        (tmp_path / name).touch()
        (tmp_path / "python3").unlink(missing_ok=True)
        (tmp_path / "python3").symlink_to(name)
        digests.add(requirements_digest(tmp_path / "python3", bundle, bundle / "requirements.txt"))
    assert len(digests) == 2


async def test_a_stop_ends_an_installation(tmp_path: Path) -> None:
    """A plugin that is stopped while its requirements are being installed leaves no pip behind, and installs anew."""
    bundle = bundle_of(tmp_path)
    write_slow_package(bundle, tmp_path / "pid")
    with anyio.fail_after(120):
        async with open_host(lambda _: NoAPI(), options=options_in(tmp_path)) as host:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(host.start_all, [bundle])
                while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():  # noqa: ASYNC110 - a process
                    await anyio.sleep(0.05)
                await host.stop("com.example.x")
            assert host.plugins["com.example.x"].state is PluginState.NOT_RUNNING
        while lives(int((tmp_path / "pid").read_text())):  # noqa: ASYNC110 - a killed process takes a moment to die
            await anyio.sleep(0.01)
    (environment,) = (path for path in (tmp_path / "cache").iterdir() if path.is_dir())
    assert not (environment / "installed").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_a_host_that_is_killed_leaves_no_installation(tmp_path: Path) -> None:
    """SIGKILL of ``mm-plugin host`` while pip works ends pip and what pip has started."""
    bundle = bundle_of(tmp_path)
    write_slow_package(bundle, tmp_path / "pid")
    command = [sys.executable, "-c", "from mm_plugin.cli.main import main; main()", "host", str(bundle), "--port", "0"]
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache")}
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) as host:
        ends_at = time.monotonic() + 60
        while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
            assert time.monotonic() < ends_at
            time.sleep(0.05)
        host.kill()
    pid = int((tmp_path / "pid").read_text())
    while lives(pid):
        assert time.monotonic() < ends_at
        time.sleep(0.01)


@pytest.mark.parametrize("mode", ["", "system", "bundled"])
async def test_no_other_mode_installs(tmp_path: Path, mode: str) -> None:
    """Only "venv" asks for an environment: with the others the plugin runs on the Python that there is."""
    bundle = bundle_of(tmp_path, POLITE, {"dependency_mode": mode, "requirements_path": "requirements.txt"})
    async with open_host(lambda _: NoAPI(), options=options_in(tmp_path), wire=StubWire(StubPlugin()).wire) as host:
        await host.start(bundle)
    assert not (tmp_path / "cache").exists()


async def test_bundled_packages_lie_beside_the_script(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """As ``pip install --target`` leaves them; a virtual environment in the bundle is passed over."""
    caplog.set_level(logging.INFO, "mm_plugin")
    python = {"dependency_mode": "bundled"}
    bundle = write_bundle(tmp_path, executable="server/plugin.py", python=python)
    (bundle / "server").mkdir()
    (bundle / "server" / "plugin.py").write_text(TELLS)
    (bundle / "server" / "tiny.py").write_text("VERSION = 'bundled'")
    (bundle / "venv" / "bin").mkdir(parents=True)
    (bundle / "venv" / "bin" / "python").symlink_to("/nowhere")
    async with open_host(lambda _: NoAPI(), options=options_in(tmp_path), wire=StubWire(StubPlugin()).wire) as host:
        await host.start(bundle)
    assert lines_of("mm_plugin.host.plugin.com.example.x", caplog) == [f"{sys.prefix} bundled"]


async def test_a_host_that_was_not_told_where_installs_nothing(tmp_path: Path) -> None:
    """As on the server: without a folder for environments the manifest's wish is an error that says what to do."""
    async with open_host(lambda _: NoAPI(), options=QUICK) as host:
        with pytest.raises(PluginStartError, match=r"venv/bin/pip install -r requirements\.txt"):
            await host.start(bundle_of(tmp_path))


def test_what_a_bundle_brings_is_not_made(tmp_path: Path) -> None:
    """A venv in the bundle, found by its name or by venv_path, is used; without a requirements file none is made."""
    bundle = bundle_of(tmp_path)
    assert requirements_to_install(bundle, load_manifest(bundle)) == bundle / "requirements.txt"
    (bundle / ".venv").mkdir()
    assert requirements_to_install(bundle, load_manifest(bundle)) is None
    write_bundle(bundle, python={**VENV, "venv_path": "mine"})
    assert requirements_to_install(bundle, load_manifest(bundle)) == bundle / "requirements.txt"
    (bundle / "mine").mkdir()
    assert requirements_to_install(bundle, load_manifest(bundle)) is None
    write_bundle(bundle, python={"dependency_mode": "venv"})
    (bundle / ".venv").rmdir()
    assert requirements_to_install(bundle, load_manifest(bundle)) is None
    write_bundle(bundle, python={**VENV, "requirements_path": "../r.txt"})
    with pytest.raises(ManifestError, match="expected a path inside the bundle"):
        requirements_to_install(bundle, load_manifest(bundle))


def test_this_python_can_make_environments() -> None:
    """The tests above need ensurepip, which some distributions keep in a package of its own."""
    assert (Path(sysconfig.get_path("stdlib")) / "ensurepip").is_dir()
