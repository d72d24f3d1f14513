"""Answers in one call: JSON, text, redirects, files; and streams of events."""

from __future__ import annotations

import os
from collections import deque
from pathlib import Path
from types import MappingProxyType

import anyio
import pytest

from mm_plugin import limits
from mm_plugin.exceptions import ResponseStateError
from mm_plugin.serve_http import Request, Response
from mm_plugin.serve_http.events import format_event
from mm_plugin.transport.link import HTTPCall
from tests.serve_http.served import Answer, ask, get, read_rest, served


async def test_json_is_sent_whole() -> None:
    """Type and length are set, text stays readable."""

    async def handler(request: Request, response: Response) -> None:
        await response.json({"a": [1, "ü"]}, status=201)

    answer = await ask(handler)
    assert (answer.head.status, answer.body) == (201, '{"a":[1,"ü"]}'.encode())
    assert dict(answer.head.headers) == {"Content-Type": "application/json", "Content-Length": "14"}


async def test_any_mapping_and_sequence_is_json() -> None:
    """What the type of the parameter promises is kept: mappings that are no dict, sequences that are no list."""

    async def handler(request: Request, response: Response) -> None:
        await response.json(MappingProxyType({"a": deque([1, MappingProxyType({})])}))

    assert (await ask(handler)).body == b'{"a":[1,{}]}'


@pytest.mark.parametrize("value", [float("nan"), object(), {"a": b"octets"}])
async def test_what_json_cannot_say_leaves_the_response_open(value: object) -> None:
    """Nothing was sent, so another answer can follow."""

    async def handler(request: Request, response: Response) -> None:
        with pytest.raises((TypeError, ValueError)):
            await response.json(value)  # type: ignore[arg-type]
        await response.text("no", status=409)

    answer = await ask(handler)
    assert (answer.head.status, answer.body, answer.broken) == (409, b"no", False)


async def test_a_redirect_names_its_target() -> None:
    """A wrong status or target is refused before anything is sent."""

    async def handler(request: Request, response: Response) -> None:
        with pytest.raises(ValueError, match="no redirect"):
            await response.redirect("/", status=200)
        for url in ("/ü", "/\r\nSet-Cookie: a=b"):
            with pytest.raises(ValueError, match=r"percent-encode|line breaks"):
                await response.redirect(url)
        await response.redirect("/plugins/p/next")

    answer = await ask(handler)
    assert (answer.head.status, answer.body) == (303, b"")
    assert dict(answer.head.headers) == {"Location": "/plugins/p/next", "Content-Length": "0"}


CONTENT = bytes(range(256)) * 4096


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "a.txt"
    path.write_bytes(CONTENT)
    return path


async def fetch(path: Path, method: str = "GET", **headers: str) -> tuple[Answer, dict[str, str]]:
    """Ask for a file with these fields."""

    async def handler(request: Request, response: Response) -> None:
        await response.send_file(path)

    fields = tuple((name.replace("_", "-"), value) for name, value in headers.items())
    answer = await ask(handler, get(method=method, headers=fields))
    return answer, dict(answer.head.headers)


async def test_a_file_is_sent_whole(file: Path) -> None:
    """Length, type and a tag are known beforehand; HEAD gets the same without the file."""
    answer, fields = await fetch(file)
    assert (answer.head.status, answer.body, answer.broken) == (200, CONTENT, False)
    assert (fields["Content-Length"], fields["Content-Type"]) == (str(len(CONTENT)), "text/plain; charset=utf-8")
    head, head_fields = await fetch(file, "HEAD")
    assert (head.body, head_fields) == (b"", fields)
    for known in (f'"x", {fields["ETag"]}', f"W/{fields['ETag']}", "*"):
        again, _ = await fetch(file, If_None_Match=known)
        assert (again.head.status, again.body) == (304, b"")
    assert (await fetch(file, If_None_Match='"x", W/"y"'))[0].body == CONTENT


