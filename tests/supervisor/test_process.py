"""A plugin's process, really started: handshake, standard streams, stopping, signals, crashes, a lost host."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import anyio
import pytest
from anyio.abc import ByteReceiveStream, Process
from anyio.streams.buffered import BufferedByteReceiveStream

from mm_plugin._proto.grpc_controller_pb2 import Empty
from mm_plugin._proto.health_pb2 import HealthCheckRequest, HealthCheckResponse
from mm_plugin._proto.services import hook_methods
from mm_plugin.transport.grpc.addresses import connector_to
from mm_plugin.transport.grpc.channel import GRPCChannel
from mm_plugin.transport.grpc.errors import GRPCStatusError
from mm_plugin.wire.handshake import Handshake, parse_handshake_line

ROOT = Path(__file__).parents[2]
SCRIPT = Path(__file__).with_name("sample_plugin.py")
COOKIE = {"MATTERMOST_PLUGIN": "Securely message teams, anywhere."}


def environment(extra: Mapping[str, str]) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PLUGIN_", "M"))}
    return {**kept, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "default", **extra}


class Running:
    """A plugin's process with what it writes, and a channel to it once it has announced itself."""

    def __init__(self, process: Process) -> None:
        self.process = process
        self.stderr = b""
        self.stdout_rest = b""
        self.handshake: Handshake
        self.channel: GRPCChannel

    async def read_stderr(self) -> None:
        assert self.process.stderr is not None
        async for piece in self.process.stderr:
            self.stderr += piece

    async def read_stdout_rest(self, stream: ByteReceiveStream) -> None:
        async for piece in stream:
            self.stdout_rest += piece

    async def hook(self, name: str) -> None:
        method = hook_methods()[name]
        await self.channel.unary(method.path, method.request(), method.response)

    async def shut_down(self) -> None:
        await self.channel.unary("/plugin.GRPCController/Shutdown", Empty(), Empty)

    def log(self) -> list[dict[str, object]]:
        lines = [line for line in self.stderr.decode().splitlines() if line.startswith("{")]
        return [json.loads(line) for line in lines]

    def messages(self) -> list[object]:
        return [entry["@message"] for entry in self.log()]


@asynccontextmanager
async def started(backend: str, *wishes: str, env: Mapping[str, str] = COOKIE) -> AsyncIterator[Running]:
    """Start the sample; at the end the process has exited by itself and everything it wrote is there."""
    command = [sys.executable, str(SCRIPT), *wishes]
    with anyio.fail_after(30):
        async with (
            await anyio.open_process(command, env=environment({**env, "MM_PLUGIN_BACKEND": backend})) as process,
            anyio.create_task_group() as tasks,
        ):
            running = Running(process)
            tasks.start_soon(running.read_stderr)
            assert process.stdout is not None
            stdout = BufferedByteReceiveStream(process.stdout)
            running.handshake = parse_handshake_line(await stdout.receive_until(b"\n", 1000))
            running.stdout_rest = stdout.buffer
            tasks.start_soon(running.read_stdout_rest, process.stdout)
            target = running.handshake.address
            if running.handshake.network == "unix":
                target = f"unix:{target}"
            async with GRPCChannel(connector_to(target)) as running.channel:
                yield running
                await process.wait()


async def run_to_the_end(backend: str, *wishes: str, env: Mapping[str, str]) -> tuple[int, str, str]:
    """Run the sample where it does not start; its exit code, and what it wrote."""
    command = [sys.executable, str(SCRIPT), *wishes]
    with anyio.fail_after(30):
        done = await anyio.run_process(command, env=environment({**env, "MM_PLUGIN_BACKEND": backend}), check=False)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


async def test_life_of_a_process(anyio_backend: str) -> None:
    """Announced, healthy, activated, asked to stop, deactivated, and gone with 0, in good time."""
    async with started(anyio_backend) as plugin:
        health = await plugin.channel.unary(
            "/grpc.health.v1.Health/Check", HealthCheckRequest(service="plugin"), HealthCheckResponse
        )
        assert health.status == HealthCheckResponse.SERVING
        await plugin.hook("OnActivate")
        await plugin.shut_down()
        with anyio.fail_after(2):
            assert await plugin.process.wait() == 0
    assert f"activated on {anyio_backend}" in plugin.messages()
    assert "deactivated" in plugin.messages()
    assert plugin.messages().index("deactivated") > plugin.messages().index(f"activated on {anyio_backend}")
    assert plugin.stdout_rest == b""


async def test_nothing_an_author_prints_reaches_standard_output(anyio_backend: str) -> None:
    """Prints at import, in hooks, by C code, by children, and huge lines: the handshake stays alone."""
    async with started(anyio_backend, "noise") as plugin:
        await plugin.hook("OnActivate")
        await plugin.shut_down()
    assert plugin.stdout_rest == b""
    for text in (
        b"printed at import",
        b"printed in a hook",
        b"written to the descriptor",
        b"printed by a child",
        b"after run_plugin",
        b"x" * 200_000,
    ):
        assert text in plugin.stderr
    assert any("a warning" in str(message) for message in plugin.messages())


