"""Files over REST: what people upload, as a form or as a whole body, and what they fetch.

Layer:  devserver, over ``serve_http.multipart`` for forms; it needs python-multipart, which the extra ``dev`` brings.
Errors: the server's own. Of a form whose second file is refused the first one stays, as on the server.
See:    Mattermost's api/v4/source/files.yaml, POST /api/v4/files
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from starlette.responses import JSONResponse, Response

from mm_plugin import limits
from mm_plugin.devserver.errors import invalid, too_large
from mm_plugin.devserver.json_forms import json_of
from mm_plugin.exceptions import RequestBodyAbortedError, RequestFormatError, RequestTooLargeError

if TYPE_CHECKING:
    from mm_plugin.devserver.rest_request import Call
    from mm_plugin.messages.files import FileInfo
    from mm_plugin.serve_http.multipart import MultipartForm

__all__ = ("readable_file", "send_file", "upload_file")

_ERROR = "api.file.upload_file"


async def upload_file(call: Call) -> Response:
    """Keep the files of a form, or the whole body as the file of the query's ``channel_id`` and ``filename``."""
    if call.header("content-length") == "0":
        raise invalid(f"{_ERROR}.read_request.app_error", "The request has no body.", "UploadFile")
    if call.header("content-type").lower().startswith("multipart/form-data"):
        return await _upload_form(call)
    channel_id, filename = _needed(call.query("channel_id"), "channel_id"), _needed(call.query("filename"), "filename")
    await call.check_channel(channel_id)
    data = await call.octets(limits.devserver_file_octets)
    info = await call.app.filing.keep(data, channel_id, filename, call.context)
    return _answer([info], [call.query("client_id")] if call.query("client_id") else [])


async def _upload_form(call: Call) -> Response:
    form = await _read_form(call)
    try:
        channel_id, client_ids = _fields(call, form)
        await call.check_channel(channel_id)
        kept: list[FileInfo] = []
        for file in form.files:
            if file.size_octets > limits.devserver_file_octets:
                raise too_large(f"A file has at most {limits.devserver_file_octets} octets, not {file.size_octets}.")
            kept.append(await call.app.filing.keep(await file.read(), channel_id, file.filename, call.context))
        return _answer(kept, client_ids)
    finally:
        form.close()


async def _read_form(call: Call) -> MultipartForm:
    from mm_plugin.serve_http.multipart import read_multipart

    body = call.body(limits.devserver_form_octets)
    try:
        return await read_multipart(body, call.header("content-type"), "POST /api/v4/files")
    except RequestTooLargeError as error:
        await body.drop()  # clients send before they listen
        raise too_large(f"{error}.") from None
    except (RequestFormatError, RequestBodyAbortedError) as error:
        await body.drop()
        raise invalid(f"{_ERROR}.read_request.app_error", f"{error}.", "UploadFile") from None


def _fields(call: Call, form: MultipartForm) -> tuple[str, list[str]]:
    """Return the channel's id and the client ids of a form."""
    for name, _ in form.fields:
        if name not in {"channel_id", "client_ids"}:
            text = f"A form with files has the fields channel_id and client_ids; {name!r} is neither, and no file."
            raise invalid("api.context.invalid_body_param.app_error", text, "UploadFile")
    channel_ids = {text for text in (call.query("channel_id"), *form.get_all("channel_id")) if text}
    if len(channel_ids) > 1:
        raise invalid(f"{_ERROR}.multiple_channel_ids.app_error", "All files go into one channel.", "UploadFile")
    channel_id = _needed("".join(channel_ids), "channel_id")
    if not form.files:
        raise invalid(f"{_ERROR}.read_request.app_error", "The form has no file.", "UploadFile")
    client_ids = form.get_all("client_ids")
    if client_ids and len(client_ids) != len(form.files):
        text = f"There are {len(form.files)} files but {len(client_ids)} client_ids; give one for each, or none."
        raise invalid(f"{_ERROR}.incorrect_number_of_client_ids.app_error", text, "UploadFile")
    return channel_id, client_ids


def _needed(value: str, name: str) -> str:
    if not value:
        text = f"Invalid or missing {name} parameter in the query (or, for channel_id, in the form)."
        raise invalid("api.context.invalid_url_param.app_error", text, "UploadFile")
    return value


def _answer(kept: list[FileInfo], client_ids: list[str]) -> Response:
    infos = [json_of(info) for info in kept]
    return JSONResponse({"file_infos": infos, "client_ids": client_ids}, status_code=201)


async def send_file(call: Call) -> Response:
    """Send a file's content."""
    info = await readable_file(call)
    # Sent as something to keep: what users upload must not run as a page of this server.
    headers = {"Content-Disposition": f"attachment; filename*=UTF-8''{quote(info.name, safe='')}"}
    return Response(await call.api.get_file(info.id), media_type=info.mime_type, headers=headers)


async def readable_file(call: Call) -> FileInfo:
    """Return the record of the path's file, which the user must be able to read."""
    info = await call.api.get_file_info(call.path("file_id"))
    await call.check_channel(info.channel_id)
    return info
