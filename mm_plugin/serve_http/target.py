"""The target of a request, taken apart: path and query."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from urllib.parse import parse_qsl, unquote

from mm_plugin import limits

__all__ = ("Query", "split_target")


def split_target(url: str) -> tuple[str, str, str]:
    """Split a url into its path as it stands, its path percent-decoded, and its query as it stands.

    Takes the origin form (``/path?query``, also where the path starts with two slashes) and tolerates the absolute
    form (RFC 9112, section 3.2). An empty path is ``/``.
    """
    url = url.partition("#")[0]
    if not url.startswith("/") and "://" in url.partition("?")[0]:
        rest = url.partition("://")[2]
        cut = min((at for at in (rest.find("/"), rest.find("?")) if at >= 0), default=len(rest))
        url = rest[cut:]
    path, _, query = url.partition("?")
    return path or "/", unquote(path) or "/", query


class Query(Mapping[str, str]):
    """The parameters of a query or a form, percent-decoded; as a mapping each name has its first value.

    Raises:
        ValueError: There are more of them than ``limits.http_parameters``.
    """

    def __init__(self, text: str) -> None:
        self._pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=limits.http_parameters)

    def get_all(self, name: str) -> list[str]:
        """Return every value of a parameter, in order; empty where there is none."""
        return [value for field, value in self._pairs if field == name]

    def __getitem__(self, name: str) -> str:
        for field, value in self._pairs:
            if field == name:
                return value
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return iter(dict(self._pairs))

    def __len__(self) -> int:
        return len(dict(self._pairs))

    def __repr__(self) -> str:
        return f"Query({self._pairs!r})"
