"""Send a file as a response: its type, its length, a part of it where one was asked for.

Layer:  serve_http.
See:    RFC 9110, sections 13 (conditions) and 14 (ranges)
"""

from __future__ import annotations

import mimetypes
import os
import re
from email.utils import formatdate
from urllib.parse import quote

import anyio

from mm_plugin import limits
from mm_plugin.serve_http.headers import Headers
from mm_plugin.serve_http.response import Response
from mm_plugin.transport.link import RequestHead

__all__ = ("send_file",)

# A longer number is no octet of any file; such a range is ignored, as one is that is not valid.
_RANGE = re.compile("bytes=([0-9]{0,18})-([0-9]{0,18})")


async def send_file(
    response: Response,
    request: RequestHead,
    path: str | os.PathLike[str],
    *,
    content_type: str | None = None,
    filename: str | None = None,
) -> None:
    """Send a file and finish the response; see Response.send_file."""
    async with await anyio.open_file(path, "rb") as file:
        status = os.fstat(file.wrapped.fileno())
        etag = f'"{status.st_mtime_ns:x}-{status.st_size:x}"'
        headers = response.headers
        headers.setdefault("Content-Type", content_type or _guess_type(path))
        headers.setdefault("ETag", etag)
        headers.setdefault("Last-Modified", formatdate(status.st_mtime, usegmt=True))
        headers.setdefault("Accept-Ranges", "bytes")
        if filename is not None:
            headers["Content-Disposition"] = f"attachment; filename*=UTF-8''{quote(filename, safe='')}"
        asked_for = Headers(request.headers)
        if request.method in ("GET", "HEAD") and _has(asked_for.get("If-None-Match", ""), etag):
            response.status = 304
            await response.finish()
            return
        start, end = 0, status.st_size
        # Other methods know no ranges (RFC 9110, section 14.2).
        takes_part = request.method == "GET" and asked_for.get("If-Range", etag) == etag
        part = _part_of(asked_for.get("Range", ""), status.st_size) if takes_part else None
        if part is not None:
            start, end = part
            if start >= end:
                response.status = 416
                headers["Content-Range"] = f"bytes */{status.st_size}"
                headers["Content-Length"] = "0"
                await response.finish()
                return
            response.status = 206
            headers["Content-Range"] = f"bytes {start}-{end - 1}/{status.st_size}"
            await file.seek(start)
        headers["Content-Length"] = str(end - start)
        # The answer to HEAD needs no octet of the file.
        left = 0 if response.is_bodyless else end - start
        while left and (data := await file.read(min(left, limits.http_file_read_octets))):
            left -= len(data)
            await response.write(data)
    await response.finish()  # raises where the file shrank meanwhile: the client sees a broken body


def _guess_type(path: str | os.PathLike[str]) -> str:
    kind, encoding = mimetypes.guess_type(os.fspath(path))
    if kind is None or encoding is not None:  # a .tar.gz is no tar
        return "application/octet-stream"
    return f"{kind}; charset=utf-8" if kind.startswith("text/") else kind


def _has(if_none_match: str, etag: str) -> bool:
    """Tell whether the client has the file; weak tags count, since proxies weaken ours when they compress."""
    return any(tag.strip().removeprefix("W/") in ("*", etag) for tag in if_none_match.split(","))


def _part_of(asked: str, size: int) -> tuple[int, int] | None:
    """Return the first octet and the one after the last; None where the whole was asked for, or several parts."""
    match = _RANGE.fullmatch(asked.strip())
    if match is None or match.groups() == ("", ""):
        return None
    first, last = match.groups()
    if not first:  # the last so many octets
        return (max(0, size - int(last)), size) if int(last) else (size, size)
    if last and int(last) < int(first):
        return None  # not a valid range: ignored
    return int(first), min(size, int(last) + 1) if last else size
