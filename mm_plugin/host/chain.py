"""Ask several plugins about one thing, in order: a refusal ends it, changes flow on to the next.

Job:    what the server does with every hook whose answer may replace what it was asked about.
Layer:  host, over HookClient; the hook table says which response field replaces which request field.
Errors: PluginAPIError from hooks that refuse by an error; a plugin that fails lets things pass where the table says so.
See:    reference of the Go host, section 2: what of a response is read, and when an empty value means "unchanged".
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from mm_plugin import limits
from mm_plugin.hooks.results import DISMISS_REASON
from mm_plugin.hooks.table import HOOK_TABLE, OutputKind, Refusal

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from mm_plugin._proto.notification_pb2 import EmailNotificationContent, EmailNotificationJson
    from mm_plugin.hooks.names import HookName
    from mm_plugin.hooks.table import Output
    from mm_plugin.host.hook_client import HookClient, HookContext

__all__ = ("Decision", "ask_in_order")


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What became of the thing that plugins were asked about.

    Attributes:
        fields: The request's fields as they are after all changes.
        rejection: Why it must not be; "" where nothing speaks against it.
        rejected_by: The id of the plugin that said so.
    """

    fields: Mapping[str, object]
    rejection: str = ""
    rejected_by: str = ""

    @property
    def dismissed(self) -> bool:
        """Whether it is to be dropped without telling anybody."""
        return self.rejection == DISMISS_REASON


async def ask_in_order(
    plugins: Iterable[HookClient],
    name: HookName,
    *,
    context: HookContext | None = None,
    timeout_s: float = limits.host_hook_timeout_s,
    fields: Mapping[str, object],
) -> Decision:
    """Ask plugins one after the other.

    Args:
        plugins: Their hooks, in order.
        name: The hook.
        context: For whom.
        timeout_s: Longest wait for each plugin's answer.
        fields: The request's fields by name.

    Raises:
        PluginAPIError: A plugin refused by an error.
        CallFailure: A plugin failed, at a hook where the server takes that for an error.
    """
    row = HOOK_TABLE[name]
    fields = dict(fields)
    for hooks in plugins:
        response = await hooks.call_or_allow(name, context=context, timeout_s=timeout_s, **fields)
        if response is None:
            continue
        if row.refusal is Refusal.REASON:
            reason: str = getattr(response, row.refusal.value)
            if reason:
                return Decision(fields=fields, rejection=reason, rejected_by=hooks.plugin_id)
        for output in row.outputs:
            if output.replaces:
                fields[output.replaces] = _replaced(response, output, fields.get(output.replaces))
    return Decision(fields=fields)


def _replaced(response: Message, output: Output, old: object) -> object:
    """Return a request field as it is after one plugin's response."""
    match output.kind:
        case OutputKind.MESSAGES:
            return list(getattr(response, output.field)) or old
        case OutputKind.CONTENT:
            return getattr(response, output.field) or old
        case _ if not response.HasField(output.field):
            return old
        case OutputKind.JSON:
            value: Message = getattr(response, output.field)
            return value if value.ByteSize() else old
        case _ if output.replaces == "email_notification":
            return _with_content(cast("EmailNotificationJson", old), getattr(response, output.field))
        case _:
            return getattr(response, output.field)


def _with_content(mail: EmailNotificationJson, content: EmailNotificationContent) -> EmailNotificationJson:
    """Return a mail with all of its content replaced, as the server does."""
    document = json.loads(mail.notification_json or b"{}")
    for field in content.DESCRIPTOR.fields:
        document[field.name.replace("sub_title", "subtitle")] = getattr(content, field.name)
    return type(mail)(notification_json=json.dumps(document).encode())