@pytest.mark.parametrize(
    ("asked", "start", "end"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=5-9", 5, 10),
        ("bytes=1000000-", 1_000_000, len(CONTENT)),
        ("bytes=-3", len(CONTENT) - 3, len(CONTENT)),
        ("bytes=0-99999999", 0, len(CONTENT)),
        ("bytes=-99999999", 0, len(CONTENT)),
    ],
)
async def test_a_range_is_a_part(file: Path, asked: str, start: int, end: int) -> None:
    """One range is answered with 206 and where it stands."""
    answer, fields = await fetch(file, Range=asked)
    assert (answer.head.status, answer.body) == (206, CONTENT[start:end])
    assert fields["Content-Range"] == f"bytes {start}-{end - 1}/{len(CONTENT)}"
    stale, _ = await fetch(file, Range=asked, If_Range='"old"')
    assert (stale.head.status, stale.body) == (200, CONTENT)


@pytest.mark.parametrize(
    "asked",
    [
        *("bytes=9-5", "bytes=-", "bytes=0-1,3-4", "lines=1-2", "bytes=a-b", "bytes=\u0661-2"),
        *(f"bytes={'9' * 5_000}-", f"bytes=-{'9' * 5_000}", f"bytes=1-{'9' * 5_000}"),
    ],
    ids=lambda asked: asked[:12],
)
async def test_what_is_no_single_range_gets_the_whole(file: Path, asked: str) -> None:
    """A server may ignore a range; a number without end is no failure."""
    assert (await fetch(file, Range=asked))[0].head.status == 200


@pytest.mark.parametrize("method", ["HEAD", "POST"])
async def test_only_get_knows_ranges(file: Path, method: str) -> None:
    """HEAD says what GET of the whole would, and the answer to a POST is whole (RFC 9110, section 14.2)."""
    answer, fields = await fetch(file, method, Range="bytes=1-2")
    assert (answer.head.status, fields["Content-Length"]) == (200, str(len(CONTENT)))


@pytest.mark.parametrize("asked", ["bytes=99999999-", "bytes=-0"])
async def test_a_range_outside_is_416(file: Path, asked: str) -> None:
    """The client learns the length."""
    answer, fields = await fetch(file, Range=asked)
    assert (answer.head.status, answer.body) == (416, b"")
    assert fields["Content-Range"] == f"bytes */{len(CONTENT)}"


async def test_a_missing_file_leaves_the_response_open(tmp_path: Path) -> None:
    """The handler decides what a missing file means."""

    async def handler(request: Request, response: Response) -> None:
        with pytest.raises(FileNotFoundError):
            await response.send_file(tmp_path / "none")
        await response.text("gone", status=404)

    assert (await ask(handler)).head.status == 404


