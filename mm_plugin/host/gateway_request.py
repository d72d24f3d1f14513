"""The request a plugin gets to see: the browser's, with what the server takes away and adds.

Layer:  host. Values only, no I/O.
See:    the Go server's rules before ServeHTTP (reference of the Go host, section 4)
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from typing import cast
from urllib.parse import quote, unquote_plus

from mm_plugin.host.http_server import Scope
from mm_plugin.messages.helpers import new_id
from mm_plugin.serve_http.headers import text_of
from mm_plugin.serve_http.target import split_target
from mm_plugin.transport.link import RequestContextFields, RequestHead
from mm_plugin.types import HeaderFields

__all__ = ("PREFIX", "Incoming", "Session")

PREFIX = "/plugins/"
_SESSION_COOKIE = "MMAUTHTOKEN"
_MAX_LENGTH = 2**63 - 1
_TOKEN_PARAMETER = "access_token"  # noqa: S105 - a parameter's name
# What a client may claim but only the server knows, and what the plugin must not learn.
_REMOVED = {"host", "mattermost-user-id", "mattermost-plugin-id", "referer", "cookie", "transfer-encoding"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A session of the server.

    Attributes:
        csrf_token: What a browser must repeat in ``X-CSRF-Token`` where a cookie alone signs it in.
    """

    user_id: str
    session_id: str
    csrf_token: str = ""


class Incoming:
    """One HTTP request as it reached the server.

    Attributes:
        plugin_id: From the path; "" where the path is not below ``/plugins/``.
        token: What claims to be a session's token, from the Authorization header, else the cookie, else the query.
    """

    def __init__(self, scope: Scope) -> None:
        self._scope = scope
        self.method = cast("str", scope["method"])
        raw_path = cast("bytes | None", scope.get("raw_path")) or quote(cast("str", scope["path"])).encode()
        self._raw_path = raw_path.decode("latin-1")
        self._query = cast("bytes", scope["query_string"]).decode("latin-1")
        headers = [
            (name.decode("latin-1"), text_of(value))
            for name, value in cast("list[tuple[bytes, bytes]]", scope["headers"])
        ]
        # Beside Transfer-Encoding a length means nothing (RFC 9112, section 6.3).
        is_chunked = any(name == "transfer-encoding" for name, _ in headers)
        self._headers = [field for field in headers if not (is_chunked and field[0] == "content-length")]
        # HTTP/2 may split the cookies into several fields (RFC 9113, section 8.2.3).
        self._cookies = [
            cookie.strip() for name, value in self._headers if name == "cookie" for cookie in value.split(";")
        ]
        # A client may send the absolute form, and a server must take it (RFC 9112, section 3.2.2).
        below, _, rest = split_target(self._raw_path)[0].partition(PREFIX)
        self.plugin_id, slash, path = rest.partition("/") if not below else ("", "", "")
        self._path = slash + path or "/"
        self._by_cookie = False
        self.token = self._find_token()

    def _first(self, name: str) -> str:
        return next((value for field, value in self._headers if field == name), "")

    def _find_token(self) -> str:
        """Look in the server's order: a token in the header is the one meant, valid or not, and no cookie then."""
        scheme, space, token = self._first("authorization").partition(" ")
        if scheme.lower() in ("bearer", "token") and space:
            return token.strip()
        for cookie in self._cookies:
            name, _, value = cookie.partition("=")
            if name == _SESSION_COOKIE and value:
                self._by_cookie = True
                return value
        return next((value for name, value, _ in self._parameters() if name == _TOKEN_PARAMETER), "")

    def _parameters(self) -> list[tuple[str, str, str]]:
        """Name, value and the text of each parameter of the query."""
        pairs = [(text.partition("="), text) for text in self._query.split("&")]
        return [(unquote_plus(name), unquote_plus(value), text) for (name, _, value), text in pairs]

    def passes_csrf(self, session: Session) -> bool:
        """Tell whether the session may be taken: a browser sends its cookie along whoever made it ask."""
        if not self._by_cookie or self.method == "GET":
            return True
        given = self._first("x-csrf-token")
        if session.csrf_token and hmac.compare_digest(given.encode(), session.csrf_token.encode()):
            return True
        return self._first("x-requested-with") == "XMLHttpRequest"  # no other site can add it unasked

    def head(self, session: Session | None) -> RequestHead:
        """Return the head for the plugin; ``session`` is None where nobody is signed in."""
        query = self._query
        if _TOKEN_PARAMETER in unquote_plus(query):
            query = "&".join(text for name, _, text in self._parameters() if name != _TOKEN_PARAMETER)
        version = cast("str", self._scope["http_version"])
        major, _, minor = version.partition(".")
        client = cast("tuple[str, int] | None", self._scope.get("client"))
        return RequestHead(
            method=self.method,
            url=self._path + (f"?{query}" if query else ""),
            headers=self._fields(session),
            proto=f"HTTP/{major}.{minor or 0}",
            proto_major=int(major),
            proto_minor=int(minor or 0),
            host=self._first("host"),
            remote_addr=_address(client) if client else "",
            request_uri=self._raw_path + (f"?{self._query}" if self._query else ""),
            content_length=self._content_length(major),
            context=RequestContextFields(
                session_id=session.session_id if session else "",
                request_id=new_id(),
                ip_address=client[0] if client else "",
                accept_language=self._first("accept-language"),
                user_agent=self._first("user-agent"),
            ),
        )

    def _fields(self, session: Session | None) -> HeaderFields:
        removed = {*_REMOVED, "authorization"} if session else _REMOVED
        fields = [(_canonical(name), value) for name, value in self._headers if name not in removed]
        cookies = "; ".join(cookie for cookie in self._cookies if cookie.partition("=")[0].strip() != _SESSION_COOKIE)
        if cookies:
            fields.append(("Cookie", cookies))
        if session:
            fields.append(("Mattermost-User-Id", session.user_id))
        return tuple(fields)

    def _content_length(self, major: str) -> int:
        length = self._first("content-length")
        if length:
            # The server has refused what is no number; a larger one would not fit into a message, nor come true.
            return min(int(length), _MAX_LENGTH)
        # HTTP/1.1 says so where there is a body (RFC 9112, section 6.3); HTTP/2 need not.
        return -1 if major != "1" or self._first("transfer-encoding") else 0


def _canonical(name: str) -> str:
    """Spell a field's name as Go does: ``Content-Type``."""
    return "-".join(part.capitalize() for part in name.split("-"))


def _address(client: tuple[str, int]) -> str:
    host, port = client
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
