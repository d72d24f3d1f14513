"""Find what is probably a mistake in a patch of the configuration, which a server takes without a word.

Layer:  devserver, over the manifests.
Output: sentences that name the place and what was probably meant.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from itertools import islice
from typing import TYPE_CHECKING

from mm_plugin import limits
from mm_plugin.messages.declared_settings import unknown_settings

if TYPE_CHECKING:
    from mm_plugin.messages.manifest import Manifest
    from mm_plugin.types import JSONObject

__all__ = ("probable_mistakes",)

_SECTION, _PLUGINS = "PluginSettings", "Plugins"
#: How alike two names must be, of which only one is known to mean something here: all others may be a server's own.
_ALL_BUT_THE_SAME = 0.9


def probable_mistakes(patch: JSONObject, manifests: Mapping[str, Manifest]) -> list[str]:
    """Return a sentence for each name in a patch that nothing reads; at most ``limits.devserver_config_hints``.

    What a patch takes away (null) is no mistake.

    Args:
        patch: Such as ``{"PluginSettings": {"Plugins": {"com.example.guard": {"Words": "secret"}}}}``.
        manifests: Those of the server's plugins, by their ids.
    """
    return list(islice(_mistakes(patch, manifests), limits.devserver_config_hints))


def _mistakes(patch: JSONObject, manifests: Mapping[str, Manifest]) -> Iterable[str]:
    yield from _misspelt(patch, _SECTION, "")
    section = patch.get(_SECTION)
    if not isinstance(section, Mapping):
        return
    yield from _misspelt(section, _PLUGINS, f"{_SECTION}.")
    plugins = section.get(_PLUGINS)
    if not isinstance(plugins, Mapping):
        return
    for plugin_id, settings in plugins.items():
        if settings is None:
            continue
        where = f"{_SECTION}.{_PLUGINS}.{plugin_id}"
        if plugin_id not in manifests:
            near = get_close_matches(plugin_id, manifests, n=1)
            hint = f"did you mean {near[0]}?" if near else f"it has {', '.join(manifests) or 'none'}"
            yield f"{where}: the server has no plugin of this id; {hint}"
        elif isinstance(settings, Mapping):
            set_to = [name for name, value in settings.items() if value is not None]
            for told in unknown_settings(set_to, [manifests[plugin_id]]):
                yield f"{where}: {told}"


def _misspelt(names: Iterable[str], meant: str, where: str) -> Iterable[str]:
    for name in names:
        if name != meant and get_close_matches(name.lower(), [meant.lower()], cutoff=_ALL_BUT_THE_SAME):
            yield f"{where}{name}: plugins have no settings there; did you mean {where}{meant}?"
