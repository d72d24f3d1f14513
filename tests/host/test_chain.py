"""Several plugins asked in order: what of an answer replaces what, for every hook whose answer may."""

import json
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from google.protobuf.message import Message

from mm_plugin._proto.common_pb2 import AppError
from mm_plugin._proto.file_pb2 import FileInfo
from mm_plugin._proto.notification_pb2 import EmailNotificationContent, EmailNotificationJson
from mm_plugin._proto.post_pb2 import Post
from mm_plugin._proto.system_pb2 import ConfigJson
from mm_plugin.exceptions import PluginAPIError, StatusCode
from mm_plugin.hooks.names import HookName
from mm_plugin.hooks.results import DISMISS_REASON
from mm_plugin.hooks.table import HOOK_TABLE
from mm_plugin.host.chain import ask_in_order
from mm_plugin.host.hook_client import HookClient
from mm_plugin.transport.link import CallFailure
from tests.host.stubs import Answer, StubPlugin, joined, says


@asynccontextmanager
async def chain(name: HookName, *answers: Answer) -> AsyncGenerator[tuple[list[HookClient], list[StubPlugin]]]:
    """Join one plugin for each answer, called a, b and so on."""
    async with AsyncExitStack() as stack:
        stubs = [StubPlugin({name: answer}) for answer in answers]
        clients: list[HookClient] = []
        for number, stub in enumerate(stubs):
            client = HookClient(await stack.enter_async_context(joined(stub)), "abc"[number])
            await client.ask_implemented()
            clients.append(client)
        yield clients, stubs


def test_every_replacing_hook_is_covered() -> None:
    """The rows whose answers replace something are those of this file."""
    names = {row.name for row in HOOK_TABLE.values() if any(output.replaces for output in row.outputs)}
    assert names == {
        HookName.MessageWillBePosted,
        HookName.MessageWillBeUpdated,
        HookName.MessagesWillBeConsumed,
        HookName.FileWillBeUploaded,
        HookName.NotificationWillBePushed,
        HookName.EmailNotificationWillBeSent,
        HookName.ConfigurationWillBeSaved,
    }


async def test_messages() -> None:
    """The next plugin sees the last one's change, beside the fields that stay; an empty answer changes nothing."""
    async with chain(
        HookName.MessageWillBeUpdated, says(), says(modified_post=Post(message="b")), says(modified_post=Post())
    ) as (clients, stubs):
        fields = {"new_post": Post(message="new"), "old_post": Post(message="old")}
        decision = await ask_in_order(clients[:2], HookName.MessageWillBeUpdated, fields=fields)
        assert decision.fields == {"new_post": Post(message="b"), "old_post": Post(message="old")}
        assert fields["new_post"].message == "new"
        decision = await ask_in_order(clients[1:], HookName.MessageWillBeUpdated, fields=fields)
        assert decision.fields["new_post"] == Post()  # set, though empty
        seen = stubs[2].calls[-1].request
        assert isinstance(seen, Message)
        assert getattr(seen, "new_post") == Post(message="b")  # noqa: B009 - not every request has one


@pytest.mark.parametrize(("reason", "dismissed"), [("no", False), (DISMISS_REASON, True)])
async def test_rejection_ends_it(reason: str, dismissed: bool) -> None:
    """Nobody is asked after a rejection, which says who it was."""
    name = HookName.NotificationWillBePushed
    async with chain(name, says(), says(rejection_reason=reason), says()) as (clients, stubs):
        decision = await ask_in_order(clients, name, fields={})
        assert (decision.rejection, decision.rejected_by, decision.dismissed) == (reason, "b", dismissed)
        assert name not in stubs[2].called


async def test_lists_and_files() -> None:
    """Of a list and of a file's content an empty answer means unchanged."""
    name = HookName.MessagesWillBeConsumed
    async with chain(name, says(posts=[Post(id="x")]), says(posts=[])) as (clients, _):
        assert (await ask_in_order(clients, name, fields={"posts": [Post()]})).fields == {"posts": [Post(id="x")]}
    name = HookName.FileWillBeUploaded
    async with chain(name, says(modified_content=b"new"), says(modified_file_info=FileInfo(id="f"))) as (clients, _):
        decision = await ask_in_order(clients, name, fields={"file_info": FileInfo(), "file_content": b"old"})
        assert decision.fields == {"file_info": FileInfo(id="f"), "file_content": b"new"}


async def test_mail() -> None:
    """What a plugin returns replaces all of a mail's content, and nothing else of it."""
    name = HookName.EmailNotificationWillBeSent
    mail = EmailNotificationJson(notification_json=json.dumps({"post_id": "p", "subject": "s", "title": "t"}).encode())
    content = EmailNotificationContent(subject="new", sub_title="sub")
    async with chain(name, says(modified_content=content)) as (clients, _):
        changed = (await ask_in_order(clients, name, fields={"email_notification": mail})).fields["email_notification"]
    assert isinstance(changed, EmailNotificationJson)
    document = json.loads(changed.notification_json)
    assert {key: value for key, value in document.items() if value} == {
        "post_id": "p",
        "subject": "new",
        "subtitle": "sub",
    }
    assert document["title"] == ""


async def test_configuration() -> None:
    """A new configuration flows on, an empty one does not count, and an error stops the saving."""
    name = HookName.ConfigurationWillBeSaved
    new = ConfigJson(config_json=b'{"A":1}')
    async with chain(name, says(modified_config=new), says(modified_config=ConfigJson())) as (clients, _):
        assert (await ask_in_order(clients, name, fields={"new_config": ConfigJson()})).fields["new_config"] == new
    async with chain(name, says(error=AppError(message="no")), says()) as (clients, stubs):
        with pytest.raises(PluginAPIError, match="no"):
            await ask_in_order(clients, name, fields={"new_config": new})
        assert name not in stubs[1].called


@pytest.mark.parametrize("name", [HookName.UserWillLogIn, HookName.ConfigurationWillBeSaved])
async def test_failing_plugin(name: HookName) -> None:
    """A plugin that fails is passed over where the server lets things pass, and is an error where it does not."""

    def fails(request: Message) -> None:
        raise CallFailure("mad", code=StatusCode.INTERNAL)

    async with chain(name, fails, says(**({"rejection_reason": "no"} if name is HookName.UserWillLogIn else {}))) as (
        clients,
        _,
    ):
        if name is HookName.UserWillLogIn:
            assert (await ask_in_order(clients, name, fields={})).rejected_by == "b"
        else:
            with pytest.raises(CallFailure):
                await ask_in_order(clients, name, fields={})
