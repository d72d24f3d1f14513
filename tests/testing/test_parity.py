"""The parity tool: it proves the API that is there, finds what is broken, and tells two contracts apart."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet

from mm_plugin.api.client import PluginAPIClient
from mm_plugin.api.sync.methods import SyncAPIMethods
from mm_plugin.api.table import api_table
from mm_plugin.exceptions import PluginAPIError
from mm_plugin.host.api_receiver import HandlerAPI
from mm_plugin.messages import errors
from mm_plugin.testing import parity, parity_calls
from mm_plugin.testing.parity_calls import (
    CALLED,
    DEFAULT,
    EMBEDDED,
    REQUEST,
    RESULT,
    STATUS,
    WITHOUT_ID,
    Proof,
    call_everything,
)
from mm_plugin.testing.parity_diff import ContractError, compare, read_contract
from mm_plugin.transport.link import CallFailure

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def two_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Prove two methods only, to be quick."""
    rows = {name: api_table()[name] for name in ("GetUser", "KVCompareAndSet")}
    monkeypatch.setattr(parity_calls, "api_table", lambda: rows)


def problems(proofs: list[Proof]) -> set[tuple[str, str]]:
    return {(proof.rpc, proof.what) for proof in proofs if proof.problem}


@pytest.mark.usefixtures("two_rows")
async def test_a_whole_api_is_proved() -> None:
    """Each method gives six proofs on each of two links by each of two doors, none with a problem."""
    proofs = await call_everything()
    assert len(proofs) == 2 * 6 * 2 * 2
    assert problems(proofs) == set()
    assert {proof.what for proof in proofs} == set(CALLED)
    assert len({proof.way for proof in proofs}) == 4


@pytest.mark.usefixtures("two_rows")
@pytest.mark.parametrize("door", [PluginAPIClient, SyncAPIMethods])
async def test_a_method_that_cannot_be_called_is_found(monkeypatch: pytest.MonkeyPatch, door: type) -> None:
    """A method missing at one door fails all that is to be proved of it, and nothing else."""
    monkeypatch.setattr(door, "get_user", None)
    assert problems(await call_everything()) == {("GetUser", what) for what in CALLED}


