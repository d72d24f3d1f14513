"""What every REST route needs of its request: who asks, what is asked, and the answer's form.

Layer:  devserver, over starlette.
Errors: the server's own; ``error_response`` writes them as Mattermost's JSON.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, cast

from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse

from mm_plugin import limits
from mm_plugin.devserver.api import DevServerAPI
from mm_plugin.devserver.errors import denied, invalid, missing, too_large, unauthenticated
from mm_plugin.devserver.json_forms import parse_object
from mm_plugin.exceptions import RequestBodyAbortedError, RequestTooLargeError
from mm_plugin.host.hook_client import HookContext
from mm_plugin.messages.errors import app_error_of
from mm_plugin.messages.helpers import new_id

if TYPE_CHECKING:
    from starlette.requests import HTTPConnection, Request

    from mm_plugin.devserver.app import App
    from mm_plugin.exceptions import PluginAPIError
    from mm_plugin.messages.users import Session
    from mm_plugin.types import JSONObject, JSONValue

__all__ = ("COOKIE", "Body", "Call", "answer_unknown", "context_of", "error_json", "error_response", "token_of")

COOKIE = "MMAUTHTOKEN"


class Body:
    """A request's body in pieces.

    Args:
        request: The request.
        most: Octets that it may have.
    """

    def __init__(self, request: Request, most: int) -> None:
        self._pieces = request.stream()
        self._most = most
        self._octets = 0

    async def receive(self) -> bytes:
        """Return the next piece; ``b""`` at the end.

        Raises:
            RequestTooLargeError: There is more than may be.
            RequestBodyAbortedError: The client has gone.
        """
        piece: bytes | None = b""
        try:
            while piece == b"":  # says nothing: None is the end
                piece = await anext(self._pieces, None)
        except ClientDisconnect:
            raise RequestBodyAbortedError("the client has gone before the body was complete") from None
        if piece is None:
            return b""
        self._octets += len(piece)
        if self._octets > self._most:
            raise RequestTooLargeError(f"the body of a request like this has at most {self._most} octets")
        return piece

    async def drop(self) -> None:
        """Read what is left and forget it, for clients send before they listen."""
        with suppress(ClientDisconnect):
            async for _ in self._pieces:
                pass


class Call:
    """One REST request.

    Attributes:
        api: What may be asked of the server.
        request_id: The request's id, in errors and hooks alike.
    """

    def __init__(self, app: App, request: Request) -> None:
        self.app = app
        self.api = DevServerAPI(app)
        self.request_id = new_id()
        self._request = request
        self._session: Session | None = None

    @property
    def token(self) -> str:
        """What claims to be a session's token."""
        return token_of(self._request)

    async def sign_in(self) -> None:
        """Find the session that the request belongs to.

        Raises:
            UnauthenticatedError: There is none.
        """
        self._session = await self.app.accounts.session_of(self.token)
        if self._session is None:
            error_id = "api.context.session_expired.app_error"
            raise unauthenticated(error_id, "Invalid or expired session, please login again.")

    @property
    def session(self) -> Session:
        """The session, once signed in."""
        assert self._session is not None
        return self._session

    @property
    def user_id(self) -> str:
        """Who asks, once signed in."""
        return self.session.user_id

    @property
    def context(self) -> HookContext:
        """For whom hooks are called."""
        return context_of(self._request, self._session, self.request_id)

    def path(self, name: str) -> str:
        """Return a parameter of the path; ``me`` stands for the user who asks."""
        value = cast("str", self._request.path_params[name])
        return self.user_id if name == "user_id" and value == "me" else value

    def query(self, name: str, default: str = "") -> str:
        """Return a parameter of the query."""
        return self._request.query_params.get(name, default)

    def header(self, name: str) -> str:
        """Return a header; empty where it is not there."""
        return self._request.headers.get(name, "")

    def paging(self) -> tuple[int, int]:
        """Return page and per_page of the query.

        Raises:
            ValidationError: One is no number.
        """
        try:
            return int(self.query("page", "0")), int(self.query("per_page", "60"))
        except ValueError:
            raise invalid("api.context.invalid_url_param.app_error", "page and per_page are numbers.") from None

    async def octets(self, most: int) -> bytes:
        """Read the body.

        Raises:
            TooLargeError: It is longer than ``most``.
        """
        octets, total = bytearray(), 0
        async for piece in self._request.stream():
            total += len(piece)
            if total <= most:
                octets += piece  # what is too long is read to its end all the same: clients send before they listen
        if total > most:
            raise too_large(f"A request has at most {most} octets.")
        return bytes(octets)

    def body(self, most: int) -> Body:
        """Return the body, to be read in pieces, at most ``most`` octets of it."""
        return Body(self._request, most)

    async def json(self) -> JSONObject:
        """Read the body, a JSON object.

        Raises:
            ValidationError: It is none.
            TooLargeError: It is longer than ``limits.devserver_body_octets``.
        """
        try:
            return parse_object(await self.octets(limits.devserver_body_octets))
        except ValueError as error:
            text = f"The body must be a JSON object: {error}."
            raise invalid("api.context.invalid_body_param.app_error", text) from None

    async def check_channel(self, channel_id: str) -> None:
        """Make sure that the user may read and write in a channel.

        Raises:
            PermissionDeniedError: They may not.
        """
        if not await self.api.has_permission_to_channel(self.user_id, channel_id, "read_channel"):
            raise denied("You do not have the appropriate permissions in that channel.")

    async def check_team(self, team_id: str) -> None:
        """Make sure that the user is in a team.

        Raises:
            PermissionDeniedError: They are not.
        """
        if not await self.api.has_permission_to_team(self.user_id, team_id, "view_team"):
            raise denied("You do not have the appropriate permissions in that team.")

    async def check_self(self, user_id: str) -> None:
        """Make sure that the user acts for themselves, or is an administrator.

        Raises:
            PermissionDeniedError: Neither.
        """
        if user_id != self.user_id and not await self.api.has_permission_to(self.user_id, "edit_other_users"):
            raise denied("You do not have the appropriate permissions.")