async def test_log_lines_are_hclog(anyio_backend: str) -> None:
    """The host finds level, message, time, module and the author's own fields."""
    async with started(anyio_backend, env={**COOKIE, "MATTERMOST_PLUGIN_ID": "com.example.sample"}) as plugin:
        await plugin.hook("OnActivate")
        await plugin.shut_down()
    entry = next(entry for entry in plugin.log() if str(entry["@message"]).startswith("activated"))
    assert (entry["@level"], entry["@module"], entry["n"]) == ("info", "com.example.sample", 1)


async def test_first_sigterm_drains(anyio_backend: str) -> None:
    """A signal stops in order, with 0."""
    async with started(anyio_backend) as plugin:
        await plugin.hook("OnActivate")
        plugin.process.send_signal(signal.SIGTERM)
        assert await plugin.process.wait() == 0
    assert "deactivated" in plugin.messages()


async def test_second_sigterm_cancels(anyio_backend: str) -> None:
    """A hanging on_deactivate is cut by the second signal, long before its time is over."""
    async with started(anyio_backend, "slow") as plugin:
        await plugin.hook("OnActivate")
        start = anyio.current_time()
        plugin.process.send_signal(signal.SIGTERM)
        while "deactivated" not in plugin.messages():  # noqa: ASYNC110 - only the process knows
            await anyio.sleep(0.01)
        plugin.process.send_signal(signal.SIGTERM)
        assert await plugin.process.wait() == 0
        assert anyio.current_time() - start < 3


async def test_sigint_is_left_to_the_host(anyio_backend: str) -> None:
    """Ctrl-C in the host's terminal does not touch the plugin, the host's Shutdown does."""
    async with started(anyio_backend) as plugin:
        await plugin.hook("OnActivate")
        plugin.process.send_signal(signal.SIGINT)
        await plugin.hook("OnConfigurationChange")
        await plugin.shut_down()
        assert await plugin.process.wait() == 0
    assert "deactivated" in plugin.messages()


async def test_hanging_on_deactivate_costs_no_more_than_its_time(anyio_backend: str) -> None:
    """After Shutdown the whole stop takes less than the host's two seconds, whatever the plugin does."""
    async with started(anyio_backend, "slow") as plugin:
        await plugin.hook("OnActivate")
        start = anyio.current_time()
        await plugin.shut_down()
        assert await plugin.process.wait() == 0
        assert anyio.current_time() - start < 2


async def test_http_stream_that_hangs_open_does_not_hold_up_the_stop(anyio_backend: str) -> None:
    """A server-sent stream without an end is cut after its share of the time; the plugin exits with 0."""
    method = hook_methods()["ServeHTTP"]
    async with started(anyio_backend) as plugin:
        await plugin.hook("OnActivate")
        async with plugin.channel.open_stream(method.path, method.request, method.response) as stream:
            request = method.request.FromString(b"")
            request.init.method = "GET"  # type: ignore[attr-defined]
            request.init.url = "/events"  # type: ignore[attr-defined]
            request.body_complete = True  # type: ignore[attr-defined]
            await stream.send_message(request)
            while not getattr(await stream.recv_message(), "body_chunk", b""):
                pass
            start = anyio.current_time()
            await plugin.shut_down()
            assert await plugin.process.wait() == 0
            assert anyio.current_time() - start < 2
    assert "deactivated" in plugin.messages()


@pytest.mark.parametrize("wish", ["stubborn", "block"])
async def test_what_cannot_be_stopped_is_ended(anyio_backend: str, wish: str) -> None:
    """A task that shields itself or a thread that blocks cannot keep the process: stacks on stderr, exit 1."""
    async with started(anyio_backend, wish) as plugin:
        await plugin.hook("OnActivate")
        start = anyio.current_time()
        await plugin.shut_down()
        assert await plugin.process.wait() == 1
        assert anyio.current_time() - start < 4
    assert b"most recent call first" in plugin.stderr


async def test_crash_of_a_background_task_ends_the_process(anyio_backend: str) -> None:
    """Exit 1, and one log entry with the traceback."""
    async with started(anyio_backend, "crash") as plugin:
        with anyio.move_on_after(5):
            with suppress(GRPCStatusError):  # the crash may come before the answer
                await plugin.hook("OnActivate")
        assert await plugin.process.wait() == 1
    crashes = [entry for entry in plugin.log() if "traceback" in entry]
    assert len(crashes) == 1
    assert crashes[0]["@level"] == "error"
    assert str(crashes[0]["@message"]).startswith("the plugin crashed: ValueError at ")
    assert str(crashes[0]["@message"]).endswith(" in crash")
    assert "boom in the background" in str(crashes[0]["traceback"])
    assert "in crash" in str(crashes[0]["traceback"])