@pytest.mark.usefixtures("two_rows")
async def test_a_swallowed_argument_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that leaves a field out, though it has the parameter, is found by what the server sees."""

    async def kv_compare_and_set(self: PluginAPIClient, key: str, old_value: bytes, new_value: bytes) -> bool:
        return await complete(self, key, old_value, b"")

    complete = PluginAPIClient.kv_compare_and_set
    monkeypatch.setattr(PluginAPIClient, "kv_compare_and_set", kv_compare_and_set)
    assert problems(await call_everything()) == {("KVCompareAndSet", what) for what in (REQUEST, DEFAULT)}


@pytest.mark.usefixtures("two_rows")
async def test_errors_that_a_client_overlooks_or_cuts_short_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that takes an error without an id for success, one that drops a field, one that drops an id."""

    async def get_user(self: PluginAPIClient, user_id: str) -> object:
        try:
            return await complete(self, user_id)
        except PluginAPIError as error:
            if error.id:
                raise
            return None

    complete = PluginAPIClient.get_user
    monkeypatch.setattr(PluginAPIClient, "get_user", get_user)
    assert problems(await call_everything()) == {("GetUser", WITHOUT_ID)}
    monkeypatch.setattr(PluginAPIClient, "get_user", complete)

    for method, name, what in (
        ("error_of_app_error", "detailed_error", EMBEDDED),
        ("error_of_failure", "id", STATUS),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(errors, method, without(name, getattr(errors, method)))
            assert problems(await call_everything()) == {("GetUser", what), ("KVCompareAndSet", what)}


def without(name: str, convert: Callable[[Any], PluginAPIError]) -> Callable[[Any], PluginAPIError]:
    """Return a conversion that forgets a field of the error."""

    def cut_short(source: Any) -> PluginAPIError:
        error = convert(source)
        setattr(error, name, "")
        return error

    return cut_short


@pytest.mark.usefixtures("two_rows")
async def test_a_method_without_dispatch_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that does not dispatch a method is found."""

    async def handle_api(self: HandlerAPI, method: str, request: Any, *, deadline: float | None) -> Any:
        if method == "GetUser":
            raise CallFailure("not here")
        return await complete(self, method, request, deadline=deadline)

    complete = HandlerAPI.handle_api
    monkeypatch.setattr(HandlerAPI, "handle_api", handle_api)
    assert {rpc for rpc, _ in problems(await call_everything())} == {"GetUser"}


def test_a_missing_or_outdated_entry_is_found() -> None:
    """The reference needs each method, its signature as it is, and each parameter."""
    page = (ROOT / parity.REFERENCE).read_text("utf-8")
    assert problems(parity.prove_documented(page)) == set()
    page = page.replace("### get_user\n", "### got_user\n").replace("`kv_get(key: str)", "`kv_get(name: str)")
    page = page.replace("- `key`: ", "- `name`: ", 1)
    found = {proof.rpc: proof.problem for proof in parity.prove_documented(page) if proof.problem}
    assert found == {
        "GetUser": "has no entry",
        "KVGet": "the entry does not say `kv_get(key: str) -> bytes`",
        "KVSet": "the entry does not explain key",
    }


def test_a_missing_or_failing_test_is_found() -> None:
    """Each rpc needs a test that has passed, on both backends."""
    whole = "\n".join(f"PASSED x.py::test_x[{backend}-{rpc}]" for rpc in api_table() for backend in ("asyncio", "trio"))
    assert problems(parity.prove_tested(whole)) == set()
    broken = whole.replace("[trio-GetUser]", "").replace(
        "PASSED x.py::test_x[trio-KVGet]", "FAILED x.py::test_x[trio-KVGet]"
    )
    found = {proof.rpc: proof.problem for proof in parity.prove_tested(broken) if proof.problem}
    assert found == {"GetUser": "there is no test on trio", "KVGet": "the test has FAILED on trio"}


def test_the_command_proves_this_repository() -> None:
    """Run as a command here it finds nothing missing, exits 0 and shows a line for each thing proved."""
    done = prove(ROOT)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("236 of 236  ") == 8


@pytest.mark.usefixtures("two_rows")
def test_outside_of_a_checkout_nothing_is_taken_for_proved(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without reference and tests the command says that these are not proved and exits 1, unless told not to."""
    assert parity.main(["--root", str(tmp_path)]) == 1
    assert capsys.readouterr().out.count("NOT PROVEN") == 2
    assert parity.main(["--root", str(tmp_path), "--without-docs"]) == 1
    assert parity.main(["--root", str(tmp_path), "--without-docs", "--without-tests"]) == 0
    assert "NOT PROVEN" not in capsys.readouterr().out.rpartition("PluginAPI:")[2]


# -- broken copies of the package: each proof fails, and names the method ---------------------------------------

#: File, what stands in it, and what is put in its place.
MUTATIONS = [
    ("api/groups.py", "page: int = 0, per_page: int = 60", "page: int = 0, per_page: int = 61"),
    ("api/sync/users.py", "limit: int = 100", "limit: int = 99"),
    ("api/teams.py", "GetTeamRequest, team_id=team_id", 'GetTeamRequest, team_id=""'),
    ("api/kv.py", "return response.value", "return response.value[1:]"),
    ("api/posts.py", "async def get_post(self, post_id: str)", 'async def get_post(self, post_id: str = "")'),
]


def prove(root: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run the command on a checkout, whose own package it imports."""
    command = [sys.executable, "-m", "mm_plugin.testing.parity", *options]
    return subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)


def test_broken_methods_of_a_generated_client_are_named(tmp_path: Path) -> None:
    """Each of several broken generated methods is named with the proof that it fails; the others stay proved."""
    shutil.copytree(ROOT / "mm_plugin", tmp_path / "mm_plugin", ignore=shutil.ignore_patterns("__pycache__"))
    for file, whole, broken in MUTATIONS:
        path = tmp_path / "mm_plugin" / file
        text = path.read_text("utf-8")
        assert whole in text, file
        path.write_text(text.replace(whole, broken, 1), "utf-8")
    done = prove(tmp_path, "--without-docs", "--without-tests")
    assert done.returncode == 1
    lines = [line for line in done.stdout.splitlines() if line[0] != " " and not line.startswith("PluginAPI")]
    assert {(line.partition(": ")[0], next(what for what in CALLED if what in line)) for line in lines} == {
        ("GetGroupMemberUsers", DEFAULT),
        ("SearchUsers", DEFAULT),
        ("GetTeam", REQUEST),
        ("GetTeam", DEFAULT),
        ("KVGet", RESULT),
        ("GetPost", DEFAULT),
    }
    assert "per_page=61 instead of 60" in done.stdout
    assert "a required argument may be left out" in done.stdout


def test_a_round_trip_test_that_fails_is_named(tmp_path: Path) -> None:
    """The suite is run, not looked at: one that fails for a method does not count for it."""
    suite = tmp_path / parity.ROUND_TRIPS
    suite.parent.mkdir(parents=True)
    suite.write_text(
        "import pytest\n"
        "from mm_plugin.api.table import api_table\n"
        "@pytest.mark.parametrize('rpc', [rpc for rpc in api_table() if rpc != 'KVGet'])\n"
        "@pytest.mark.parametrize('backend', ['asyncio', 'trio'])\n"
        "def test_they_arrive_as_given(backend, rpc):\n"
        "    assert rpc != 'GetUser' or backend != 'trio'\n"
    )
    with parity.run_round_trips(tmp_path) as running:
        proofs = parity.prove_tested(running.communicate()[0])
    found = {proof.rpc: proof.problem for proof in proofs if proof.problem}
    assert found == {
        "GetUser": "the test has FAILED on trio",
        "KVGet": "there is no test on asyncio; there is no test on trio",
    }


# -- two contracts --------------------------------------------------------------------------------------------


def descriptor_set(path: Path, **fields: tuple[int, int]) -> Path:
    """Write a descriptor set with one message of these fields, each a number and a type."""
    file = FileDescriptorProto(name="a.proto", package="p", syntax="proto3")
    message = file.message_type.add(name="M")
    for name, (number, kind) in fields.items():
        message.field.add(name=name, number=number, type=kind, label=1)
    service = file.service.add(name="S")
    service.method.add(name="Do", input_type=".p.M", output_type=".p.M", server_streaming="stream" in fields)
    path.write_bytes(FileDescriptorSet(file=[file]).SerializeToString())
    return path


def test_two_contracts_are_compared(tmp_path: Path) -> None:
    """Fields and rpcs are told apart as added, removed and changed."""
    old = descriptor_set(tmp_path / "old.pb", stays=(1, 9), goes=(2, 3), turns=(3, 9))
    new = descriptor_set(tmp_path / "new.pb", stays=(1, 9), comes=(2, 3), turns=(4, 9), stream=(5, 8))
    changes = compare(read_contract(old), read_contract(new))
    assert changes.added == ["p.M.comes: int64 = 2", "p.M.stream: bool = 5"]
    assert changes.removed == ["p.M.goes: int64 = 2"]
    assert changes.changed == [
        "p.M.turns: string = 3 -> string = 4",
        "p.S.Do: rpc(p.M) returns (p.M) -> rpc(p.M) returns (stream p.M)",
    ]
    assert parity.main(["diff", str(old), str(new)]) == 1
    assert parity.main(["diff", str(old), str(old)]) == 0


def test_a_new_message_is_one_line(tmp_path: Path) -> None:
    """What belongs to something new or gone is not listed beside it."""
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    text = 'syntax = "proto3"; package p; enum E { ZERO = 0; } message M { map<string, E> a = 1; }'
    (tmp_path / "one" / "a.proto").write_text(text)
    (tmp_path / "two" / "a.proto").write_text(text + " message N { optional string a = 1; enum F { NULL = 0; } }")
    changes = compare(read_contract(tmp_path / "one"), read_contract(tmp_path / "two"))
    assert changes.text() == "1 added\n  p.N\n0 removed\n0 changed"


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (None, "does not exist"),
        (b"\xff\xff", "is no descriptor set"),
        (b"", "describes nothing"),
        ({}, "holds no .proto files"),
        ({"a.proto": "nonsense"}, "does not compile"),
    ],
)
def test_an_unreadable_contract_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes | dict[str, str] | None, text: str
) -> None:
    """An input that is no contract ends the command with 2 and says what is wrong with which input."""
    path = tmp_path / "contract"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        path.mkdir()
        for name, proto in content.items():
            (path / name).write_text(proto)
    with pytest.raises(ContractError, match=text):
        read_contract(path)
    assert parity.main(["diff", str(path), str(path)]) == 2
    assert str(path) in capsys.readouterr().err


def test_a_field_that_enters_a_oneof_or_is_unpacked_has_changed(tmp_path: Path) -> None:
    """Presence and packing are part of a field: both change what a peer reads."""
    texts = {
        "one": "string a = 1; repeated int32 b = 2;",
        "two": "oneof o { string a = 1; } repeated int32 b = 2 [packed = false];",
    }
    for name, fields in texts.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.proto").write_text(f'syntax = "proto3"; package p; message M {{ {fields} }}')
    changes = compare(read_contract(tmp_path / "one"), read_contract(tmp_path / "two"))
    assert changes.changed == [
        "p.M.a: string = 1 -> oneof o string = 1",
        "p.M.b: repeated int32 = 2 -> repeated int32 = 2 [packed = false]",
    ]
