"""Tell a method name that is all but a hook's from one of the author's own.

Job:    what ``on_activated``, ``messageWillBePosted`` or ``message_posted`` was meant to be; a handler of such a name
        would never be called, and nobody would notice.
Layer:  hooks. Knows names only.
Output: the method's right name; None where the name is the author's own. Three things make a name all but right: other
        case, underscores, endings or a few letters; the auxiliary verbs left out (``file_uploaded``); other words for
        settings. Names in another form (``post_message``, ``file_upload``, ``activate``) are the author's own.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches

from mm_plugin.hooks.table import HOOK_TABLE

__all__ = ("meant_by",)

#: What else authors override, under names that are no hooks'.
_OTHERS = ("on_settings_change", "interceptors")
_METHODS = {row.method for row in HOOK_TABLE.values()}
_RIGHT = {
    **{str(name): row.method for name, row in HOOK_TABLE.items()},
    **{name: name for name in (*_METHODS, *_OTHERS)},
}
#: How alike two names must be for one to be the other, misspelled.
_ALL_BUT = 0.92
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
_AUXILIARIES = re.compile(r"_(will_be|has_been|have_been|has|have)(?=_)")
_SAME_WORDS = {"config": "configuration", "configurations": "configuration", "configs": "configuration"}
_ENDINGS = ("s", "d", "ed", "ing")


def meant_by(name: str) -> str | None:
    """Return the name that a method's name was meant to be; None where it is one of its own, or right."""
    if name in _METHODS or name in _OTHERS:
        return None
    if name in _RIGHT:
        return _RIGHT[name]
    found: list[str] = _WORD.findall(name)
    words = [_SAME_WORDS.get(word.lower(), word.lower()) for word in found]
    if not words or any(word.isdigit() for word in words):
        return None  # serve_http2 is a name of its own
    snake, squeezed = "_".join(words), "".join(words)
    for right in (*_OTHERS, *sorted(_METHODS)):
        if squeezed == right.replace("_", "") or _differ_in_endings(words, right.split("_")):
            return right
    for right in sorted(_METHODS):
        short = _AUXILIARIES.sub("", right)
        if short != right and _AUXILIARIES.sub("", snake) in {short, f"on_{short}"}:
            return right
    near = get_close_matches(name, _METHODS, n=1, cutoff=_ALL_BUT)
    return near[0] if near and near[0] not in name else None  # on_install_again is a name of its own


def _differ_in_endings(words: Iterable[str], right: Iterable[str]) -> bool:
    """Whether two names have the same words in another number or tense."""
    words, right = list(words), list(right)
    return len(words) == len(right) and all(map(_differs_in_ending, words, right))


def _differs_in_ending(word: str, right: str) -> bool:
    return word == right or not _stems(word).isdisjoint(_stems(right))


def _stems(word: str) -> set[str]:
    stems = {word.removesuffix(ending) for ending in _ENDINGS}
    stems |= {f"{stem}e" for stem in stems if stem != word}
    return {stem for stem in stems if len(stem) > 2}
