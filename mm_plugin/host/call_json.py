"""Call one hook with JSON and get its answer as JSON: what a command line needs.

Layer:  host, over HookClient. Fields carry the contract's names; octets stand as base64, as in protobuf's JSON.
Errors: ConfigurationError for what was asked wrongly; PluginAPIError and CallFailure from the call itself.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from difflib import get_close_matches
from typing import cast

from mm_plugin import limits
from mm_plugin._proto.services import hook_methods
from mm_plugin.exceptions import ConfigurationError
from mm_plugin.hooks.names import HookName
from mm_plugin.hooks.table import HOOK_TABLE
from mm_plugin.host.hook_client import HookClient, HookContext
from mm_plugin.messages.json_fields import JSON_DOCUMENTS
from mm_plugin.types import JSONValue

__all__ = ("call_hook_json", "find_hook")


def find_hook(name: str) -> HookName:
    """Return the hook of a name, in Go's spelling or in Python's.

    Raises:
        ConfigurationError: There is none; the text says which come close.
    """
    known = {str(row.name): row.name for row in HOOK_TABLE.values()} | {r.method: r.name for r in HOOK_TABLE.values()}
    if name in known:
        return known[name]
    close = get_close_matches(name, known, n=3)
    raise ConfigurationError(f"there is no hook {name!r}" + (f"; did you mean {' or '.join(close)}?" if close else ""))


async def call_hook_json(
    hooks: HookClient,
    name: str,
    arguments: Mapping[str, JSONValue],
    *,
    context: HookContext | None = None,
    timeout_s: float = limits.host_hook_timeout_s,
) -> dict[str, JSONValue]:
    """Call a hook.

    Args:
        hooks: The plugin's.
        name: The hook's, in either spelling.
        arguments: The request's fields; of a field that is JSON in octets, the JSON itself.
        context: For whom.
        timeout_s: Longest wait for the answer.

    Returns:
        The response's fields that are set.

    Raises:
        ConfigurationError: There is no such hook, the plugin does not have it, or the arguments do not fit.
        PluginAPIError: The response carries an error.
        CallFailure: There is no response.
    """
    from google.protobuf.json_format import MessageToDict, ParseDict, ParseError

    hook = find_hook(name)
    row = HOOK_TABLE[hook]
    if row.streaming:
        raise ConfigurationError(f"{hook} is a stream: send it an HTTP request to /plugins/{hooks.plugin_id}/")
    if hook not in hooks.implemented:
        has = ", ".join(sorted(hooks.implemented)) or "none"
        raise ConfigurationError(f"the plugin {hooks.plugin_id} does not implement {hook}; it has {has}")
    unknown = [field for field in arguments if field not in row.fields]
    if unknown:
        takes = ", ".join(row.fields) or "nothing"
        raise ConfigurationError(f"{hook} takes {takes}; found {', '.join(unknown)}")
    request = hook_methods()[hook].request()
    documents = {
        field.name: field.message_type.fields[0].name
        for field in request.DESCRIPTOR.fields
        if field.message_type is not None and field.message_type.name in JSON_DOCUMENTS
    }
    try:
        ParseDict({name: _wrapped(value, documents.get(name)) for name, value in arguments.items()}, request)
    except ParseError as error:
        raise ConfigurationError(f"{hook}: {error}") from None
    fields = {name: cast("object", getattr(request, name)) for name in arguments}
    response = await hooks.call(hook, context=context, timeout_s=timeout_s, **fields)
    return {} if response is None else MessageToDict(response, preserving_proto_field_name=True)


def _wrapped(value: JSONValue, octets_field: str | None) -> JSONValue:
    """Return a value as protobuf's JSON has it: JSON in octets becomes base64."""
    if octets_field is None:
        return value
    return {octets_field: base64.b64encode(json.dumps(value).encode()).decode()}
