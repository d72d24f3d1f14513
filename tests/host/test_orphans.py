"""No plugin outlives its host, whatever ends the host; Ctrl-C on a terminal ends it in good order."""

import os
import pty
import select
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import anyio
import pytest

from mm_plugin.host.guard import open_guard
from tests.host.guard_plugin import ROOT
from tests.host.stubs import STUBBORN, write_bundle

pytestmark = pytest.mark.usefixtures("nothing_left")

HOST = """
    import signal, sys
    from pathlib import Path
    import anyio
    from mm_plugin.host.api_receiver import HandlerAPI
    from mm_plugin.host.host import open_host
    from mm_plugin.host.options import HostOptions

    async def main():
        options = HostOptions(interpreter=Path(sys.executable))
        with anyio.open_signal_receiver(signal.SIGINT) as signals:
            async with open_host(lambda _: HandlerAPI(object()), options=options) as host:
                await host.start(Path(sys.argv[1]))
                print("runs", flush=True)
                async for _ in signals:
                    break
            print("stopped", *[report.state.name for report in host.reports()], flush=True)

    anyio.run(main, backend=sys.argv[2])
"""
PLUGIN = """
    import os, signal
    from pathlib import Path
    from mm_plugin import Plugin, run_plugin

    class P(Plugin):
        async def on_activate(self):
            if not os.fork():
                signal.signal(signal.SIGTERM, signal.SIG_IGN)
                while True:
                    signal.pause()
            Path("group").write_text(str(os.getpid()))

        async def on_deactivate(self):
            Path("deactivated").touch()

    run_plugin(P)
"""
#: Never comes to serve, and minds no SIGTERM.
STUCK = """
    import os, signal
    from pathlib import Path
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    Path("group").write_text(str(os.getpid()))
    while True:
        signal.pause()
"""


def wait_until(condition: Callable[[], bool], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def group_lives(group: int) -> bool:
    """Whether anything of a process group is there and no zombie."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[2]) == group and fields[0] != "Z":
            return True
    return False


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
@pytest.mark.parametrize("code", [PLUGIN, STUCK], ids=["with a child", "stuck"])
def test_host_is_killed(tmp_path: Path, code: str, anyio_backend: str) -> None:
    """A host that dies by SIGKILL leaves nothing of its plugins, be they well, stuck before they serve, or parents."""
    bundle = write_bundle(tmp_path / "bundle", textwrap.dedent(code))
    environment = {**os.environ, "MM_PLUGIN_BACKEND": anyio_backend, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", textwrap.dedent(HOST), str(bundle), anyio_backend]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, start_new_session=True) as host:
        wait_until(lambda: (bundle / "group").exists() and (bundle / "group").read_text() != "")
        group = int((bundle / "group").read_text())
        if code is PLUGIN:
            assert host.stdout is not None
            assert host.stdout.readline() == b"runs\n"
        assert group_lives(group)
        host.kill()
        host.wait()
        wait_until(lambda: not group_lives(group))
    assert (bundle / "deactivated").exists() == (code is PLUGIN)


async def test_guard_goes_at_once(tmp_path: Path) -> None:
    """A guard whose groups have all ended ends with its host, without the pause it gives to plugins."""
    with anyio.fail_after(0.9):
        async with open_guard() as guard:
            for group in (1_000_001, 1_000_002, 1_000_003):
                guard.add(group)
            for group in (1_000_002, 1_000_001, 1_000_003):
                guard.remove(group)


async def test_guard_ends_groups(tmp_path: Path) -> None:
    """Groups that are still there get SIGTERM, and SIGKILL if they ignore it; those removed are left alone."""
    script = tmp_path / "x.py"
    script.write_text(STUBBORN)
    start = partial(subprocess.Popen, [sys.executable, str(script)], stdout=subprocess.PIPE, start_new_session=True)
    processes = [start(), start()]
    for process in processes:
        assert process.stdout is not None
        process.stdout.readline()
        process.stdout.close()
    async with open_guard() as guard:
        for process in processes:
            guard.add(process.pid)
        guard.remove(processes[0].pid)
    assert processes[1].wait() == -signal.SIGKILL
    assert processes[0].poll() is None
    processes[0].kill()
    processes[0].wait()


def test_interrupt_on_a_terminal(tmp_path: Path, anyio_backend: str) -> None:
    """Ctrl-C on a terminal: the host stops the plugin in good order and exits with 0."""
    bundle = write_bundle(tmp_path / "bundle", textwrap.dedent(PLUGIN))
    pid, terminal = pty.fork()
    if not pid:
        os.environ |= {"PYTHONPATH": str(ROOT), "MM_PLUGIN_BACKEND": anyio_backend}
        os.execv(sys.executable, [sys.executable, "-c", textwrap.dedent(HOST), str(bundle), anyio_backend])
    shown = b""

    def has_shown(text: bytes) -> bool:
        nonlocal shown
        if text not in shown and select.select([terminal], [], [], 0.1)[0]:
            shown += os.read(terminal, 65_536)
        return text in shown

    try:
        wait_until(lambda: has_shown(b"runs"))
        os.write(terminal, b"\x03")
        wait_until(lambda: has_shown(b"stopped NOT_RUNNING"))
        _, status = os.waitpid(pid, 0)
    except BaseException:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        raise
    finally:
        os.close(terminal)
    assert os.waitstatus_to_exitcode(status) == 0, shown.decode()
    assert (bundle / "deactivated").exists()
    assert not group_lives(int((bundle / "group").read_text()))
