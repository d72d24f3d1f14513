"""Heads: what they say, and what makes them malformed."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from mm_plugin.wire.http2 import Head
from mm_plugin.wire.http2.fields import field_fault
from tests.wire.http2.raw_frames import REQUEST, RESPONSE, TRAILERS


def test_request_head() -> None:
    """A request's head names its parts; regular fields are found by name, the first of equals."""
    head = Head([*REQUEST, (b"x", b"1"), (b"x", b"2"), (b"content-length", b"05")])
    assert head.fault is None
    assert (head.method, head.scheme, head.authority) == (b"POST", b"http", b"localhost")
    assert head.path == b"/pluginproto.PluginHooks/OnActivate"
    assert (head.status, head.is_trailers, head.content_length) == (None, False, 5)
    assert (head.content_type, head.get(b"x"), head.get(b"y")) == (b"application/grpc", b"1", None)
    assert head.fields[-2] == (b"x", b"2")


def test_response_and_trailers() -> None:
    """A response has a status; trailers have no pseudo-header field."""
    head = Head(RESPONSE)
    assert (head.fault, head.status, head.is_trailers, head.method) == (None, 200, False, b"")
    trailers = Head(TRAILERS)
    assert (trailers.fault, trailers.status, trailers.is_trailers) == (None, None, True)


def test_host_stands_in_for_authority() -> None:
    """Where there is no :authority the host field counts, and CONNECT needs neither :scheme nor :path."""
    fields = [(b":method", b"GET"), (b":scheme", b"http"), (b":path", b"/"), (b"host", b"here")]
    assert (Head(fields).fault, Head(fields).authority) == (None, b"here")
    assert Head([*REQUEST, (b"host", b"LocalHost")]).fault is None
    assert Head([(b":method", b"CONNECT"), (b":authority", b"here:1")]).fault is None


@pytest.mark.parametrize(
    "field",
    [
        (b":Path", b"/"),
        (b":status", b"200"),
        (b":path", b"/a"),
        (b":authority", b"x\n"),
        (b"a b", b""),
        (b"a:b", b""),
        ("ä".encode(), b""),
        (b"te", b"trailers, deflate"),
        (b"content-length", b""),
        (b"content-length", b"+1"),
        (b"content-length", b"9" * 20),
        (b"keep-alive", b"1"),
        (b"proxy-connection", b"1"),
        (b"x", b"a\nb"),
        (b"x", b"\ta"),
        (b"x", b"a "),
    ],
)
def test_one_bad_field_spoils_a_request(field: tuple[bytes, bytes]) -> None:
    """A field that RFC 9113, section 8.2, forbids makes the head malformed wherever it stands."""
    assert Head([*REQUEST, field]).fault is not None
    assert Head([field, *REQUEST]).fault is not None


@pytest.mark.parametrize("field", [(b"x", b""), (b"x", b"a\tb c"), (b"te", b"trailers"), (b"x", b"\xff\x80")])
def test_unusual_fields_that_are_right(field: tuple[bytes, bytes]) -> None:
    """Empty values, inner blanks and octets over 127 are allowed."""
    assert Head([*REQUEST, field]).fault is None


@given(st.binary(max_size=6), st.binary(max_size=6))
def test_field_rules_by_another_road(name: bytes, value: bytes) -> None:
    """The patterns agree with the rules of section 8.2.1, spelt out octet by octet; and say so twice."""
    token = b"!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz"
    right = (
        name != b""
        and all(octet in token for octet in name)
        and not any(octet in b"\0\r\n" for octet in value)
        and value.strip(b" \t") == value
        and (name != b"te" or value == b"trailers")
    )
    for _ in range(2):
        assert (field_fault((name, value)) is None) == right


def test_remembered_faults_are_bounded() -> None:
    """A peer that sends ever new fields cannot grow what we remember."""
    from mm_plugin.wire.http2 import fields

    for number in range(2000):
        assert field_fault((b"x-%d" % number, b"")) is None
        assert len(fields._verdicts) <= 512
