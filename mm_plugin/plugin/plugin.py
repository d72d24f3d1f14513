"""Plugin: the class that authors subclass."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar, Generic, TypeVarTuple, cast, get_args, get_origin

from mm_plugin.exceptions import DeclarationError
from mm_plugin.hooks.names import HookName
from mm_plugin.hooks.registry import Binding, collect_bindings
from mm_plugin.hooks.table import HOOK_TABLE
from mm_plugin.plugin.background import Background, Every, OnCrash, check_every
from mm_plugin.plugin.command_mark import command_marks
from mm_plugin.plugin.hook_methods import HookMethods, MaybeAwaitable
from mm_plugin.plugin.http import http_surface_of, serve_http_binding
from mm_plugin.transport.call_metrics import CallMetrics

if TYPE_CHECKING:
    from anyio.abc import TaskGroup
    from typing_extensions import TypeVar  # known to type checkers without being installed; has defaults before 3.13

    from mm_plugin.api.client import PluginAPIClient
    from mm_plugin.messages.manifest import Manifest
    from mm_plugin.plugin.commands import CommandNode
    from mm_plugin.serve_http.mounts import Surface
    from mm_plugin.serve_http.request import Request
    from mm_plugin.serve_http.response import Response
    from mm_plugin.settings import RuntimeConfig
    from mm_plugin.transport.interceptors import Interceptor
    from mm_plugin.transport.link import APICaller

    # Covariant, so that every Plugin[Settings] is a Plugin.
    SettingsT_co = TypeVar("SettingsT_co", covariant=True, default=object)
else:
    from typing import TypeVar

    SettingsT_co = TypeVar("SettingsT_co", covariant=True)

__all__ = (
    "Attachment",
    "Plugin",
    "attach",
    "bindings_of",
    "commands_of",
    "intervals_of",
    "settings_class_of",
    "surface_of",
)

_Ts = TypeVarTuple("_Ts")


class Attachment:
    """What the runtime gives a plugin when it takes it over.

    Attributes:
        config: The runtime's settings.
        api_caller: The link's way out.
        task_group: The activation's; None while the plugin is not active.
        background: What starts work in it.
        api: The client, made when it is first asked for.
        manifest: The manifest, read when it is first asked for.
        metrics: How long hooks and API calls took.
        settings: The author's; None until they are loaded.
    """

    def __init__(self, config: RuntimeConfig, api_caller: APICaller) -> None:
        self.config = config
        self.api_caller = api_caller
        self.task_group: TaskGroup | None = None
        self.background: Background | None = None
        self.api: PluginAPIClient | None = None
        self.manifest: Manifest | None = None
        self.metrics = CallMetrics()
        self.settings: object = None


class Plugin(HookMethods, Generic[SettingsT_co]):
    """A Mattermost server plugin; subclass it and override hooks by name, or bind any method by ``@hook``.

    ``class Mine(Plugin[MySettings])`` has its settings, checked and typed, at ``self.settings``; see SettingsModel.

    A subclass may have an ``__init__`` without arguments. What the runtime gives (``api``, ``config``, ...) is there
    from the first hook on, not in ``__init__``.

    Raises:
        DeclarationError: The subclass declares something that cannot work, such as a hook with wrong parameters
            (HookRegistrationError); raised by the ``class`` statement.
    """

    _hook_bindings: ClassVar[Mapping[HookName, Binding]] = MappingProxyType({})
    _declared_settings: ClassVar[type | None] = None
    _declared_commands: ClassVar[Mapping[str, CommandNode]] = MappingProxyType({})
    _declared_intervals: ClassVar[Mapping[str, Every]] = MappingProxyType({})
    _http_surface: ClassVar[Surface | None] = None
    _attachment: Attachment | None = None

    #: The longest request body that HTTP handlers take, None for any; a longer one is answered with 413.
    max_body_octets: int | None = None

    def __init_subclass__(cls, **kwargs: object) -> None:
        super().__init_subclass__(**kwargs)
        cls._hook_bindings = collect_bindings(cls, Plugin)
        cls._http_surface = http_surface_of(cls)
        if cls._http_surface is not None:
            cls._hook_bindings = MappingProxyType({HookName.ServeHTTP: serve_http_binding(), **cls._hook_bindings})
        cls._declared_commands = MappingProxyType({})
        if command_marks(cls):
            from mm_plugin.plugin.commands import collect_commands

            cls._declared_commands = collect_commands(cls)
            row = HOOK_TABLE[HookName.ExecuteCommand]
            binding = Binding(row, row.method, row.default_policy)
            cls._hook_bindings = MappingProxyType({row.name: binding, **cls._hook_bindings})
        cls._declared_intervals = check_every(cls)
        cls._declared_settings = _find_settings_class(cls)

    def serve_http(self, request: Request, response: Response, /) -> MaybeAwaitable[None]:
        """Answer one HTTP request to ``/plugins/<id>/``; the body and the answer are streams, there is no deadline.

        With ``@route`` or mounted apps it gets what those do not answer. A ``def`` runs in a worker thread, with
        ``request.sync`` and ``response.sync``.
        """

    def on_settings_change(self, old: SettingsT_co, new: SettingsT_co, /) -> MaybeAwaitable[None]:  # type: ignore[misc]
        """The settings have changed: ``self.settings`` is ``new`` already. Not called for the first ones.

        It comes within OnConfigurationChange, before a handler of that hook, and only for settings that fit and differ.
        """

    def interceptors(self) -> Sequence[Interceptor]:
        """Return what stands around every hook call, ServeHTTP's included, and every API call; the first is outermost.

        Override it. It is asked once, before the first hook; an interceptor may be a method of the plugin.
        """
        return ()

    @classmethod
    def implemented_hooks(cls) -> list[str]:
        """Return the Go names of the hooks this class handles, sorted; what the runtime adds is not among them."""
        return sorted(map(str, cls._hook_bindings))

    @property
    def api(self) -> PluginAPIClient:
        """The server's API.

        Raises:
            RuntimeError: The runtime has not started the plugin.
        """
        attachment = self._require("api")
        if attachment.api is None:
            from mm_plugin.api.client import PluginAPIClient

            attachment.api = PluginAPIClient.on_link(
                attachment.api_caller, api_timeout_s=attachment.config.api_timeout_s
            )
        return attachment.api

    @property
    def config(self) -> RuntimeConfig:
        """The runtime's settings.

        Raises:
            RuntimeError: The runtime has not started the plugin.
        """
        return self._require("config").config

    @property
    def plugin_id(self) -> str:
        """The plugin's id; "" before the runtime has started it, or where nothing says it."""
        return "" if self._attachment is None else self._attachment.config.plugin_id

    @property
    def manifest(self) -> Manifest:
        """The plugin's manifest, read from the bundle's plugin.json.

        Raises:
            ManifestError: There is none, or it is wrong.
            RuntimeError: The runtime has not started the plugin.
        """
        attachment = self._require("manifest")
        if attachment.manifest is None:
            from mm_plugin.messages.manifest import load_manifest

            attachment.manifest = load_manifest(Path(attachment.config.plugin_path or "."))
        return attachment.manifest

    @property
    def settings(self) -> SettingsT_co:
        """The plugin's settings, as its settings class reads them; loaded before any hook runs.

        Raises:
            DeclarationError: The plugin names no settings class.
            RuntimeError: They are not loaded yet.
        """
        if self._declared_settings is None:
            name = type(self).__name__
            raise DeclarationError(
                f"{name}.settings: the plugin has no settings class; name one, class {name}(Plugin[MySettings])"
            )
        settings = self._require("settings").settings
        if settings is None:
            raise RuntimeError(
                "the settings are loaded when the plugin is activated; use them from on_configuration_change on"
            )
        return cast("SettingsT_co", settings)

    @property
    def metrics(self) -> CallMetrics:
        """How long hooks and API calls took so far: ``snapshot()``, and ``prometheus_text`` of it.

        Raises:
            RuntimeError: The runtime has not started the plugin.
        """
        return self._require("metrics").metrics

    @property
    def logger(self) -> logging.Logger:
        """The plugin's logger, named after its id, or after its class where there is none."""
        return logging.getLogger(self.plugin_id or type(self).__name__)

    @property
    def task_group(self) -> TaskGroup:
        """Where background tasks live: from just before on_activate until on_deactivate has ended.

        A crash in it stops the plugin with a non-zero exit. Blocking hooks use ``start_soon`` of the plugin instead.

        Raises:
            RuntimeError: The plugin is not active.
        """
        task_group = self._require("task_group").task_group
        if task_group is None:
            raise RuntimeError(_NOT_ACTIVE.format("task_group exists"))
        return task_group

    def start_soon(
        self,
        function: Callable[[*_Ts], object],
        *args: *_Ts,
        name: str = "",
        on_crash: OnCrash = OnCrash.STOP,
    ) -> None:
        """Start background work that lives until on_deactivate has ended; then it is cancelled and joined.

        May be called from async hooks and from blocking ones alike. A blocking function runs in a worker thread, which
        cannot be cancelled: it runs on until it returns or asks ``anyio.from_thread.check_cancelled()``.

        Args:
            function: Takes ``args``; async or not.
            args: Its arguments.
            name: What logs call it; by default the function's own name.
            on_crash: What becomes of the plugin when it raises.

        Raises:
            RuntimeError: The plugin is not active.
        """
        background = self._require("start_soon").background
        if background is None:
            raise RuntimeError(_NOT_ACTIVE.format("start_soon works"))
        name = name or getattr(function, "__qualname__", "") or repr(function)
        background.start_soon(partial(function, *args), name, on_crash)

    def _require(self, what: str) -> Attachment:
        if self._attachment is None:
            raise RuntimeError(
                f"{type(self).__name__}.{what} is there once the runtime has started the plugin; "
                f"use it from on_activate on, not in __init__"
            )
        return self._attachment


