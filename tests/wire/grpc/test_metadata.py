"""Custom metadata: round trips, bounds, reserved names, base64 as peers write it."""

from __future__ import annotations

from base64 import b64encode

import pytest
from hypothesis import given, strategies as st

from mm_plugin import limits
from mm_plugin.exceptions import LocalProtocolError, RemoteProtocolError
from mm_plugin.wire.grpc.metadata import decode_metadata, encode_metadata, is_reserved

names = st.text("0123456789abcdefghijklmnopqrstuvwxyz_-.", min_size=1, max_size=20).filter(
    lambda name: not is_reserved(name.encode()) and not name.endswith("-bin")
)
texts = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=40).map(str.strip)
pairs = st.one_of(
    st.tuples(names, texts),
    st.tuples(
        names.map(lambda name: name + "-bin").filter(lambda name: not is_reserved(name.encode())),
        st.binary(max_size=40),
    ),
)


@given(st.lists(pairs, max_size=8))
def test_metadata_comes_back(metadata: list[tuple[str, str | bytes]]) -> None:
    """What is encoded is decoded to the same pairs in the same order."""
    assert decode_metadata(encode_metadata(metadata)) == tuple(metadata)


@given(st.binary(max_size=50), st.booleans())
def test_base64_is_taken_with_and_without_padding(value: bytes, padded: bool) -> None:
    """Peers may pad or not."""
    text = b64encode(value)
    assert decode_metadata([(b"x-bin", text if padded else text.rstrip(b"="))]) == (("x-bin", value),)


@given(st.lists(st.tuples(st.binary(max_size=8), st.binary(max_size=12)), max_size=4), st.binary(max_size=12))
def test_any_fields_decode_or_raise_the_declared_error(fields: list[tuple[bytes, bytes]], value: bytes) -> None:
    """Nothing a peer sends raises anything else."""
    try:
        found = decode_metadata([*fields, (b"x-bin", value)])
    except RemoteProtocolError:
        return
    assert all(isinstance(value, bytes) == name.endswith("-bin") for name, value in found)


def test_several_binary_values_in_one_field_become_several() -> None:
    """A comma joins values of one name."""
    assert decode_metadata([(b"x-bin", b"YQ==, Yg")]) == (("x-bin", b"a"), ("x-bin", b"b"))


@pytest.mark.parametrize("value", [b"a", b"YQ===", b"Y*==", b"=", b"YQ\n", b"Y=Q="])
def test_wrong_base64_is_refused(value: bytes) -> None:
    """Octets that no base64 gives are the peer's fault (a lone "=" stands for nothing at all)."""
    if value == b"=":
        assert decode_metadata([(b"x-bin", value)]) == (("x-bin", b""),)
        return
    with pytest.raises(RemoteProtocolError, match="x-bin"):
        decode_metadata([(b"x-bin", value)])


def test_reserved_names_are_left_out() -> None:
    """What belongs to gRPC or HTTP is no custom metadata."""
    fields = [(b":path", b"/"), (b"te", b"trailers"), (b"grpc-timeout", b"1S"), (b"user-agent", b"x"), (b"mine", b"1")]
    assert decode_metadata(fields) == (("mine", "1"),)


def test_text_outside_ascii_is_kept() -> None:
    """A careless peer's value is not lost and not fatal."""
    assert decode_metadata([(b"name", "é".encode())]) == (("name", "Ã©"),)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Upper", "x"),
        ("", "x"),
        ("grpc-own", "x"),
        ("te", "x"),
        ("ünder", "x"),
        ("name", "two\nlines"),
        ("name", " blank"),
        ("name", "ü"),
        ("name", b"octets"),
        ("name-bin", "text"),
    ],
)
def test_what_cannot_be_sent_is_refused(name: str, value: str | bytes) -> None:
    """Our own mistakes are named before anything is sent."""
    with pytest.raises(LocalProtocolError, match="metadata"):
        encode_metadata([(name, value)])


def test_both_directions_are_bounded() -> None:
    """Names and values together may not be over the limit."""
    fits = "x" * (limits.grpc_metadata_octets - 1)
    assert decode_metadata(encode_metadata([("n", fits)])) == (("n", fits),)
    with pytest.raises(LocalProtocolError, match="over"):
        encode_metadata([("n", fits + "x")])
    with pytest.raises(RemoteProtocolError, match="over"):
        decode_metadata([(b"n", fits.encode() + b"x")])
