"""Multipart bodies: fields, files on disk, however they are cut; and those that are none."""

from __future__ import annotations

import pytest
from hypothesis import given, settings, strategies as st

import mm_plugin.serve_http.multipart
from mm_plugin import limits
from mm_plugin.exceptions import RequestBodyAbortedError, RequestFormatError, RequestTooLargeError
from mm_plugin.serve_http import Request, Response
from mm_plugin.serve_http.multipart import UploadedFile
from tests.serve_http.served import ask, get, read_answer, served

HEADERS = (("Content-Type", 'multipart/form-data; boundary="b--o"'),)
BIG = bytes(range(256)) * (limits.http_multipart_memory_octets // 256 + 1)
BODY = (
    b"--b--o\r\n"
    b'Content-Disposition: form-data; name="title"\r\n\r\n\xc3\xbcber\r\n--b--o\r\n'
    b'content-disposition: form-data; name="up"; filename="a \\"b\\".txt"\r\nContent-Type: text/plain\r\n\r\n'
    b"one\r\n--b-\r\n--b--o\r\n"
    b'Content-Disposition: form-data; name="title"\r\n\r\n\r\n--b--o\r\n'
    b'Content-Disposition: form-data; name="big"; filename=""\r\n\r\n' + BIG + b"\r\n--b--o--\r\nepilogue"
)


async def parsed(pieces: list[bytes]) -> tuple[list[tuple[str, str]], list[tuple[str, str, str, bytes]], list[bool]]:
    """Fields, files with their content, and which of them went to disk."""
    fields: list[tuple[str, str]] = []
    files: list[tuple[str, str, str, bytes]] = []
    on_disk: list[bool] = []
    kept: list[UploadedFile] = []

    async def handler(request: Request, response: Response) -> None:
        async with request.multipart() as form:
            fields.extend(form.fields)
            kept.extend(form.files)
            assert form.get("title") == "über"
            assert form.get_all("title") == ["über", ""]
            assert form.file("none") is None
            for file in form.files:
                content = await file.read(1) + await file.read()
                assert len(content) == file.size_octets
                assert form.file(file.name) is file
                files.append((file.name, file.filename, file.content_type, content))
                on_disk.append(file.on_disk)

    answer = await ask(handler, get(method="POST", headers=HEADERS), *pieces)
    assert answer.head.status == 200
    assert all(file.file.closed for file in kept)
    return fields, files, on_disk


async def test_fields_and_files_are_read() -> None:
    """Texts stay in memory, a long file goes to disk; each file is gone after the context."""
    fields, files, on_disk = await parsed([BODY])
    assert fields == [("title", "über"), ("title", "")]
    assert files == [("up", 'a "b".txt', "text/plain", b"one\r\n--b-"), ("big", "", "", BIG)]
    assert on_disk == [False, True]


SMALL = BODY.replace(BIG, b"\r\n--b--\r\n")


@settings(max_examples=25)
@given(cuts=st.lists(st.integers(1, len(SMALL) - 1)))
async def test_any_split_reads_the_same(cuts: list[int]) -> None:
    """Whole, or cut anywhere."""
    ends = sorted({*cuts, len(SMALL)})
    pieces = [SMALL[start:end] for start, end in zip([0, *ends], ends, strict=False)]
    assert await parsed(pieces) == await parsed([SMALL])


async def test_octet_by_octet_reads_the_same() -> None:
    """The finest cut there is."""
    assert await parsed([bytes([octet]) for octet in SMALL]) == await parsed([SMALL])


async def failing(headers: tuple[tuple[str, str], ...], *pieces: bytes, whole: bool = True) -> Exception:
    """How reading fails; the handler is then answered for."""
    errors: list[Exception] = []

    async def handler(request: Request, response: Response) -> None:
        try:
            async with request.multipart():
                raise AssertionError("it was read")
        except (RequestFormatError, RequestTooLargeError, RequestBodyAbortedError) as error:
            errors.append(error)

    async with served(handler) as host, host.open_http(get("/u?x=1", "POST", headers)) as call:
        for piece in pieces:
            await call.send(piece)
        await (call.finish() if whole else call.abort())
        await read_answer(call)
    return errors[0]


@pytest.mark.parametrize(
    ("headers", "body", "text"),
    [
        ((), b"", "is no multipart/form-data with a boundary"),
        ((("Content-Type", "multipart/form-data"),), b"", "with a boundary"),
        ((("Content-Type", "multipart/mixed; boundary=x"),), b"", "multipart/mixed"),
        (HEADERS, BODY[:150], "it has no last boundary"),
        (HEADERS, b"--other\r\n", "is no multipart/form-data"),
        (HEADERS, b"--b--o\r\nContent-Type: text/plain\r\n\r\nx\r\n--b--o--", "a part has no name"),
        (HEADERS, b"--b--o\r\nno header at all\r\n\r\n", "is no multipart/form-data"),
    ],
)
async def test_what_is_no_multipart_is_said(headers: tuple[tuple[str, str], ...], body: bytes, text: str) -> None:
    """Each mistake with the request it was found in."""
    error = await failing(headers, *([body] if body else []))
    assert isinstance(error, RequestFormatError)
    assert "POST /u" in str(error)
    assert text in str(error)


async def test_parts_without_end_are_refused() -> None:
    """Each part costs memory, so they are counted."""
    part = b'--b--o\r\nContent-Disposition: form-data; name="a"\r\n\r\n\r\n'
    error = await failing(HEADERS, part * (limits.http_multipart_parts + 1))
    assert isinstance(error, RequestTooLargeError)


async def test_a_field_without_end_is_refused() -> None:
    """What is no file stays in memory, so it has a limit."""
    start = b'--b--o\r\nContent-Disposition: form-data; name="a"\r\n\r\n'
    error = await failing(HEADERS, start, *[b"x" * 65_536] * (limits.http_multipart_field_octets // 65_536 + 1))
    assert isinstance(error, RequestTooLargeError)
    assert "the field 'a'" in str(error)


async def test_a_broken_upload_is_no_form() -> None:
    """What was read of it is dropped, its files are closed."""
    assert isinstance(await failing(HEADERS, BODY[:250], whole=False), RequestBodyAbortedError)


def test_the_missing_extra_is_named() -> None:
    """Without the parser the error says what to install."""
    source = mm_plugin.serve_http.multipart.__file__
    with open(source) as file:
        code = file.read().replace("python_multipart", "no_such_parser")
    with pytest.raises(ImportError, match=r"pip install 'mm-plugin\[http\]'"):
        exec(compile(code, "multipart.py", "exec"), {"__name__": "x"})
