"""A plugin's process: its handshake, its streams, its death, and that nothing of it stays behind."""

import logging
import os
import signal
import sys
import textwrap
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import anyio
import pytest

from mm_plugin import limits
from mm_plugin.exceptions import PluginStartError
from mm_plugin.host.process import PluginProcess, spawn_plugin

LINE = "1|1|tcp|127.0.0.1:12345|grpc"
ANNOUNCE = f"import os, signal, sys, time\nprint({LINE!r}, flush=True)\n"
#: Blocks until it is killed, without a timer that could end a slow test wrongly.
FOREVER = "signal.pause()\n"

pytestmark = pytest.mark.usefixtures("nothing_left")

Spawn = Callable[..., AbstractAsyncContextManager[PluginProcess]]


@pytest.fixture
def spawn(tmp_path: Path) -> Spawn:
    def start(code: str, environment: Mapping[str, str] | None = None) -> AbstractAsyncContextManager[PluginProcess]:
        script = tmp_path / "plugin.py"
        script.write_text(textwrap.dedent(code))
        return spawn_plugin(
            [sys.executable, "-I", "-S", str(script)],
            plugin_id="com.example.x",
            bundle=tmp_path,
            environment=environment or {},
        )

    return start


class Fifo:
    """Tells when all processes that opened it for writing are gone."""

    def __init__(self, path: Path) -> None:
        os.mkfifo(path)
        self._fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)

    async def read(self) -> bytes:
        """Wait for an octet; b"" once nobody is left."""
        with anyio.fail_after(5):
            await anyio.wait_readable(self._fd)
        return os.read(self._fd, 1)

    def close(self) -> None:
        os.close(self._fd)


@pytest.fixture
def fifo(tmp_path: Path, nothing_left: None) -> Iterator[Fifo]:
    fifo = Fifo(tmp_path / "fifo")
    yield fifo
    fifo.close()


async def test_handshake(spawn: Spawn, tmp_path: Path) -> None:
    """The line gives the address; the process runs in the bundle, with an empty stdin and a group of its own."""
    code = ANNOUNCE + "sys.stderr.write(f'{os.getpgid(0)} {sys.stdin.read()!r} {os.getcwd()}\\n')\n"
    async with spawn(code) as process:
        handshake = await process.read_handshake()
        assert (handshake.network, handshake.address) == ("tcp", "127.0.0.1:12345")
        await process.wait_exited()
        error = await process.start_error("")
        assert error.stderr == (f"{process.pid} '' {tmp_path}",)


async def test_environment(spawn: Spawn) -> None:
    """The process has the environment it was given, and nothing of ours."""
    code = ANNOUNCE + "sys.stderr.write(' '.join(f'{k}={v}' for k, v in sorted(os.environ.items())))\n"
    async with spawn(code, {"A": "1", "LC_CTYPE": "C.UTF-8"}) as process:
        await process.wait_exited()
        assert (await process.start_error("")).stderr == ("A=1 LC_CTYPE=C.UTF-8",)


@pytest.mark.parametrize(
    ("first", "sentence"),
    [
        ("hello", "'hello', not a handshake"),
        ("1|1", "'1|1', not a handshake"),
        ("", "is empty"),
        ("2|1|tcp|127.0.0.1:1|grpc", "core protocol version is '2'"),
        ("1|1|tcp|127.0.0.1:1|http", "protocol is 'http'"),
        ("1|1|pipe|x|grpc", "network is 'pipe'"),
        ("1|1|tcp|127.0.0.1|grpc", "address is '127.0.0.1'"),
        ("x" * (limits.handshake_line_octets + 1), "over 16384 octets"),
        ("x" * (2 * limits.log_line_octets), "over 16384 octets"),
    ],
)
async def test_malformed(spawn: Spawn, first: str, sentence: str) -> None:
    """Each way a first line can be wrong has its own sentence, and what was said on stderr comes with it."""
    code = f"import signal, sys\nsys.stderr.write('why\\n')\nprint({first!r}, flush=True)\nsignal.pause()"
    async with spawn(code) as process:
        with pytest.raises(PluginStartError) as raised:
            await process.read_handshake()
    assert raised.value.reason.startswith("The plugin printed no handshake: ")
    assert sentence in raised.value.reason


