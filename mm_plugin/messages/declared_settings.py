"""What a plugin's manifest declares of its settings, and settings that it does not declare.

Layer:  messages.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from mm_plugin.messages.manifest import Manifest
    from mm_plugin.types import JSONValue

__all__ = ("declared_settings", "unknown_settings")


def declared_settings(manifest: Manifest | None) -> dict[str, str]:
    """Return the type of each setting in the manifest's schema."""
    listed = manifest.settings_schema.get("settings") if manifest else None
    settings = cast("list[Mapping[str, JSONValue]]", listed or [])
    return {str(setting["key"]): str(setting.get("type", "")) for setting in settings if "key" in setting}


def unknown_settings(settings: Iterable[str], manifests: Iterable[Manifest]) -> list[str]:
    """Return a sentence for each setting that no manifest declares; none where one of them declares nothing at all."""
    declared = [declared_settings(manifest) for manifest in manifests]
    if not all(declared):
        return []
    known = {key.lower(): key for keys in declared for key in keys}
    told: list[str] = []
    for name in settings:
        if name.lower() not in known:
            near = get_close_matches(name.lower(), known, n=1)
            hint = f"did you mean {known[near[0]]}?" if near else f"it has {', '.join(known.values())}"
            told.append(f"the settings_schema of plugin.json has no setting {name!r}; {hint}")
    return told
