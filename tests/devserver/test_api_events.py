"""What plugins send into the world, and what people answer, through the client and the REST door."""

from __future__ import annotations

import base64
import json

import anyio
import httpx
import pytest

from mm_plugin import limits
from mm_plugin.devserver.outbox import OutboxKind
from mm_plugin.devserver.server import open_door
from mm_plugin.devserver.triggers import new_trigger_id, user_of_trigger
from mm_plugin.exceptions import NotFoundError, PluginAPIError, ValidationError
from mm_plugin.hooks.results import Reject
from mm_plugin.messages.audit import AuditRecord
from mm_plugin.messages.bots import Bot, BotPatch
from mm_plugin.messages.commands import Command, CommandArgs, CommandResponse
from mm_plugin.messages.common import PluginContext
from mm_plugin.messages.dialogs import Dialog, OpenDialogRequest
from mm_plugin.messages.json_fields import Configuration
from mm_plugin.messages.notifications import PushNotification
from mm_plugin.messages.oauth import OAuthApp
from mm_plugin.messages.plugins import PluginClusterEvent
from mm_plugin.messages.websocket import WebsocketBroadcast
from mm_plugin.plugin.plugin import Plugin
from mm_plugin.serve_http.request import Request
from mm_plugin.serve_http.response import Response
from mm_plugin.types import JSONValue
from tests.devserver.worlds import World, open_world

PLUGIN_ID = "com.example.test"


async def sent(world: World, kind: OutboxKind) -> list[dict[str, JSONValue]]:
    return [entry.content for entry in await world.app.store.outbox.newest(kind)]


async def test_events_are_named_after_their_plugin() -> None:
    """Clients see the plugin's id in an event's name; the cluster has nobody to hear."""
    async with open_world() as world, world.client() as api:
        await api.publish_websocket_event("moved", {"x": 1}, WebsocketBroadcast(user_id="u", omit_users=["v"]))
        (event,) = await sent(world, OutboxKind.WEBSOCKET)
        assert event["event"] == f"custom_{PLUGIN_ID}_moved"
        assert event["data"] == {"x": 1}
        broadcast = event["broadcast"]
        assert isinstance(broadcast, dict)
        assert (broadcast["user_id"], broadcast["omit_users"]) == ("u", ["v"])
        await api.publish_plugin_cluster_event(PluginClusterEvent(id="e", data=b"\x00\xff"))
        assert (await sent(world, OutboxKind.CLUSTER))[0]["data"] == "00ff"