def _find_settings_class(cls: type[Plugin]) -> type | None:
    """Return what stands in the brackets of Plugin[...], in the class or the nearest parent that says it."""
    for owner in cls.__mro__:
        for base in vars(owner).get("__orig_bases__", ()):
            origin, arguments = get_origin(base), get_args(base)
            if isinstance(origin, type) and issubclass(origin, Plugin) and isinstance(arguments[0], type):
                from mm_plugin.plugin.settings_model import check_settings

                check_settings(arguments[0])
                return arguments[0]
    if cls.on_settings_change is not Plugin.on_settings_change:
        raise DeclarationError(
            f"{cls.__qualname__}.on_settings_change would never be called: name the settings class, "
            f"class {cls.__name__}(Plugin[MySettings])"
        )
    return None


_NOT_ACTIVE = "{} from on_activate to on_deactivate only; the plugin is not active"


def attach(plugin: Plugin, attachment: Attachment) -> None:
    """Give a plugin what the runtime has for it."""
    plugin._attachment = attachment  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - not for authors


def bindings_of(plugin: Plugin) -> Mapping[HookName, Binding]:
    """Return the hooks a plugin handles."""
    return plugin._hook_bindings  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - not for authors


def commands_of(plugin: Plugin) -> Mapping[str, CommandNode]:
    """Return the slash commands that a plugin declares, by their triggers."""
    return type(plugin)._declared_commands  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - not for authors


def intervals_of(plugin: Plugin) -> Mapping[str, tuple[Callable[[], object], Every]]:
    """Return the methods of a plugin that run at intervals, by their names."""
    marks = type(plugin)._declared_intervals  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - not for authors
    return {name: (getattr(plugin, name), mark) for name, mark in marks.items()}


def surface_of(plugin: Plugin) -> Surface | None:
    """Return a plugin's routes and mounts; None where it has none."""
    return plugin._http_surface  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - not for authors


def settings_class_of(plugin: Plugin) -> type | None:
    """Return the class of a plugin's settings."""
    return type(plugin)._declared_settings  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - not for authors