@pytest.mark.parametrize("wish", ["exit", "exit-raw"])
async def test_exit_in_the_background_is_a_crash(anyio_backend: str, wish: str) -> None:
    """sys.exit(0) in background work ends the process with code 1, and the log says once that the plugin crashed."""
    async with started(anyio_backend, wish) as plugin:
        with suppress(GRPCStatusError):
            await plugin.hook("OnActivate")
        assert await plugin.process.wait() == 1
    assert len([text for text in plugin.messages() if str(text).startswith("the plugin crashed")]) == 1


async def test_blocked_event_loop_does_not_defeat_sigterm(anyio_backend: str) -> None:
    """The process ends when its time is over, and says where it stood."""
    async with started(anyio_backend, "block-loop") as plugin:
        await plugin.hook("OnActivate")
        while b"blocking" not in plugin.stderr:  # noqa: ASYNC110 - it comes from another process
            await anyio.sleep(0.01)
        plugin.process.send_signal(signal.SIGTERM)
        assert await plugin.process.wait() == 1
    assert b"block_loop" in plugin.stderr


@pytest.mark.parametrize("redirection", [">&-", "1</dev/null"])
async def test_no_usable_standard_output_is_one_sentence(anyio_backend: str, redirection: str) -> None:
    """Without a place for the handshake it says so and ends."""
    command = ["sh", "-c", f'exec "$0" "$1" {redirection}', sys.executable, str(SCRIPT)]
    env = environment({**COOKIE, "MM_PLUGIN_BACKEND": anyio_backend})
    with anyio.fail_after(20):
        result = await anyio.run_process(command, env=env, check=False)
    assert result.returncode == 1
    stderr = result.stderr.decode()
    assert "standard output" in stderr
    assert "Traceback" not in stderr


@pytest.mark.parametrize("env", [{}, {"MATTERMOST_PLUGIN": "wrong"}])
async def test_without_the_cookie_it_says_what_it_is(anyio_backend: str, env: Mapping[str, str]) -> None:
    """Run by hand, or by somebody with another cookie: one line, exit 1, no handshake."""
    code, stdout, stderr = await run_to_the_end(anyio_backend, env=env)
    assert code == 1
    assert "|" not in stdout
    sentence = stderr.removeprefix("printed at import\n")  # where the variable is set, a host may be reading
    assert sentence.startswith("Wrong cookie: " if env else "This program is a plugin")
    assert sentence.count("\n") == 1


@pytest.mark.parametrize(
    ("env", "text"),
    [
        ({"MATTERMOST_PLUGIN_HOOK_TIMEOUT": "soon"}, "MATTERMOST_PLUGIN_HOOK_TIMEOUT='soon'"),
        ({"PLUGIN_MIN_PORT": "x"}, "PLUGIN_MIN_PORT='x'"),
        ({"MATTERMOST_PLUGIN_API_TARGET": "nowhere"}, "nowhere"),
    ],
)
async def test_wrong_environment_is_one_sentence(anyio_backend: str, env: Mapping[str, str], text: str) -> None:
    """What an operator can mend is said without a traceback."""
    code, stdout, stderr = await run_to_the_end(anyio_backend, env={**COOKIE, **env})
    assert (code, stdout) == (1, "")
    assert text in stderr
    assert "Traceback" not in stderr


async def test_unix_socket_is_removed(anyio_backend: str, tmp_path: Path) -> None:
    """Where the host asks for a unix socket, its folder is empty again afterwards."""
    async with started(anyio_backend, env={**COOKIE, "PLUGIN_UNIX_SOCKET_DIR": str(tmp_path)}) as plugin:
        assert plugin.handshake.network == "unix"
        await plugin.hook("OnActivate")
        await plugin.shut_down()
        assert await plugin.process.wait() == 0
    assert os.listdir(tmp_path) == []


HOST = """
import subprocess, sys
plugin = subprocess.Popen(sys.argv[1:], stdout=subprocess.PIPE)
plugin.stdout.readline()
print(plugin.pid, flush=True)
plugin.wait()
"""


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="needs process descriptors to watch a grandchild")
async def test_plugin_of_a_killed_host_ends_within_a_second(anyio_backend: str, tmp_path: Path) -> None:
    """A host that is killed takes its plugin along, and its socket."""
    env = environment({**COOKIE, "MM_PLUGIN_BACKEND": anyio_backend, "PLUGIN_UNIX_SOCKET_DIR": str(tmp_path)})
    command = [sys.executable, "-c", HOST, sys.executable, str(SCRIPT)]
    with anyio.fail_after(30):
        async with await anyio.open_process(command, env=env) as host:
            assert host.stdout is not None
            plugin = os.pidfd_open(int(await host.stdout.receive()))
            try:
                assert len(os.listdir(tmp_path)) == 1
                host.kill()
                with anyio.fail_after(3):  # a second is promised; this ceiling is for busy machines
                    await anyio.wait_readable(plugin)
            finally:
                os.close(plugin)
    assert os.listdir(tmp_path) == []
