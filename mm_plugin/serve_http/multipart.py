"""Read ``multipart/form-data`` while it arrives: fields in memory, long files on disk.

Layer:  serve_http. Needs the extra ``http`` (python-multipart), which is imported with this module only.
Errors: RequestFormatError, RequestTooLargeError, RequestBodyAbortedError; on each the temporary files are gone.
See:    RFC 7578
"""

from __future__ import annotations

import tempfile
from typing import TYPE_CHECKING, BinaryIO, Protocol, cast

import anyio
from anyio import to_thread

from mm_plugin import limits
from mm_plugin.exceptions import RequestFormatError, RequestTooLargeError
from mm_plugin.serve_http.headers import Headers

try:
    from python_multipart.exceptions import FormParserError
    from python_multipart.multipart import MultipartParser, parse_options_header
except ModuleNotFoundError as error:
    raise ImportError("multipart bodies need the package python-multipart: pip install 'mm-plugin[http]'") from error

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks


__all__ = ("MultipartForm", "UploadedFile", "read_multipart")


class _Body(Protocol):
    async def receive(self) -> bytes: ...


class UploadedFile:
    """One file of a multipart body; usable until the form's context is left.

    Attributes:
        name: The field it came in.
        filename: What the client calls it; never use it as a path.
        content_type: What the client says it is; "" where it says nothing.
        headers: All fields of the part.
        size_octets: Its length.
        file: The file itself, for worker threads, at its beginning.
    """

    def __init__(self, name: str, filename: str, headers: Headers) -> None:
        self.name = name
        self.filename = filename
        self.headers = headers
        self.content_type = headers.get("Content-Type", "")
        self.size_octets = 0
        spooled = tempfile.SpooledTemporaryFile(limits.http_multipart_memory_octets)  # noqa: SIM115 - the form closes it
        self.file = cast("BinaryIO", spooled)

    async def read(self, octets: int = -1) -> bytes:
        """Read on from where the last read ended, to the end where ``octets`` is negative; ``b""`` at the end.

        Cancellation waits for the disk.
        """
        if self.on_disk:
            return await to_thread.run_sync(self.file.read, octets)
        await anyio.lowlevel.checkpoint()
        return self.file.read(octets)

    @property
    def on_disk(self) -> bool:
        """Whether it is longer than what stays in memory."""
        return self.size_octets > limits.http_multipart_memory_octets

    async def append(self, data: bytes) -> None:
        """Write on; for the reader of the body."""
        self.size_octets += len(data)
        if self.on_disk:
            await to_thread.run_sync(self.file.write, data)
        else:
            self.file.write(data)

    def __repr__(self) -> str:
        return f"<UploadedFile {self.name} {self.filename!r} {self.size_octets} octets>"


class MultipartForm:
    """The parts of a multipart body, in order.

    Attributes:
        fields: Name and text of each part that is no file.
        files: Each part that is one.
    """

    def __init__(self) -> None:
        self.fields: list[tuple[str, str]] = []
        self.files: list[UploadedFile] = []

    def get(self, name: str, default: str = "") -> str:
        """Return a field's first value."""
        return next((text for field, text in self.fields if field == name), default)

    def get_all(self, name: str) -> list[str]:
        """Return every value of a field, in order."""
        return [text for field, text in self.fields if field == name]

    def close(self) -> None:
        """Remove the files."""
        for file in self.files:
            file.file.close()

    def file(self, name: str) -> UploadedFile | None:
        """Return the first file of a field; None where there is none."""
        return next((file for file in self.files if file.name == name), None)


async def read_multipart(body: _Body, content_type: str, what: str) -> MultipartForm:
    """Read the whole body; see RequestBody.multipart; its end is an empty piece. Who gets the form closes it."""
    reader = _Reader(_boundary_of(content_type, what), what)
    try:
        while piece := await body.receive():
            await reader.feed(piece)
        reader.finish()
    except BaseException:
        reader.form.close()
        raise
    for file in reader.form.files:
        file.file.seek(0)
    return reader.form


