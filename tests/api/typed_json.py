"""What may be given where a method takes JSON, for mypy and pyright to judge; nothing runs it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from types import MappingProxyType
from typing import TypedDict

from mm_plugin._proto.post_pb2 import Post
from mm_plugin._proto.websocket_pb2 import WebsocketBroadcast
from mm_plugin.api.client import PluginAPIClient
from mm_plugin.api.posting import reply
from mm_plugin.serve_http.response import Response
from mm_plugin.types import JSONObject, JSONValue


class Settings(TypedDict):
    words: list[str]


class Payload(TypedDict, total=False):
    count: int
    settings: Settings


async def give_all_kinds(api: PluginAPIClient, given: JSONObject, value: Mapping[str, JSONValue]) -> None:
    """Typed dicts, nested ones too, need no cast; neither do dicts of one type and other mappings."""
    payload: Payload = {"count": 1, "settings": {"words": ["a"]}}
    numbers: dict[str, int] = {"a": 1}
    ordered: OrderedDict[str, float] = OrderedDict(a=1.5)
    for each in (given, value, numbers, MappingProxyType(numbers), ordered):
        await api.save_plugin_config(each)
    await api.save_plugin_config(payload)
    await api.save_config(payload)
    await api.save_config(b"{}")
    await api.log_info("text", payload)
    await api.publish_websocket_event("event", payload, WebsocketBroadcast())
    await reply(api, Post(), "text", user_id="id", props=payload)


def block(api: PluginAPIClient) -> None:
    """By the other door, too."""
    payload: Payload = {"count": 1}
    api.sync.save_plugin_config(payload)
    api.sync.log_info("text", {"payload": payload})


async def answer(response: Response) -> None:
    """An HTTP response takes what the API takes, and lists of it."""
    payload: Payload = {"count": 1}
    await response.json(payload)
    await response.json([payload])
    await response.json({"payloads": [payload]})
    await response.json("text")
    response.sync.json([payload])