@pytest.mark.parametrize(
    ("first", "sentence"),
    [
        ("1|2|tcp|127.0.0.1:1|grpc", "it speaks version 2 of Mattermost's plugin protocol, expected 1"),
        ("1|1|tcp|127.0.0.1:1", "it speaks net/rpc, as plugins written in Go do; this host speaks grpc only"),
        ("1|1|tcp|127.0.0.1:1|netrpc", "it speaks net/rpc, as plugins written in Go do; this host speaks grpc only"),
        ("1|1|tcp|127.0.0.1:1|grpc|" + "A" * 60, "it wants TLS (field six of its handshake is a certificate)"),
    ],
)
async def test_foreign(spawn: Spawn, first: str, sentence: str) -> None:
    """A handshake that is well-formed but not for this host is told apart from a malformed one."""
    async with spawn(f"import signal\nprint({first!r}, flush=True)\nsignal.pause()") as process:
        with pytest.raises(PluginStartError) as raised:
            await process.read_handshake()
    assert raised.value.reason.startswith(f"The plugin cannot be talked to: {sentence}")


async def test_instead_of_the_line(spawn: Spawn) -> None:
    """A fault switch can put something else in the place of the line."""
    async with spawn(ANNOUNCE + FOREVER) as process:
        with pytest.raises(PluginStartError, match="'Hello', not a handshake"):
            await process.read_handshake(instead=b"Hello")


async def test_suspended(spawn: Spawn) -> None:
    """Under a debugger the wait for the line goes on, and ends with the debugger."""
    looks = iter([True, True, False])
    async with spawn("import signal\n" + FOREVER) as process:
        with pytest.raises(PluginStartError, match="printed no handshake line"):
            await process.read_handshake(timeout_s=0.01, suspended=lambda: next(looks))
    assert next(looks, None) is None


async def test_exits_first(spawn: Spawn) -> None:
    """A plugin that ends before its line is told by its exit code and its last words."""
    async with spawn("import sys\nsys.stderr.write('one\\ntwo')\nsys.exit(3)") as process:
        with pytest.raises(PluginStartError) as raised:
            await process.read_handshake()
    assert raised.value.reason == "The plugin exited with code 3 before it printed its handshake line"
    assert raised.value.stderr == ("one", "two")
    assert str(raised.value).endswith("Standard error ended with:\n    one\n    two")


async def test_exits_first_by_signal(spawn: Spawn) -> None:
    """A signal is told by its name."""
    async with spawn("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)") as process:
        with pytest.raises(PluginStartError, match="was killed by SIGKILL before"):
            await process.read_handshake()
        assert process.returncode == -signal.SIGKILL


async def test_exits_with_half_a_line(spawn: Spawn) -> None:
    """A line that is cut off by the end counts as what was printed, not as a handshake to wait for."""
    async with spawn("print('Hello', end='')") as process:
        with pytest.raises(PluginStartError, match="'Hello', not a handshake"):
            await process.read_handshake()


async def test_silent(spawn: Spawn) -> None:
    """A plugin that prints nothing is given up when its time is over, counted from its start."""
    async with spawn("import signal, sys\nsys.stderr.write('thinking\\n')\n" + FOREVER) as process:
        with pytest.raises(PluginStartError) as raised:
            await process.read_handshake(timeout_s=0.5)
        assert raised.value.reason == "The plugin printed no handshake line within 0.5 s; is there a run_plugin()?"
        assert process.returncode is None


async def test_closes_stdout(spawn: Spawn) -> None:
    """A plugin that closes its standard output and lives on is told apart from a dead one."""
    async with spawn("import os, signal\nos.close(1)\n" + FOREVER) as process:
        with pytest.raises(PluginStartError, match="closed its standard output before"):
            await process.read_handshake(timeout_s=0.5)


async def test_dead_parent_of_a_living_child(spawn: Spawn) -> None:
    """A child that holds the pipes open does not hide its parent's death, and is killed with it."""
    async with spawn("import os, signal, sys\nif os.fork():\n  os._exit(4)\n" + FOREVER) as process:
        with anyio.fail_after(5), pytest.raises(PluginStartError, match="exited with code 4"):
            await process.read_handshake(timeout_s=30)


