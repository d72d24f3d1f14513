"""The generated messages keep to themselves: other copies in one process, and nothing heavy behind an import.

Each test runs a process of its own, since what a process has registered or imported cannot be taken back.
"""

import importlib.util
import subprocess
import sys

import pytest

LOAD_OURS = """
import importlib, pkgutil, mm_plugin._proto
ours = {
    m.name: importlib.import_module("mm_plugin._proto." + m.name)
    for m in pkgutil.iter_modules(mm_plugin._proto.__path__) if m.name.endswith("_pb2")
}
"""

SECOND_COPY = """
from google.protobuf import descriptor_pool, message_factory, struct_pb2, wrappers_pb2
pool = descriptor_pool.Default()
done = {"google/protobuf/struct.proto", "google/protobuf/wrappers.proto"}
def register(file):
    for dependency in file.dependencies:
        register(dependency)
    if file.name not in done:
        done.add(file.name)
        pool.AddSerializedFile(file.serialized_pb)
for module in ours.values():
    register(module.DESCRIPTOR)
theirs = message_factory.GetMessageClass(pool.FindMessageTypeByName("mattermost.pluginapi.v1.Post"))
mine = ours["post_pb2"].Post
assert theirs is not mine and theirs.DESCRIPTOR is not mine.DESCRIPTOR
sent = mine(message="hello", props={"a": [1, {"b": None}]})
got = theirs.FromString(sent.SerializeToString(deterministic=True))
assert got.message == "hello" and isinstance(got.props, struct_pb2.Struct)
assert mine.FromString(got.SerializeToString()) == sent
"""


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("other", ["grpc_health.v1.health_pb2", "grpclib.health.v1.health_pb2"])
@pytest.mark.parametrize("first", ["ours", "theirs"])
def test_health_messages_of_another_library_live_beside_ours(other: str, first: str) -> None:
    """Both sets of health messages load in either order and read each other's octets."""
    if importlib.util.find_spec(other.partition(".")[0]) is None:
        pytest.skip(f"{other} is not installed")
    theirs = f"import importlib; theirs = importlib.import_module({other!r})\n"
    code = LOAD_OURS + theirs if first == "ours" else theirs + LOAD_OURS
    run(
        code + "ours = ours['health_pb2']\n"
        "sent = theirs.HealthCheckResponse(status=theirs.HealthCheckResponse.SERVING)\n"
        "got = ours.HealthCheckResponse.FromString(sent.SerializeToString())\n"
        "assert got.status == ours.HealthCheckResponse.SERVING == 1\n"
        "assert type(got) is not type(sent)\n"
    )


def test_a_second_copy_of_the_contract_lives_beside_ours() -> None:
    """The same files, registered once more in protobuf's default pool, do not clash, and exchange octets."""
    run(LOAD_OURS + SECOND_COPY)


def test_the_default_pool_stays_untouched() -> None:
    """Loading every message registers nothing in protobuf's default pool."""
    run(
        LOAD_OURS + "from google.protobuf import descriptor_pool\n"
        "for module in ours.values():\n"
        "    try:\n"
        "        descriptor_pool.Default().FindFileByName(module.DESCRIPTOR.name)\n"
        "    except KeyError:\n"
        "        continue\n"
        "    raise SystemExit(module.DESCRIPTOR.name)\n"
    )


def test_the_pure_python_protobuf_works_too() -> None:
    """Where protobuf has no compiled core, the messages and the conveniences of Struct are the same."""
    run(
        "import os; os.environ['PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION'] = 'python'\n"
        + LOAD_OURS
        + "post = ours['post_pb2'].Post(message='x', props={'a': [1]}, participants=[ours['user_pb2'].User(id='u')])\n"
        "post.props.update({'b': True})\n"
        "assert ours['post_pb2'].Post.FromString(post.SerializeToString()) == post\n"
    )


def test_messages_load_nothing_heavy() -> None:
    """Messages and the methods of every service come without grpclib, h2, hpack, grpcio and an event loop."""
    out = run(
        LOAD_OURS + "from mm_plugin._proto import services\n"
        "for methods in (services.hook_methods, services.api_methods, services.health_methods,\n"
        "                services.controller_methods):\n"
        "    methods()\n"
        "import sys\n"
        "heavy = {'grpclib', 'h2', 'hpack', 'grpc', 'asyncio', 'trio', 'anyio', 'multidict'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    assert out.strip() == "[]"


def test_hooks_load_without_the_api() -> None:
    """A plugin that starts pays for the messages of hooks only."""
    out = run(
        "import sys\n"
        "from mm_plugin._proto.services import hook_methods\n"
        "hook_methods()\n"
        "print([name for name in sys.modules if name.startswith('mm_plugin._proto.api')])\n"
    )
    assert out.strip() == "[]"
