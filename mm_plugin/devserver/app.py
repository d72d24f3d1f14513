"""What the server knows and does, in one object that the plugins' API and the REST door both stand on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mm_plugin.devserver.accounts import Accounts
from mm_plugin.devserver.client_events import ClientEvents
from mm_plugin.devserver.clients import Clients
from mm_plugin.devserver.configuration import Configuration
from mm_plugin.devserver.ephemeral import EphemeralPosts
from mm_plugin.devserver.events import Events
from mm_plugin.devserver.filing import Filing
from mm_plugin.devserver.plugin_control import PluginControl
from mm_plugin.devserver.posting import Posting
from mm_plugin.devserver.slash_commands import SlashCommands

if TYPE_CHECKING:
    from anyio.abc import TaskGroup

    from mm_plugin.devserver.store import Store
    from mm_plugin.host.host import Host

__all__ = ("App",)


class App:
    """The server without its doors.

    Attributes:
        store: Its state.
        host: Its plugins.
        site_url: Where people reach it; "" while nobody can.

    Args:
        store: Its state.
        host: Its plugins.
        tasks: Where plugins are told of events; must outlive the host.
    """

    def __init__(self, store: Store, host: Host, tasks: TaskGroup) -> None:
        self.store = store
        self.host = host
        self.site_url = ""
        self.events = Events(host, tasks)
        self.accounts = Accounts(store, host, self.events)
        self.clients = Clients(store, self.accounts.session_of)
        self.client_events = ClientEvents(self.clients, store)
        self.posting = Posting(store, host, self.events, self.client_events)
        self.filing = Filing(store, host)
        self.ephemeral = EphemeralPosts(store, self.client_events)
        self.commands = SlashCommands(store, host, self.posting, self.ephemeral)
        self.plugins = PluginControl(host, self.commands)
        self.configuration = Configuration(self)