async def test_no_such_program(tmp_path: Path) -> None:
    """A program that cannot be started is a PluginStartError which names it."""
    with pytest.raises(PluginStartError, match="cannot be started with /nowhere/python"):
        async with spawn_plugin(["/nowhere/python"], plugin_id="x", bundle=tmp_path, environment={}):
            pytest.fail("nothing was started")


async def test_stdout_is_drained(spawn: Spawn, caplog: pytest.LogCaptureFixture) -> None:
    """Whatever a plugin prints after its line, also in one endless line, never blocks it."""
    caplog.set_level(logging.INFO, "mm_plugin")
    code = ANNOUNCE + "os.write(1, b'x' * 1_000_000)\nprint('done', file=sys.stderr)\n"
    async with spawn(code) as process:
        await process.read_handshake()
        with anyio.fail_after(20):
            await process.wait_exited()
        assert (await process.start_error("")).stderr == ("done",)


async def test_stderr_becomes_records(spawn: Spawn, caplog: pytest.LogCaptureFixture) -> None:
    """JSON lines keep their level, others are INFO."""
    caplog.set_level(logging.DEBUG, "mm_plugin")
    code = ANNOUNCE + """sys.stderr.write('{"@level":"error","@message":"bad"}\\nplain\\n[DEBUG] small\\n')\n"""
    async with spawn(code) as process:
        await process.wait_exited()
    assert [(record.levelno, record.message) for record in caplog.records] == [
        (logging.ERROR, "bad"),
        (logging.INFO, "plain"),
        (logging.DEBUG, "small"),
    ]


async def test_death_is_noticed(spawn: Spawn) -> None:
    """Whoever waits for the process's death hears of it."""
    async with spawn(ANNOUNCE + FOREVER) as process:
        await process.read_handshake()
        assert process.describe_exit() == "is still running"
        os.kill(process.pid, signal.SIGKILL)
        with anyio.fail_after(5):
            await process.wait_exited()
        assert process.describe_exit() == "was killed by SIGKILL"


async def test_end_waits_for_the_process(spawn: Spawn) -> None:
    """A process that ends by itself within the grace gets no signal."""
    async with spawn(ANNOUNCE + "os.read(0, 1)\nsys.exit(5)") as process:
        await process.read_handshake()
        await process.end(exit_grace_s=20, terminate_grace_s=20)
        assert process.returncode == 5


async def test_end_terminates(spawn: Spawn) -> None:
    """A process that does not end by itself gets SIGTERM, and may still end cleanly."""
    code = "import signal, sys\nsignal.signal(signal.SIGTERM, lambda *_: sys.exit(7))\n" + ANNOUNCE + FOREVER
    async with spawn(code) as process:
        await process.read_handshake()
        await process.end(exit_grace_s=0.1, terminate_grace_s=20)
        assert process.returncode == 7


async def test_end_kills(spawn: Spawn, fifo: Fifo) -> None:
    """A process that ignores SIGTERM is killed, with what it started."""
    code = """
        import os, signal
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        fifo = os.open("fifo", os.O_WRONLY)
        if os.fork():
            print("1|1|tcp|127.0.0.1:12345|grpc", flush=True)
        else:
            os.write(fifo, b"x")
        while True:
            signal.pause()
    """
    async with spawn(code) as process:
        await process.read_handshake()
        assert await fifo.read() == b"x"
        await process.end(exit_grace_s=0.1, terminate_grace_s=0.2)
        assert process.returncode == -signal.SIGKILL
        assert await fifo.read() == b""


_FORKING = ANNOUNCE + "fifo = os.open('fifo', os.O_WRONLY)\nif os.fork(): os.write(fifo, b'x')\n" + FOREVER


async def test_leaving_kills(spawn: Spawn, fifo: Fifo) -> None:
    """Leaving the context ends the process and its children without a word."""
    async with spawn(_FORKING) as process:
        assert await fifo.read() == b"x"
    assert process.returncode == -signal.SIGKILL
    assert await fifo.read() == b""


async def test_cancelling_kills(spawn: Spawn, fifo: Fifo) -> None:
    """Cancellation ends the process and its children all the same."""
    with anyio.fail_after(10):
        with anyio.CancelScope() as scope:
            async with spawn(_FORKING):
                assert await fifo.read() == b"x"
                scope.cancel()
                await anyio.sleep_forever()
        assert await fifo.read() == b""