async def test_the_outbox_keeps_the_newest(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each kind is bounded by itself; who sent it and when stand beside it."""
    monkeypatch.setattr(limits, "devserver_outbox_entries", 3)
    async with open_world() as world, world.client() as api:
        await api.send_mail("ada@example.com", "first", "<p>1</p>")
        for number in range(5):
            await api.publish_websocket_event(str(number), {}, WebsocketBroadcast())
        entries = await world.app.store.outbox.newest(OutboxKind.WEBSOCKET)
        assert [str(entry.content["event"])[-1] for entry in entries] == ["2", "3", "4"]
        assert {entry.plugin_id for entry in entries} == {PLUGIN_ID}
        assert len(await world.app.store.outbox.newest()) == 4
        assert [entry.id for entry in await world.app.store.outbox.newest(after=entries[1].id)] == [entries[2].id]


async def test_mails_need_all_their_parts() -> None:
    """A mail is kept whole; without receiver, subject or body it is refused as the server refuses it."""
    async with open_world() as world, world.client() as api:
        await api.send_mail("ada@example.com", "Hello", "<p>Hi</p>")
        assert await sent(world, OutboxKind.MAIL) == [
            {"to": "ada@example.com", "subject": "Hello", "html_body": "<p>Hi</p>"}
        ]
        for parts, what in ((("", "s", "b"), "to"), (("t", "", "b"), "subject"), (("t", "s", ""), "htmlbody")):
            with pytest.raises(ValidationError) as caught:
                await api.send_mail(*parts)
            assert caught.value.id == f"plugin_api.send_mail.missing_{what}"


class Censor(Plugin):
    """Shortens pushes, refuses one kind, and has a say about the configuration."""

    async def notification_will_be_pushed(
        self, push_notification: PushNotification, user_id: str
    ) -> PushNotification | Reject | None:
        if push_notification.message == "secret":
            return Reject("No.")
        push_notification.message = push_notification.message[:3]
        return push_notification

    async def configuration_will_be_saved(self, new_config: Configuration) -> Configuration | Reject | None:
        if new_config.get("Bad"):
            return Reject("Not like that.")
        new_config["Seen"] = True
        return new_config


async def test_plugins_are_asked_about_pushes_and_configurations() -> None:
    """Changes flow on, a rejected push is dropped without an error, a rejected configuration is an error."""
    async with open_world() as world, world.running(Censor()) as censor:
        api, ada = censor.api, world.seed.users["ada"].id
        await api.send_push_notification(PushNotification(message="hello", badge="2"), ada)
        await api.send_push_notification(PushNotification(message="secret"), ada)
        (push,) = await sent(world, OutboxKind.PUSH)
        assert (push["message"], push["badge"], push["user_id"]) == ("hel", "2", ada)
        with pytest.raises(NotFoundError):
            await api.send_push_notification(PushNotification(), "nobody")
        await api.save_config({"Mine": 1})
        config = json.loads(await api.get_config())
        assert (config["Mine"], config["Seen"]) == (1, True)
        with pytest.raises(PluginAPIError):
            await api.save_config({"Bad": True})
        assert json.loads(await api.get_config())["Mine"] == 1


async def test_audit_records_are_kept_with_their_level() -> None:
    """Id and time are filled in, what the record says stays, and the level is the caller's."""
    async with open_world() as world, world.client() as api:
        record = AuditRecord(event="tidied", status="success", level="audit-api")
        record.meta["rooms"] = 3
        await api.log_audit_rec(record)
        await api.log_audit_rec_with_level(record, "audit-content")
        first, second = await sent(world, OutboxKind.AUDIT)
        assert (first["event"], first["level"], second["level"]) == ("tidied", "audit-api", "audit-content")
        assert first["meta"] == {"rooms": 3, "plugin_id": PLUGIN_ID}
        assert first["id"] != second["id"]
        assert isinstance(first["create_at"], int)
        assert first["create_at"] > 0


class Asker(Plugin):
    """Opens a dialog from its command, and answers what is filled in."""

    def __init__(self) -> None:
        self.filled: list[tuple[str, dict[str, object]]] = []

    async def on_activate(self) -> None:
        await self.api.register_command(Command(trigger="ask"))

    async def execute_command(self, context: PluginContext, args: CommandArgs) -> CommandResponse:
        dialog = Dialog(title="How many?", callback_id="count")
        await self.api.open_interactive_dialog(
            OpenDialogRequest(trigger_id=args.trigger_id, url=f"/plugins/{PLUGIN_ID}/filled", dialog=dialog)
        )
        return CommandResponse()

    async def serve_http(self, request: Request, response: Response) -> None:
        if request.path != "/filled":
            response.status = 404
            return
        self.filled.append((request.headers["mattermost-user-id"], json.loads(await request.read())))
        response.headers["content-type"] = "application/json"
        await response.write(b'{"error": "Too many."}')


async def test_a_dialog_goes_from_command_to_answer() -> None:
    """A command's trigger id opens a dialog for its user; what is submitted reaches the plugin, its answer the user."""
    async with open_world() as world, world.running(Asker()) as asker, open_door(world.app, "127.0.0.1", 0) as url:
        assert isinstance(asker, Asker)
        ada = world.seed.users["ada"].id
        headers = {"Authorization": f"Bearer {world.seed.tokens['ada']}"}
        async with httpx.AsyncClient(base_url=f"{url}/api/v4", headers=headers) as client:
            body = {"channel_id": world.seed.channel.id, "command": "/ask"}
            assert (await client.post("/commands/execute", json=body)).status_code == 200
            (dialog,) = await sent(world, OutboxKind.DIALOG)
            shown = dialog["dialog"]
            assert isinstance(shown, dict)
            assert (dialog["user_id"], shown["title"]) == (ada, "How many?")
            filled = {"url": dialog["url"], "callback_id": "count", "submission": {"n": 7}, "user_id": "forged"}
            answer = await client.post("/actions/dialogs/submit", json=filled)
            assert answer.json() == {"error": "Too many."}
            ((user_id, content),) = asker.filled
            assert user_id == content["user_id"] == ada
            assert (content["submission"], content["type"]) == ({"n": 7}, "dialog_submission")
            for bad in (f"/plugins/{PLUGIN_ID}/nothing", "ftp://example.com", "http://127.0.0.1:1/"):
                assert (await client.post("/actions/dialogs/submit", json={"url": bad})).status_code == 500


async def test_trigger_ids_are_ours_and_fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """An id of another making, or an old one, opens nothing; a dialog needs a url."""
    trigger_id = new_trigger_id("ada")
    assert user_of_trigger(trigger_id) == "ada"
    forged = base64.b64encode(base64.b64decode(trigger_id).replace(b"ada", b"bob")).decode()
    for bad in ("", "???", "YQ==", forged):
        with pytest.raises(ValidationError):
            user_of_trigger(bad)
    async with open_world() as world, world.client() as api:
        with pytest.raises(ValidationError):
            await api.open_interactive_dialog(OpenDialogRequest(trigger_id=trigger_id))
        monkeypatch.setattr(limits, "devserver_trigger_ms", -1)
        with pytest.raises(ValidationError) as caught:
            await api.open_interactive_dialog(OpenDialogRequest(trigger_id=trigger_id, url="/x", dialog=Dialog()))
        assert caught.value.id == "interactive_message.decode_trigger_id.expired"


async def test_topics_belong_to_one_plugin() -> None:
    """A collection type has one plugin and a topic type one collection type."""
    async with open_world() as world, world.client() as api, world.client("com.example.other") as other:
        for _ in range(2):
            await api.register_collection_and_topic("run", "step")
        for plugin, collection, topic in ((other, "run", "x"), (other, "walk", "step"), (api, "", "x")):
            with pytest.raises(ValidationError):
                await plugin.register_collection_and_topic(collection, topic)
        await other.register_collection_and_topic("walk", "stop")


async def test_topics_claimed_at_once_are_all_kept() -> None:
    """Plugins that start together forget none of each other's claims."""
    async with open_world() as world, world.client() as api, world.client("com.example.other") as other:
        async with anyio.create_task_group() as tasks:
            for number in range(8):
                tasks.start_soon(api.register_collection_and_topic, f"collection{number}", f"topic{number}")
        for number in range(8):
            with pytest.raises(ValidationError):
                await other.register_collection_and_topic(f"collection{number}", "mine")


async def test_oauth_apps() -> None:
    """An application gets id and secret, keeps them when it is changed, and is gone when deleted."""
    async with open_world() as world, world.client() as api:
        draft = OAuthApp(
            name="Tool", callback_urls="https://a.example/cb, http://b.example", homepage="https://a.example"
        )
        app = await api.create_oauth_app(draft)
        assert (len(app.id), len(app.client_secret)) == (26, 26)
        changed = await api.update_oauth_app(
            OAuthApp(id=app.id, name="Tools", callback_urls="https://a.example", homepage="https://a.example")
        )
        assert (changed.name, changed.client_secret, changed.create_at) == ("Tools", app.client_secret, app.create_at)
        assert await api.get_oauth_app(app.id) == changed
        for field, value in (("name", ""), ("callback_urls", "nonsense"), ("homepage", "a.example")):
            bad = OAuthApp()
            bad.CopyFrom(draft)
            setattr(bad, field, value)
            with pytest.raises(ValidationError):
                await api.create_oauth_app(bad)
        await api.delete_oauth_app(app.id)
        for call in (api.get_oauth_app(app.id), api.delete_oauth_app(app.id), api.update_oauth_app(changed)):
            with pytest.raises(NotFoundError):
                await call


async def test_bots_are_renamed_kept_up_and_deleted_for_good() -> None:
    """A patch renames the user too, ensuring a bot updates its texts, and a deleted one leaves nothing behind."""
    async with open_world() as world, world.client() as api:
        user_id = await api.ensure_bot_user(Bot(username="robot", display_name="R"))
        assert await api.ensure_bot_user(Bot(username="robot", display_name="R2", description="D")) == user_id
        assert (await api.get_bot(user_id)).display_name == "R2"
        assert (await api.get_user(user_id)).bot_description == "D"
        await api.patch_bot(user_id, BotPatch(username="Droid"))
        assert (await api.get_user_by_username("droid")).id == user_id
        with pytest.raises(ValidationError):
            await api.patch_bot(user_id, BotPatch(username="ada"))
        await api.create_team_member(world.seed.team.id, user_id)
        await api.permanent_delete_bot(user_id)
        for call in (api.get_bot(user_id, include_deleted=True), api.permanent_delete_bot(user_id)):
            with pytest.raises(NotFoundError):
                await call
        with pytest.raises(NotFoundError):
            await api.get_user(user_id)
        assert user_id not in [member.user_id for member in await api.get_team_members(world.seed.team.id)]


async def test_the_server_knows_itself() -> None:
    """The id for telemetry stays the same, there are no limits of a cloud, and defaults are switched on."""
    async with open_world() as world, world.client() as api:
        telemetry_id = await api.get_telemetry_id()
        assert len(telemetry_id) == 26
        assert await api.get_diagnostic_id() == telemetry_id
        assert await api.get_cloud_limits() == b""
        assert json.loads(await api.get_config())["FileSettings"]["EnablePublicLink"] is True