def token_of(connection: HTTPConnection) -> str:
    """Return what claims to be a session's token: ``Authorization: Bearer …``, or the cookie MMAUTHTOKEN."""
    scheme, _, token = connection.headers.get("authorization", "").partition(" ")
    if scheme.lower() in {"bearer", "token"}:
        return token.strip()
    return connection.cookies.get(COOKIE, "")


def context_of(connection: HTTPConnection, session: Session | None, request_id: str = "") -> HookContext:
    """Return for whom hooks are called on behalf of a request or WebSocket."""
    headers, client = connection.headers, connection.client
    return HookContext(
        user_id=session.user_id if session else "",
        session_id=session.id if session else "",
        request_id=request_id,
        ip_address=client.host if client else "",
        accept_language=headers.get("accept-language", ""),
        user_agent=headers.get("user-agent", ""),
    )


def error_json(error: PluginAPIError, request_id: str = "") -> dict[str, JSONValue]:
    """Return an error as Mattermost writes it."""
    message = app_error_of(error)
    return {
        "id": message.id,
        "message": message.message or message.id,
        "detailed_error": message.detailed_error,
        "request_id": message.request_id or request_id,
        "status_code": message.status_code,
    }


def error_response(error: PluginAPIError, request_id: str = "") -> JSONResponse:
    """Return an error as the response to a request."""
    return JSONResponse(error_json(error, request_id), status_code=app_error_of(error).status_code)


async def answer_unknown(request: Request, _error: Exception) -> JSONResponse:
    """Answer what no route answers: an unknown path, or a method that the path does not have."""
    return error_response(missing("api.context.404.app_error", f"{request.method} {request.url.path}"), new_id())
