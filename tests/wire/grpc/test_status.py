"""How calls end: texts survive, unknown things become a status, never an exception."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from mm_plugin import limits
from mm_plugin.exceptions import StatusCode
from mm_plugin.wire.grpc import status as module
from mm_plugin.wire.grpc.status import (
    Status,
    decode_text,
    encode_text,
    is_grpc_content_type,
    parse_status,
    read_status,
    status_of_http,
    status_of_reset,
    trailers,
    trailers_only,
)

unicode_text = st.text(st.characters(exclude_categories=["Cs"]), max_size=200)


@given(unicode_text)
def test_texts_come_back_and_travel_as_printable_ascii(text: str) -> None:
    """Tabs, newlines, percent signs and all of Unicode survive."""
    data = encode_text(text)
    assert all(0x20 <= octet <= 0x7E for octet in data)
    assert decode_text(data) == text


@given(st.binary(max_size=60))
def test_any_octets_decode(value: bytes) -> None:
    """A wrong escape or wrong UTF-8 never loses the rest."""
    text = decode_text(value)
    if value.isascii() and b"%" not in value:
        assert text == value.decode()


def test_wrong_escapes_stay() -> None:
    """What is no escape is text."""
    assert decode_text(b"100% %zz %4 %e2%82%ac %ff") == "100% %zz %4 \u20ac \ufffd"


def test_lone_surrogates_do_not_break_a_status() -> None:
    """A text that has no UTF-8 is sent with a question mark."""
    assert encode_text("a\ud800b") == b"a?b"


@pytest.mark.parametrize("letter", ["x", "\u20ac", "\U0001f600"])
def test_long_texts_are_cut_between_characters(letter: str) -> None:
    """The limit counts octets before encoding; the mark shows the cut, and no half character is left."""
    text = decode_text(encode_text(letter * (limits.grpc_status_text_octets + 1)))
    assert text.endswith(letter + "...")
    assert set(text) == {letter, "."}
    octets = len(text.encode())
    assert limits.grpc_status_text_octets - 3 <= octets <= limits.grpc_status_text_octets


@pytest.mark.parametrize("code", StatusCode)
def test_every_status_is_read_from_its_own_trailers(code: StatusCode) -> None:
    """Trailers and trailers-only responses carry code, text and metadata."""
    fields = trailers(code, "über", [("x-bin", b"1")])
    assert read_status(fields) == Status(code, "über")
    assert (b"x-bin", b"MQ") in fields
    assert trailers_only(code, "über", [("x-bin", b"1")]) == [*module.RESPONSE_HEAD, *fields]


def test_ready_made_fields_are_what_the_builders_give() -> None:
    """The constants of the quick way stay equal to the general one."""
    assert list(module.OK_TRAILERS) == trailers(StatusCode.OK)


@pytest.mark.parametrize("value", [b"", b"17", b"-1", b"x", b"00", b"99999999999", b" 1"])
def test_unknown_statuses_are_unknown(value: bytes) -> None:
    """What is no code is UNKNOWN."""
    assert parse_status(value) is StatusCode.UNKNOWN


def test_fields_without_status_have_none() -> None:
    """A response that is no gRPC says nothing about its status."""
    assert read_status([(b":status", b"502"), (b"grpc-message", b"x")]) is None


@pytest.mark.parametrize(
    ("value", "ours"),
    [
        (b"application/grpc", True),
        (b"application/grpc+proto", True),
        (b"Application/GRPC; charset=utf-8", True),
        (b"application/grpc+json", False),
        (b"application/grpc-web", False),
        (b"text/html", False),
        (b"", False),
        (None, False),
    ],
)
def test_content_types(value: bytes | None, ours: bool) -> None:
    """Only gRPC with protobuf messages is ours."""
    assert is_grpc_content_type(value) is ours


@pytest.mark.parametrize(
    ("error_code", "code"), [(0x7, StatusCode.UNAVAILABLE), (0x8, StatusCode.CANCELLED), (0x5, StatusCode.UNKNOWN)]
)
def test_resets(error_code: int, code: StatusCode) -> None:
    """A refused stream may be tried again, a cancelled one is cancelled."""
    assert status_of_reset(error_code) is code


@given(st.integers())
def test_any_number_maps_to_a_status_that_is_not_ok(number: int) -> None:
    """Nothing but a grpc-status of 0 means OK."""
    assert status_of_reset(number) is not StatusCode.OK
    assert status_of_http(number) is not StatusCode.OK


def test_http_statuses() -> None:
    """A proxy's 503 is UNAVAILABLE, and 404 is no NOT_FOUND of the application."""
    assert status_of_http(503) is StatusCode.UNAVAILABLE
    assert status_of_http(404) is StatusCode.UNIMPLEMENTED
    assert status_of_http(200) is StatusCode.UNKNOWN
