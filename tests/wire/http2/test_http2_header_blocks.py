"""Header blocks: our decoder and encoder against hpack's, and what a decoder must refuse."""

from __future__ import annotations

import hpack
import pytest
from hypothesis import given, strategies as st

from mm_plugin.exceptions import LocalProtocolError
from mm_plugin.wire.http2 import ErrorCode, encode
from mm_plugin.wire.http2.errors import ConnectionFault
from mm_plugin.wire.http2.header_blocks import BlockDecoder
from tests.wire.http2.raw_frames import REQUEST, REQUEST_BLOCK

NAMES = st.sampled_from([b"a", b"grpc-timeout", b"content-type", b"x-long-name-for-the-table", b"cookie", b"accept"])
VALUES = st.one_of(
    st.sampled_from([b"", b"1", b"gzip, deflate", b"application/grpc", b"v" * 200, b"w" * 4200]),
    st.binary(max_size=12).map(lambda value: value.translate(None, b"\0\r\n").strip(b" \t")),
)
FIELDS = st.lists(st.tuples(NAMES, VALUES), max_size=6)
BLOCKS = st.lists(
    st.tuples(FIELDS, st.booleans(), st.none() | st.sampled_from([0, 40, 100, 1000, 4096])), min_size=1, max_size=12
)


def decoder() -> BlockDecoder:
    return BlockDecoder(65_536)


def entries_of(decoder: BlockDecoder) -> list[tuple[bytes, bytes]]:
    return [] if decoder._table is None else list(decoder._table.dynamic_entries)


@given(BLOCKS, st.booleans())
def test_decodes_what_hpack_encodes(
    blocks: list[tuple[list[tuple[bytes, bytes]], bool, int | None]], twice: bool
) -> None:
    """Through any mix of indexing, Huffman coding and table sizes, fields come out as they went in."""
    encoder, ours, theirs = hpack.Encoder(), decoder(), hpack.Decoder()
    for fields, huffman, table_octets in blocks:
        if table_octets is not None:
            encoder.header_table_size = table_octets
        # Sensitive fields are "never indexed", the third kind of literal.
        marked = [(name, value, name == b"cookie") for name, value in fields]
        for _ in range(1 + twice):
            block = encoder.encode(marked, huffman=huffman)
            assert list(ours.decode(block).fields) == fields
            assert [tuple(field) for field in theirs.decode(block, raw=True)] == fields


@given(FIELDS)
def test_hpack_decodes_what_we_encode(fields: list[tuple[bytes, bytes]]) -> None:
    """Our blocks say the same to hpack at any time, and leave its table as it was."""
    theirs = hpack.Decoder()
    theirs.decode(hpack.Encoder().encode([(b"a", b"1")]))
    entries = list(theirs.header_table.dynamic_entries)
    for _ in range(2):
        assert [tuple(field) for field in theirs.decode(encode(fields), raw=True)] == fields
        assert list(theirs.header_table.dynamic_entries) == entries


@given(st.lists(st.binary(max_size=40), max_size=8))
def test_arbitrary_blocks_agree_with_hpack(blocks: list[bytes]) -> None:
    """For any octets our decoder and hpack's both give the same fields, or both refuse."""
    ours, theirs = decoder(), hpack.Decoder()
    for block in blocks:
        try:
            fields = list(ours.decode(block).fields)
        except ConnectionFault as fault:
            # hpack takes longer integers than we do, though no value of theirs can be in bounds but by leading zeros,
            # and any number of size updates.
            if "integer too large" not in fault.text and "too many table size updates" not in fault.text:
                with pytest.raises((hpack.HPACKError, IndexError)):
                    theirs.decode(block, raw=True)
            return
        assert [tuple(field) for field in theirs.decode(block, raw=True)] == fields
        assert entries_of(ours) == list(theirs.header_table.dynamic_entries)


def test_equal_blocks_share_a_head() -> None:
    """A block that comes again is not decoded again."""
    ours = decoder()
    assert ours.decode(REQUEST_BLOCK) is ours.decode(bytes(bytearray(REQUEST_BLOCK)))


def test_a_changed_table_changes_what_a_block_means() -> None:
    """A remembered head is forgotten as soon as anything has touched the dynamic table."""
    ours = decoder()
    ours.decode(b"\x40\x01a\x011")
    assert ours.decode(b"\xbe").fields == ((b"a", b"1"),)
    assert ours.decode(b"\xbe").fields == ((b"a", b"1"),)
    ours.decode(b"\x40\x01a\x012")
    assert ours.decode(b"\xbe").fields == ((b"a", b"2"),)
    ours.decode(b"\x20")  # a table of 0 octets
    with pytest.raises(ConnectionFault):
        ours.decode(b"\xbe")


def test_a_block_that_grows_the_table_is_never_remembered() -> None:
    """The same literal with indexing adds its entry each time."""
    ours = decoder()
    for _ in range(3):
        ours.decode(b"\x40\x01a\x011")
    assert len(entries_of(ours)) == 3


@pytest.mark.parametrize(
    "block",
    [
        b"\x80",  # index 0
        b"\xbe",  # beyond the table
        b"\xff\x80\x80\x80\x80\x01",  # an integer of too many octets
        b"\xff",  # an integer without its end
        b"\x00\x02a",  # a string without its end
        b"\x00\x81\xff\x00",  # Huffman: padding of a whole octet of ones is too long
        b"\x00\x84\xff\xff\xff\xff\x00",  # Huffman: EOS
        b"\x00\x81\x18\x00",  # Huffman: padding that is not ones
        b"\x3f\xe2\x1f",  # a table of 4,097 octets
        b"\x82\x20",  # a size update after a field
        b"\x20\x21\x22",  # more size updates than can make sense (RFC 7541, section 4.2)
    ],
)
def test_refuses_what_is_no_block(block: bytes) -> None:
    """Each breach of RFC 7541 is a COMPRESSION_ERROR."""
    with pytest.raises(ConnectionFault) as caught:
        decoder().decode(block)
    assert caught.value.code == ErrorCode.COMPRESSION_ERROR


def test_decoded_size_is_bounded() -> None:
    """A small block cannot grow into a large list (RFC 7541, section 7.3)."""
    ours = decoder()
    ours.decode(encode([(b"x", b"v" * 4000)]).replace(b"\x00", b"\x40", 1))
    with pytest.raises(ConnectionFault) as caught:
        ours.decode(b"\xbe" * 17)
    assert caught.value.code == ErrorCode.ENHANCE_YOUR_CALM


def test_remembered_heads_are_bounded() -> None:
    """Ever new blocks do not fill the memory."""
    ours = decoder()
    for number in range(300):
        ours.decode(encode([(b"x", b"%d" % number)]))
    assert len(ours._heads) <= 64


@pytest.mark.parametrize(
    "field", [(b"X", b"y"), (b"", b"y"), (b"x", b"a\r\nb: c"), (b"connection", b"close"), (b":path", b"\n")]
)
def test_refuses_to_encode_what_no_peer_may_get(field: tuple[bytes, bytes]) -> None:
    """A wrong field is our own mistake, told with its name, before anything is sent."""
    with pytest.raises(LocalProtocolError):
        encode([*REQUEST, field])
