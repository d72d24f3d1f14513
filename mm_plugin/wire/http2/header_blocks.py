"""Header blocks (HPACK, RFC 7541): decoding that remembers, encoding that needs no state.

Decoding is a pure function of the block and the dynamic table. So while no block changes the table, equal octets
mean an equal head, and one dict look-up replaces decoding and validation. Our own blocks use the static table and
literals without indexing only: they neither read nor write the peer's dynamic table, so they are legal at any time
on any connection, whatever its table size, and can be made once and sent for ever.
"""

from __future__ import annotations

from hpack.exceptions import HPACKDecodingError, InvalidTableIndexError, InvalidTableSizeError, OversizedHeaderListError
from hpack.huffman_table import decode_huffman
from hpack.table import HeaderTable

from mm_plugin.exceptions import LocalProtocolError
from mm_plugin.wire.http2.errors import ConnectionFault, ErrorCode
from mm_plugin.wire.http2.fields import Fields, Head, field_fault

__all__ = ("BlockDecoder", "encode")

_STATIC: tuple[tuple[bytes, bytes], ...] = HeaderTable.STATIC_TABLE
_FIRST_DYNAMIC = len(_STATIC) + 1
_TABLE_OCTETS = 4096  # SETTINGS_HEADER_TABLE_SIZE: we leave it at its default
_TABLE_UPDATES = 2  # the smallest size and the last: at most two make sense (RFC 7541, section 4.2)
_CACHED_BLOCKS = 64  # a gRPC client repeats a handful
_CACHED_OCTETS = 2048  # a longer block is decoded each time


class BlockDecoder:
    """Decodes the header blocks of one connection, in order, into validated heads."""

    __slots__ = ("_heads", "_list_octets", "_table", "_touched")

    def __init__(self, list_octets: int) -> None:
        self._table: HeaderTable | None = None  # made by the first block
        self._list_octets = list_octets
        self._heads: dict[bytes, Head] = {}
        self._touched = False

    def decode(self, block: bytes) -> Head:
        """Decode one block.

        Raises:
            ConnectionFault: COMPRESSION_ERROR for a block that is no HPACK, ENHANCE_YOUR_CALM for a list over the
                bound. The table is then out of step, so the connection must end.
        """
        head = self._heads.get(block)
        if head is not None:
            return head
        self._touched = False
        try:
            head = Head(self._fields(block))
        except OversizedHeaderListError:
            raise ConnectionFault(ErrorCode.ENHANCE_YOUR_CALM, "header list too large") from None
        except (HPACKDecodingError, IndexError) as error:
            raise ConnectionFault(ErrorCode.COMPRESSION_ERROR, f"bad header block: {error}") from None
        if self._touched:
            self._heads.clear()
        elif len(self._heads) < _CACHED_BLOCKS and len(block) <= _CACHED_OCTETS:
            self._heads[block] = head
        return head

    def _fields(self, block: bytes) -> list[tuple[bytes, bytes]]:
        """Decode the representations of RFC 7541, section 6; running off the end is an IndexError."""
        if self._table is None:
            self._table = HeaderTable()
        table, entries, limit = self._table, self._table.dynamic_entries, self._list_octets
        fields: list[tuple[bytes, bytes]] = []
        size, at, end, updates = 0, 0, len(block), 0
        while at < end:
            octet = block[at]
            if octet & 0x80:  # indexed field
                index, at = (octet & 0x7F, at + 1) if octet != 0xFF else _read_integer(block, at, 0x7F)
                if index >= _FIRST_DYNAMIC:
                    field = entries[index - _FIRST_DYNAMIC]
                elif index:
                    field = _STATIC[index - 1]
                else:
                    raise InvalidTableIndexError("index 0")
            elif octet & 0xE0 == 0x20:  # dynamic table size update
                octets, at = _read_integer(block, at, 0x1F)
                updates += 1
                if fields or octets > _TABLE_OCTETS:
                    raise InvalidTableSizeError("table size update too large or not at the start")
                if updates > _TABLE_UPDATES:
                    raise InvalidTableSizeError("too many table size updates")
                self._touched = True
                table.maxsize = octets
                continue
            else:  # literal, with incremental indexing or without
                mask = 0x3F if octet & 0x40 else 0x0F
                index, at = (octet & mask, at + 1) if octet & mask != mask else _read_integer(block, at, mask)
                if index:
                    name = (_STATIC[index - 1] if index < _FIRST_DYNAMIC else entries[index - _FIRST_DYNAMIC])[0]
                else:
                    name, at = _read_string(block, at)
                value, at = _read_string(block, at)
                field = (name, value)
                if octet & 0x40:
                    self._touched = True
                    table.add(name, value)
            fields.append(field)
            size += 32 + len(field[0]) + len(field[1])
            if size > limit:
                raise OversizedHeaderListError
        return fields


def _read_integer(block: bytes, at: int, mask: int) -> tuple[int, int]:
    """Read an integer (RFC 7541, section 5.1) of at most four octets after its prefix."""
    value = block[at] & mask
    if value == mask:
        for shift in (0, 7, 14, 21):
            at += 1
            value += (block[at] & 0x7F) << shift
            if block[at] < 0x80:
                break
        else:
            raise HPACKDecodingError("integer too large")
    return value, at + 1


def _read_string(block: bytes, at: int) -> tuple[bytes, int]:
    """Read a string literal (RFC 7541, section 5.2)."""
    coded = block[at] & 0x80
    length, at = _read_integer(block, at, 0x7F)
    end = at + length
    if end > len(block):
        raise HPACKDecodingError("string runs off the block")
    text = block[at:end]
    return (decode_huffman(text) if coded else text), end


def _integer(value: int, mask: int, first: int) -> bytes:
    """Write an integer whose prefix has the bits of ``mask``, beside the bits of ``first``."""
    if value < mask:
        return bytes((first | value,))
    octets, value = [first | mask], value - mask
    while value >= 0x80:
        octets.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes((*octets, value))


_WHOLE = {field: _integer(index, 0x7F, 0x80) for index, field in reversed(list(enumerate(_STATIC, 1)))}
_NAMED = {name: _integer(index, 0x0F, 0x00) for index, (name, _) in reversed(list(enumerate(_STATIC, 1)))}


def encode(fields: Fields) -> bytes:
    """Encode fields into a block that needs no state: make it once, send it on any connection, as often as wanted.

    Pseudo-header fields come first, as RFC 9113, section 8.3, wants them; names are in lower case.

    Raises:
        LocalProtocolError: A field no HTTP/2 peer may send (RFC 9113, section 8.2).
    """
    out: list[bytes] = []
    for field in fields:
        whole = _WHOLE.get(field)
        if whole is not None:
            out.append(whole)
            continue
        name, value = field
        fault = field_fault(field if name[:1] != b":" else (name[1:], value))
        if fault is not None:
            raise LocalProtocolError(f"cannot send {name!r}: {fault}; mend the field before encoding it")
        named = _NAMED.get(name)
        if named is None:
            out += b"\0", _integer(len(name), 0x7F, 0), name
        else:
            out.append(named)
        out += _integer(len(value), 0x7F, 0), value
    return b"".join(out)