async def test_a_file_that_shrinks_breaks_the_response(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The client must not take a part for the whole."""

    async def handler(request: Request, response: Response) -> None:
        await response.send_file(file)

    async with served(handler) as host, host.open_http(get()) as call:
        await call.finish()
        head = await call.receive_head()
        os.truncate(file, 0)
        assert dict(head.headers)["Content-Length"] == str(len(CONTENT))

        answer = await read_rest(call, head)
    assert answer.broken


async def test_a_download_has_a_name(file: Path) -> None:
    """Any name is encoded, so it cannot break the header."""

    async def handler(request: Request, response: Response) -> None:
        await response.send_file(file, filename='ü"\r\n.txt', content_type="application/x-own")

    fields = dict((await ask(handler)).head.headers)
    assert fields["Content-Disposition"] == "attachment; filename*=UTF-8''%C3%BC%22%0D%0A.txt"
    assert fields["Content-Type"] == "application/x-own"


@pytest.mark.parametrize(
    ("event", "wire"),
    [
        (format_event("hello"), b"data: hello\n\n"),
        (format_event("a\nb\r\nc\rd"), b"data: a\ndata: b\ndata: c\ndata: d\n\n"),
        (format_event("", event="tick", id="7", retry_ms=500), b"event: tick\nid: 7\nretry: 500\ndata: \n\n"),
        (format_event(retry_ms=0), b"retry: 0\n\n"),
    ],
)
def test_events_have_the_standards_form(event: bytes, wire: bytes) -> None:
    """Data of any number of lines; the fields one line each."""
    assert event == wire


@pytest.mark.parametrize("wrong", [{"event": "a\nb"}, {"id": "a\rb"}, {"id": "a\0b"}, {"retry_ms": -1}])
def test_a_field_that_would_break_the_stream_is_refused(wrong: dict[str, object]) -> None:
    """Nobody can smuggle a second event in."""
    with pytest.raises(ValueError, match="must"):
        format_event("x", **wrong)  # type: ignore[arg-type]


async def test_events_arrive_one_by_one_and_flushed() -> None:
    """The head comes before the first event, each event at once."""
    step = anyio.Event()

    async def handler(request: Request, response: Response) -> None:
        async with response.events() as events:
            await step.wait()
            await events.send("1", id="a")
            await events.comment("still here")

    async with served(handler) as host, host.open_http(get()) as call:
        await call.finish()
        head = await call.receive_head()
        assert dict(head.headers)["Content-Type"] == "text/event-stream; charset=utf-8"
        part = await call.receive()
        assert part is not None
        assert (part.data, part.flush) == (b"", True)
        step.set()
        for wire in (b"id: a\ndata: 1\n\n", b": still here\n\n"):
            part = await call.receive()
            assert part is not None
            assert (part.data, part.flush) == (wire, True)
        assert await call.receive() is None


async def test_an_idle_stream_is_kept_alive() -> None:
    """Comments come by themselves while the handler waits; leaving the context ends them."""
    enough = anyio.Event()

    async def handler(request: Request, response: Response) -> None:
        async with response.events(keep_alive_s=0.01):
            await enough.wait()
        await response.write("end")

    async with served(handler) as host, host.open_http(get()) as call:
        await call.finish()
        await call.receive_head()
        comments = 0
        while comments < 3:
            part = await call.receive()
            assert part is not None
            comments += part.data == b": \n\n"
        enough.set()
        answer = await read_rest_of(call)
    assert answer.endswith(b"end")


async def read_rest_of(call: HTTPCall) -> bytes:
    body = b""
    while (part := await call.receive()) is not None:
        body += part.data
    return body


@pytest.mark.parametrize("keep_alive_s", [None, 60])
async def test_what_is_raised_within_events_leaves_as_it_is(keep_alive_s: float | None) -> None:
    """No group around it, whether comments are sent or not; the stream is still open for a last word."""

    async def handler(request: Request, response: Response) -> None:
        try:
            async with response.events(keep_alive_s=keep_alive_s) as events:
                await events.send("a")
                raise KeyError("mine")
        except KeyError:
            await response.write(": bye\n\n")

    answer = await ask(handler)
    assert (answer.body, answer.broken) == (b"data: a\n\n: bye\n\n", False)


async def test_no_comment_follows_an_early_end(caplog: pytest.LogCaptureFixture) -> None:
    """A handler that has finished its response may work on within the context."""

    async def handler(request: Request, response: Response) -> None:
        async with response.events(keep_alive_s=0.01):
            await response.finish()
            await anyio.sleep(0.05)

    answer = await ask(handler)
    assert (answer.head.status, answer.broken) == (200, False)
    assert not caplog.records


async def test_events_after_a_head_are_refused() -> None:
    """A stream of events is a response of its own."""

    async def handler(request: Request, response: Response) -> None:
        await response.write("x")
        with pytest.raises(ResponseStateError):
            async with response.events():
                raise AssertionError

    assert (await ask(handler)).body == b"x"


def test_reading_a_file_is_worth_a_thread() -> None:
    """One step into a thread brings several chunks."""
    assert limits.http_file_read_octets >= 2 * limits.http_chunk_octets
