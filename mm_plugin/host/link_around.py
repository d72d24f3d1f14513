"""A HostLink around another one that hands every call on; for those that add something to some.

Layer:  host.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from google.protobuf.message import Message

    from mm_plugin.transport.link import HostLink, HTTPCall, RequestHead

__all__ = ("LinkAround",)


class LinkAround:
    """See HostLink.

    Args:
        link: The real one.
    """

    def __init__(self, link: HostLink) -> None:
        self._link = link

    async def call_hook(self, name: str, request: Message, *, deadline: float | None = None) -> Message:
        """Call a hook."""
        return await self._link.call_hook(name, request, deadline=deadline)

    def open_http(self, head: RequestHead) -> AbstractAsyncContextManager[HTTPCall]:
        """Open one HTTP request."""
        return self._link.open_http(head)

    async def check_health(self, *, deadline: float | None = None) -> bool:
        """Ask whether the plugin serves."""
        return await self._link.check_health(deadline=deadline)

    async def ask_stop(self, *, deadline: float | None = None) -> None:
        """Ask the plugin to stop."""
        await self._link.ask_stop(deadline=deadline)

    async def aclose(self) -> None:
        """Close the link."""
        await self._link.aclose()
