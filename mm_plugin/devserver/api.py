"""The handler of the API: all topics in one object, one object for each plugin.

All methods of the API are here but PluginHTTP, which the host answers (``host/plugin_http.py``); those that a stand-in
has no answer for are listed in ``api_absent``.
"""

from __future__ import annotations

from mm_plugin.devserver.api_absent import AbsentHandler
from mm_plugin.devserver.api_access import AccessHandler
from mm_plugin.devserver.api_bots import BotsHandler
from mm_plugin.devserver.api_commands import CommandsHandler
from mm_plugin.devserver.api_emoji import EmojiHandler
from mm_plugin.devserver.api_events import EventsHandler
from mm_plugin.devserver.api_files import FilesHandler
from mm_plugin.devserver.api_group_links import GroupLinksHandler
from mm_plugin.devserver.api_kv import KVHandler
from mm_plugin.devserver.api_memberships import MembershipsHandler
from mm_plugin.devserver.api_oauth import OAuthHandler
from mm_plugin.devserver.api_plugins import PluginsHandler
from mm_plugin.devserver.api_posts import PostsHandler
from mm_plugin.devserver.api_profiles import ProfilesHandler
from mm_plugin.devserver.api_property_values import PropertyValuesHandler
from mm_plugin.devserver.api_search import SearchHandler
from mm_plugin.devserver.api_server import ServerHandler
from mm_plugin.devserver.api_sessions import SessionsHandler
from mm_plugin.devserver.api_shared import SharedChannelsHandler
from mm_plugin.devserver.api_sidebar import SidebarHandler
from mm_plugin.devserver.api_uploads import UploadsHandler
from mm_plugin.devserver.api_users import UsersHandler

__all__ = ("DevServerAPI",)


class DevServerAPI(
    UsersHandler,
    ProfilesHandler,
    AccessHandler,
    SessionsHandler,
    GroupLinksHandler,
    MembershipsHandler,
    SidebarHandler,
    PostsHandler,
    SearchHandler,
    EmojiHandler,
    KVHandler,
    FilesHandler,
    UploadsHandler,
    CommandsHandler,
    BotsHandler,
    ServerHandler,
    PluginsHandler,
    EventsHandler,
    OAuthHandler,
    PropertyValuesHandler,
    SharedChannelsHandler,
    AbsentHandler,
):
    """What one caller may ask of the development server."""
