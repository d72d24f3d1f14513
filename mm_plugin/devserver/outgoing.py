"""HTTP that the server itself sends: to plugins, and to whoever people have named in a custom command.

Job:    send a request to a URL, a plugin's path straight over its link, everything else over HTTP in a worker thread.
Layer:  devserver, over the host.
Errors: PluginAPIError, HTTP 500, where nobody answers or the URL is none.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, cast

from anyio import to_thread

from mm_plugin import limits
from mm_plugin.devserver.errors import failed
from mm_plugin.host.plugin_http import PluginHTTP
from mm_plugin.transport.link import CallFailure

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from mm_plugin._proto.api_misc_pb2 import PluginHTTPResponse
    from mm_plugin.devserver.app import App

__all__ = ("Answer", "is_web_url", "send")

_WEB = re.compile(r"https?://[^/\s]+", re.IGNORECASE)


class Answer(NamedTuple):
    """What came back."""

    status: int
    body: bytes
    content_type: str = ""


def is_web_url(url: str) -> bool:
    """Tell whether a text is an http or https URL."""
    return _WEB.match(url) is not None


async def send(app: App, method: str, url: str, body: bytes, headers: Mapping[str, str], *, user_id: str) -> Answer:
    """Send a body and return the answer; a plugin learns which user it is for.

    Cancellation gives up a request to a plugin at once, any other after ``limits.devserver_custom_command_s``.

    Args:
        app: The server.
        method: GET or POST.
        url: Absolute, or a path of this server such as ``/plugins/com.example/path``.
        body: What to send.
        headers: With what.
        user_id: For whom.

    Raises:
        PluginAPIError: Nobody answered.
    """
    path = url.removeprefix(app.site_url) if app.site_url else url
    if path.startswith("/plugins/"):
        told = {**headers, "Mattermost-User-Id": user_id}
        return await _send_to_plugin(app, method, path.removeprefix("/plugins"), body, told)
    if not is_web_url(url):
        raise _no_answer(url, "it is no http or https URL, and no path below /plugins/")
    try:
        return await to_thread.run_sync(partial(_send, method, url, body, dict(headers)))
    except (OSError, ValueError) as error:
        raise _no_answer(url, str(error)) from None


async def _send_to_plugin(app: App, method: str, url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
    from mm_plugin._proto.api_misc_pb2 import PluginHTTPRequest

    request = PluginHTTPRequest(method=method, url=url, body=body, headers=headers)
    plugins = PluginHTTP(_Nothing(), caller="", find_link=app.host.http_link)
    response = cast("PluginHTTPResponse", await plugins.handle_api("PluginHTTP", request, deadline=None))
    names = {name.lower(): value for name, value in response.headers.items()}
    return Answer(response.status_code, response.body, names.get("content-type", ""))


class _Nothing:
    """Stands behind PluginHTTP, which answers all that it is asked here."""

    async def handle_api(self, method: str, request: Message, *, deadline: float | None) -> Message:  # noqa: ARG002
        raise CallFailure(f"{method} is not asked here")


def _send(method: str, url: str, body: bytes, headers: dict[str, str]) -> Answer:
    # Loaded when first needed: most servers never send anything, and all of them are to start fast.
    from http.client import HTTPException
    from urllib import request
    from urllib.error import HTTPError

    call = request.Request(url, data=body or None, method=method)  # noqa: S310 - checked above
    for name, value in headers.items():
        call.add_unredirected_header(name, value)  # a token among them is for this server only
    try:
        with request.urlopen(call, timeout=limits.devserver_custom_command_s) as response:  # noqa: S310
            content_type = str(response.headers.get("content-type", ""))
            return Answer(int(response.status), bytes(response.read(limits.devserver_body_octets)), content_type)
    except HTTPError as error:
        with error:
            return Answer(error.code, error.read(limits.devserver_body_octets))
    except HTTPException as error:
        raise OSError(f"no HTTP: {error!r}") from error


def _no_answer(url: str, why: str) -> Exception:
    return failed("api.context.outgoing.app_error", f"The URL {url!r} gave no answer: {why}.")
