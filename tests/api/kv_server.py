"""A server with a key-value store, its own clock, and a network that can be told to misbehave."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

import anyio

from mm_plugin._proto.plugin_pb2 import PluginKVSetOptions
from mm_plugin.api.client import PluginAPIClient
from mm_plugin.exceptions import StatusCode
from mm_plugin.host.api_receiver import HandlerAPI
from mm_plugin.transport.link import CallFailure, FailureKind

if TYPE_CHECKING:
    from google.protobuf.message import Message


class KVServer:
    """Keeps values as Mattermost does: empty is none, whole seconds to live, compare-and-set."""

    def __init__(self, clock_s: Callable[[], float] = anyio.current_time) -> None:
        self.clock_s = clock_s
        self.values: dict[str, tuple[bytes, float]] = {}
        self.calls: list[str] = []
        self.on_get: Callable[[], None] = lambda: None

    def current(self, key: str) -> bytes:
        assert 1 <= len(key) <= 50
        value, ends = self.values.get(key, (b"", 0.0))
        return value if not ends or self.clock_s() < ends else b""

    def put(self, key: str, value: bytes, expire_in_seconds: int = 0) -> None:
        self.values.pop(key, None)
        if value:
            self.values[key] = (value, self.clock_s() + expire_in_seconds if expire_in_seconds else 0.0)

    def replace(self, key: str, old: bytes, new: bytes, expire_in_seconds: int = 0) -> bool:
        if self.current(key) != old or not (old or new):
            return False
        self.put(key, new, expire_in_seconds)
        return True

    async def kv_get(self, key: str) -> bytes:
        value = self.current(key)
        self.on_get()
        return value

    async def kv_set(self, key: str, value: bytes) -> None:
        self.put(key, value)

    async def kv_set_with_expiry(self, key: str, value: bytes, expire_in_seconds: int) -> None:
        self.put(key, value, expire_in_seconds)

    async def kv_compare_and_set(self, key: str, old_value: bytes, new_value: bytes) -> bool:
        return self.replace(key, old_value, new_value)

    async def kv_compare_and_delete(self, key: str, old_value: bytes) -> bool:
        return self.replace(key, old_value, b"")

    async def kv_set_with_options(self, key: str, value: bytes, options: PluginKVSetOptions) -> bool:
        assert options.atomic
        return self.replace(key, options.old_value, value, options.expire_in_seconds)

    async def kv_delete(self, key: str) -> None:
        self.put(key, b"")

    async def kv_list(self, page: int, per_page: int) -> list[str]:
        keys = sorted(key for key in self.values if self.current(key))
        return keys[page * per_page : (page + 1) * per_page]


class Node:
    """One node's way to the server: each call may be late, or lost before or after it is carried out.

    Args:
        server: The server.
        delays_s: For each call the seconds to the server and back; None in their place: the call is lost there.
    """

    def __init__(self, server: KVServer, delays_s: Iterable[tuple[float | None, float | None]] = ()) -> None:
        self.receiver = HandlerAPI(server)
        self.delays_s: Iterator[tuple[float | None, float | None]] = iter(delays_s)
        self.dead = False  # for good
        self.cut = False  # for now
        self.api = PluginAPIClient.on_link(self)

    async def call_api(self, method: str, request: Message, *, deadline: float | None = None) -> Message:
        there_s, back_s = next(self.delays_s, (0.0, 0.0))
        await self.travel(there_s)
        response = await self.receiver.handle_api(method, request, deadline=None)
        await self.travel(back_s)
        return response

    async def travel(self, delay_s: float | None) -> None:
        await anyio.sleep(delay_s or 0)
        if self.dead or self.cut or delay_s is None:
            raise CallFailure("the connection was lost", kind=FailureKind.LOST, code=StatusCode.UNAVAILABLE)
