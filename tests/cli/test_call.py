"""``mm-plugin call``: one hook, its answer as JSON, or one sentence."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mm_plugin.cli.hook_json import answer_json, find_hook, hook_fields
from mm_plugin.hooks.names import HookName
from mm_plugin.messages.commands import CommandArgs
from mm_plugin.messages.helpers import props_of
from mm_plugin.messages.posts import Post
from tests.cli.command import GUARD, run, write_plugin

BACKENDS = ("asyncio", "trio")

FAILING = """
from mm_plugin import Plugin, run_plugin

class Failing(Plugin):
    async def execute_command(self, context, args):
        raise ValueError("no luck")

run_plugin(Failing)
"""


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_answer_is_json(backend: str) -> None:
    """The answer comes as JSON and nothing else, the plugin's API works, and the command ends with 0."""
    done = run("call", GUARD, "MessageWillBePosted", "--json", '{"post": {"message": "my secret"}}', "--as", "bob",
               "--backend", backend)  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"rejection_reason": "Please leave out secret, bob."}
    assert done.stderr == ""


def test_the_method_s_name_and_kept_state(tmp_path: Path) -> None:
    """A hook answers to its method's name too, and --state carries over from call to call."""
    answers: list[str] = []
    for words in ("add turnip", "words"):
        text = json.dumps({"args": {"command": f"/guard {words}"}})
        done = run("call", GUARD, "execute_command", "--json", text, "--state", tmp_path / "state.sqlite")
        assert done.returncode == 0, done.stderr
        answers.append(json.loads(done.stdout)["response"]["text"])
    assert answers[-1] == "password, secret, turnip"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("Nope",), "there is no hook 'Nope'; there are OnActivate, "),
        (("MessageWilBePosted",), "there is no hook 'MessageWilBePosted'; near are MessageWillBePosted, "),
        (("UserWillLogIn",), "com.example.guard does not implement UserWillLogIn; it has ExecuteCommand"),
        (("MessageWillBePosted", "--json", '{"post":\n [}'), "bad JSON at line 2, column 3"),
    ],
)
def test_what_cannot_be_called_is_one_sentence(arguments: tuple[str, ...], sentence: str) -> None:
    """A wrong hook or wrong JSON ends the command with 1 and one line on standard error."""
    done = run("call", GUARD, *arguments)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith(f"mm-plugin: {sentence}")
    assert done.stderr.count("\n") == 1


def test_an_error_as_answer_is_one_sentence(tmp_path: Path) -> None:
    """Where the hook answers with an error, that is the sentence, and the command ends with 1."""
    done = run("call", write_plugin(tmp_path, FAILING), "ExecuteCommand", "--json", '{"args": {"command": "/x"}}',
               "--log-level", "error")  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("mm-plugin: ExecuteCommand was answered with an error: ")


def test_a_plugin_that_crashes_is_named(tmp_path: Path) -> None:
    """What ended is the plugin, and how."""
    crashing = FAILING.replace('raise ValueError("no luck")', "os._exit(7)")
    done = run("call", write_plugin(tmp_path, f"import os\n{crashing}"), "ExecuteCommand", "--json", "{}")
    assert done.returncode == 1
    (said,) = (line for line in done.stderr.splitlines() if line.startswith("mm-plugin: "))
    assert said.startswith("mm-plugin: ExecuteCommand failed, and the plugin with it: The plugin exited with code 7")


def test_a_fault_is_felt() -> None:
    """--fault makes the call fail as the host's switches do; an unknown one is refused with the known."""
    text = '{"args": {"command": "/guard add turnip"}}'
    done = run("call", GUARD, "ExecuteCommand", "--json", text, "--fault", "kv_full", "--log-level", "error")
    assert done.returncode == 1
    refused = run("call", GUARD, "ExecuteCommand", "--fault", "rain")
    assert refused.returncode == 2
    assert "expected one of delay_s" in refused.stderr


@pytest.mark.parametrize("name", ["OnActivate", "on_deactivate", "ServeHTTP", "serve_http", "Nonsense", ""])
def test_hooks_that_cannot_be_called_alone(name: str) -> None:
    """Lifecycle and HTTP say what to do instead; what is no hook is told."""
    with pytest.raises(ValueError, match=r"mm-plugin dev|there is no hook"):
        find_hook(name)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[]", "expected a JSON object with the fields of MessageWillBePosted: post"),
        ('{"post": 5}', "MessageWillBePosted.post: expected an object, found a number"),
        ('{"plugin_context": {}}', "has no field 'plugin_context'; it has post"),
        ('{"post": {"mesage": ""}}', r"MessageWillBePosted\.post: there is no field 'mesage'; near are message"),
        ('{"post": {"metadata": {"embeds": [{"tipe": ""}]}}}', r"post\.metadata\.embeds: there is no field 'tipe'"),
        ('{"post": {"message": 3}}', "message"),
        ('{"post": 3}', "post"),
        ('{"post": ', "line 1, column 10"),
    ],
)
def test_json_that_does_not_fit_names_the_place(text: str, sentence: str) -> None:
    """Each mistake in the fields is a ValueError that says where it is and what is expected there."""
    with pytest.raises(ValueError, match=sentence):
        hook_fields(HookName.MessageWillBePosted, text, {})


def test_fields_become_messages_with_ids() -> None:
    """Fields are read by the contract's names, Structs as objects, and only empty ids are filled in."""
    ids = {"user_id": "u", "channel_id": "c", "team_id": "t"}
    fields = hook_fields(HookName.MessageWillBePosted, '{"post": {"user_id": "x", "props": {"a": [1]}}}', ids)
    post = fields["post"]
    assert isinstance(post, Post)
    assert (post.user_id, post.channel_id) == ("x", "c")
    assert props_of(post) == {"a": [1]}
    args = hook_fields(HookName.ExecuteCommand, '{"args": {"command": "/x"}}', ids)["args"]
    assert isinstance(args, CommandArgs)
    assert (args.user_id, args.channel_id, args.team_id) == ("u", "c", "t")
    numbers = hook_fields(HookName.RunDataRetention, '{"now_time": 5, "batch_size": 1}', ids)
    assert numbers == {"now_time": 5, "batch_size": 1}
    notified = hook_fields(HookName.NotificationWillBePushed, '{"push_notification": {"message": "m"}}', ids)
    assert set(notified) <= {"push_notification", "user_id"}
    assert answer_json(None) == {}
