"""What plugins send into the world: events, dialogs, mails, pushes, audit records. All of it goes into the outbox.

Events also go to the clients that are connected.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, cast

from mm_plugin.devserver.api_base import APIBase, needed
from mm_plugin.devserver.clients import Audience
from mm_plugin.devserver.errors import invalid
from mm_plugin.devserver.json_forms import json_of
from mm_plugin.devserver.outbox import OutboxKind
from mm_plugin.devserver.triggers import user_of_trigger
from mm_plugin.hooks.names import HookName
from mm_plugin.messages.dialogs import OpenDialogRequest
from mm_plugin.messages.helpers import new_id, now_ms
from mm_plugin.messages.notifications import PushNotification
from mm_plugin.messages.websocket import WebsocketBroadcast

if TYPE_CHECKING:
    from mm_plugin.messages.audit import AuditRecord
    from mm_plugin.messages.plugins import PluginClusterEvent, PluginClusterEventSendOptions
    from mm_plugin.types import JSONValue

__all__ = ("EventsHandler",)

_TOPICS = "topics"


class EventsHandler(APIBase):
    """What is sent."""

    async def publish_websocket_event(
        self, event: str, payload: Mapping[str, JSONValue] | None, broadcast: WebsocketBroadcast | None
    ) -> None:
        """Send an event to clients, under the name that they see it by; the outbox has it, too."""
        sent_to = broadcast or WebsocketBroadcast()
        content: dict[str, JSONValue] = {
            "event": f"custom_{self._plugin_id}_{event}",
            "data": dict(payload or {}),
            "broadcast": {} if broadcast is None else json_of(broadcast),
        }
        await self._send(OutboxKind.WEBSOCKET, content)
        audience = Audience(
            user_id=sent_to.user_id,
            channel_id=sent_to.channel_id,
            team_id=sent_to.team_id,
            omit_users=frozenset(sent_to.omit_users),
            # Without the flag the server takes no notice of the connection (reference of the Go host, section 3).
            omit_connection_id=sent_to.connection_id if sent_to.omit_connection_id else "",
        )
        await self._app.clients.publish(f"custom_{self._plugin_id}_{event}", payload or {}, audience)

    async def publish_plugin_cluster_event(
        self, event: PluginClusterEvent | None, *, opts: PluginClusterEventSendOptions | None = None
    ) -> None:
        """Send an event to the other nodes of the cluster; there are none, so nobody hears it."""
        sent = needed(event, "event")
        await self._send(
            OutboxKind.CLUSTER,
            {"id": sent.id, "data": sent.data.hex(), "opts": {} if opts is None else json_of(opts)},
        )

    async def open_interactive_dialog(self, dialog: OpenDialogRequest | None) -> None:
        """Open a dialog for the user whose action gave the trigger id; REST submits it."""
        wanted = needed(dialog, "dialog")
        user_id = user_of_trigger(wanted.trigger_id)
        if not wanted.url or not wanted.HasField("dialog"):
            raise invalid("api.context.invalid_body_param.app_error", "A dialog has a url and a dialog.", "OpenDialog")
        await self._send(OutboxKind.DIALOG, {**json_of(wanted), "user_id": user_id})

    # -- mails and pushes -------------------------------------------------------------------------------------

    async def send_mail(self, to: str, subject: str, html_body: str) -> None:
        """Send a mail."""
        for name, value, text in (
            ("missing_to", to, "to"),
            ("missing_subject", subject, "subject"),
            ("missing_htmlbody", html_body, "html_body"),
        ):
            if not value:
                raise invalid(f"plugin_api.send_mail.{name}", f"A mail needs {text}.", "SendMail")
        await self._send(OutboxKind.MAIL, {"to": to, "subject": subject, "html_body": html_body})

    async def send_push_notification(self, notification: PushNotification | None, user_id: str) -> None:
        """Push to a user's devices what the plugins leave of it (NotificationWillBePushed); a rejection is no error."""
        wanted = needed(notification, "notification")
        await self._app.accounts.get(user_id)
        decision = await self._app.host.ask(
            HookName.NotificationWillBePushed, push_notification=wanted, user_id=user_id
        )
        if not decision.rejection:
            pushed = cast("PushNotification", decision.fields["push_notification"])
            await self._send(OutboxKind.PUSH, {**json_of(pushed), "user_id": user_id})

    # -- audit ------------------------------------------------------------------------------------------------

    async def log_audit_rec(self, record: AuditRecord | None) -> None:
        """Write an audit record."""
        await self.log_audit_rec_with_level(record, "")

    async def log_audit_rec_with_level(self, record: AuditRecord | None, level: str) -> None:
        """Write an audit record at a level; id and time are filled in where they are missing."""
        content = json_of(needed(record, "record"))
        content["id"] = content["id"] or new_id()
        content["create_at"] = content["create_at"] or now_ms()
        content["level"] = level or content["level"]
        content["meta"] = {**cast("Mapping[str, JSONValue]", content["meta"]), "plugin_id": self._plugin_id}
        await self._send(OutboxKind.AUDIT, content)

    # -- topics -----------------------------------------------------------------------------------------------

    async def register_collection_and_topic(self, collection_type: str, topic_type: str) -> None:
        """Claim a collection type and its topic type; again by the same plugin changes nothing."""
        if not collection_type or not topic_type:
            text = "collection_type and topic_type are needed."
            raise invalid("app.collection.add_collection.app_error", text, "RegisterCollectionAndTopic")
        collection, topic = f"collection {collection_type}", f"topic {topic_type}"

        def claim(kept: dict[str, JSONValue]) -> None:
            owner = kept.setdefault(collection, self._plugin_id)
            if owner != self._plugin_id:
                text = f"The collection type {collection_type} belongs to {owner}."
                raise invalid("app.collection.add_collection.exists.app_error", text, "RegisterCollectionAndTopic")
            collection_of_topic = kept.setdefault(topic, collection_type)
            if collection_of_topic != collection_type:
                text = f"The topic type {topic_type} belongs to the collection type {collection_of_topic}."
                raise invalid("app.collection.add_topic.exists.app_error", text, "RegisterCollectionAndTopic")

        await self._store.change_document(_TOPICS, claim)

    async def _send(self, kind: OutboxKind, content: Mapping[str, JSONValue]) -> None:
        await self._store.outbox.put(kind, content, plugin_id=self._plugin_id)