def _boundary_of(content_type: str, what: str) -> bytes:
    kind, options = parse_options_header(content_type)
    boundary = options.get(b"boundary", b"")
    if kind != b"multipart/form-data" or not boundary:
        raise RequestFormatError(
            f"the body of {what} is no multipart/form-data with a boundary, its Content-Type is {content_type!r}"
        )
    return boundary


class _Reader:
    """Drives the parser: what it says while it eats one piece is carried out before the next piece."""

    def __init__(self, boundary: bytes, what: str) -> None:
        self.form = MultipartForm()
        self._what = what
        self._said: list[tuple[str, bytes]] = []
        self._parts = 0
        self._header = b""
        self._headers: list[tuple[str, str]] = []
        self._field: tuple[str, bytearray] | None = None  # the part that is being read where it is no file
        self._ended = False
        callbacks: dict[str, object] = {
            f"on_{event}": self._listen(event)
            for event in ("part_begin", "part_end", "header_end", "headers_finished", "end")
        }
        callbacks |= {
            f"on_{event}": self._listen_data(event) for event in ("part_data", "header_field", "header_value")
        }
        try:
            self._parser = MultipartParser(boundary, cast("MultipartCallbacks", callbacks))
        except FormParserError as error:  # a boundary that is none
            raise self._wrong(error) from error

    def _listen(self, event: str) -> object:
        return lambda: self._said.append((event, b""))

    def _listen_data(self, event: str) -> object:
        def listen(data: bytes, start: int, end: int) -> None:
            self._said.append((event, data[start:end]))

        return listen

    async def feed(self, piece: bytes) -> None:
        """Take one piece of the body."""
        try:
            self._parser.write(piece)
        except FormParserError as error:
            raise self._wrong(error) from error
        said, self._said = self._said, []
        for event, data in said:
            if event == "part_data":
                await self._take(data)
            else:
                self._step(event, data)

    def finish(self) -> None:
        """Check that the body had its last boundary."""
        if not self._ended:
            raise self._wrong("it has no last boundary")

    def _step(self, event: str, data: bytes) -> None:
        match event:
            case "part_begin":
                self._parts += 1
                if self._parts > limits.http_multipart_parts:
                    raise RequestTooLargeError(
                        f"the body of {self._what} has more than {limits.http_multipart_parts} parts"
                    )
                self._header, self._headers, self._field = b"", [], None
            case "header_field" | "header_value":
                self._header += (b": " if event == "header_value" and b": " not in self._header else b"") + data
            case "header_end":
                field, _, value = self._header.partition(b": ")
                self._headers.append((field.decode("latin-1"), value.decode("latin-1").strip()))
                self._header = b""
            case "headers_finished":
                self._open_part(Headers(tuple(self._headers)))
            case "part_end":
                if self._field is not None:
                    name, text = self._field
                    self.form.fields.append((name, text.decode(errors="replace")))
            case _:
                self._ended = True

    def _open_part(self, headers: Headers) -> None:
        kind, options = parse_options_header(headers.get("Content-Disposition", ""))
        if kind != b"form-data" or b"name" not in options:
            raise self._wrong("a part has no name (RFC 7578, section 4.2)")
        name = options[b"name"].decode(errors="replace")
        if b"filename" in options:
            self.form.files.append(UploadedFile(name, options[b"filename"].decode(errors="replace"), headers))
        else:
            self._field = (name, bytearray())

    async def _take(self, data: bytes) -> None:
        if self._field is None:
            await self.form.files[-1].append(data)
            return
        name, text = self._field
        text += data
        if len(text) > limits.http_multipart_field_octets:
            raise RequestTooLargeError(
                f"the field {name!r} in the body of {self._what} is longer than "
                f"{limits.http_multipart_field_octets} octets"
            )

    def _wrong(self, why: object) -> RequestFormatError:
        return RequestFormatError(f"the body of {self._what} is no multipart/form-data: {why}")
