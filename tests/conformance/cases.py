"""The cases of h2spec 2.2.1, the strict one and one of 2.6.0 among them, as frames to send and what has to come.

Numbered as h2spec numbers them; written from RFC 9113 and RFC 7541. Where h2spec leaves a server several answers, the
one of ours stands here.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from mm_plugin import limits
from mm_plugin.wire.http2 import ErrorCode, encode
from tests.wire.http2.raw_frames import (
    ACK,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    HEADERS,
    PADDED,
    PING,
    PREFACE,
    PRIORITIZED,
    PRIORITY,
    PUSH_PROMISE,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    frame,
    goaway,
    rst_stream,
    settings,
    window_update,
)

_WHOLE = END_HEADERS | END_STREAM
_E = ErrorCode
_START = PREFACE + settings() + frame(SETTINGS, ACK)
_FIELDS = [(b":method", b"GET"), (b":scheme", b"http"), (b":path", b"/"), (b":authority", b"x")]
_GET = encode(_FIELDS)
_POST = encode([(b":method", b"POST"), *_FIELDS[1:]])
_LONGEST = limits.http2_frame_octets


@dataclass(frozen=True)
class Case:
    """One case.

    Attributes:
        steps: Octets to send; a number waits for the end of that stream's answer, a tuple for DATA of these sizes.
        codes: The GOAWAY that has to come, before the connection closes; empty where the connection lives.
        reset: The RST_STREAM that has to come, by stream.
        answered: The streams that have to be answered to their end.
        data: The sizes of the DATA frames that have to come on stream 1, in the end.
    """

    steps: tuple[bytes | int | tuple[int, ...], ...]
    codes: tuple[ErrorCode, ...] = ()
    reset: dict[int, ErrorCode] = field(default_factory=dict[int, ErrorCode])
    answered: tuple[int, ...] = ()
    data: tuple[int, ...] = ()
    greeting: bytes = _START


def _get(stream_id: int = 1, flags: int = _WHOLE, block: bytes = _GET) -> bytes:
    return frame(HEADERS, flags, stream_id, block)


def _ok(*steps: bytes | int, stream: int = 1) -> Case:
    return Case(steps, answered=(stream,))


def _lives(*steps: bytes | int) -> Case:
    return Case(steps)


def _dies(*steps: bytes | int, code: ErrorCode = _E.PROTOCOL_ERROR) -> Case:
    return Case(steps, codes=(code,))


def _resets(*steps: bytes | int, code: ErrorCode = _E.PROTOCOL_ERROR, stream: int = 1) -> Case:
    return Case(steps, reset={stream: code})


def _block(*more: tuple[bytes, bytes], drop: bytes = b"", first: bool = False) -> bytes:
    """A request's block with fields added and one left out, as literals: our encoder would refuse some of them."""
    fields = [each for each in _FIELDS if each[0] != drop]
    return b"".join(_literal(*each) for each in ([*more, *fields] if first else [*fields, *more]))


def _literal(name: bytes, value: bytes) -> bytes:
    return b"\0" + bytes((len(name),)) + name + bytes((len(value),)) + value


def _hpack(extra: bytes) -> bytes:
    return _get(block=_GET + extra)


_OPEN_POST = _get(flags=END_HEADERS, block=_POST)
_PRIORITY = b"\0\0\0\0\x0f"
_HUFFMAN_TEST = b"\x83\x49\x50\x9f"  # "test" in the code of RFC 7541, appendix B
_LENGTH_1 = encode([(b":method", b"POST"), *_FIELDS[1:], (b"content-length", b"1")])

GENERIC: dict[str, Case] = {
    "1/1 preface": _lives(),
    "2/1 PRIORITY on an idle stream": _ok(frame(PRIORITY, 0, 1, _PRIORITY) + _get()),
    "2/2 WINDOW_UPDATE, half-closed": _ok(_get() + window_update(1, 1)),
    "2/3 PRIORITY, half-closed": _ok(_get() + frame(PRIORITY, 0, 1, _PRIORITY)),
    "2/4 RST_STREAM, half-closed": _lives(_get() + rst_stream(1)),
    "2/5 PRIORITY, closed": _ok(_get(), 1, frame(PRIORITY, 0, 1, _PRIORITY)),
    "3.1/1 DATA": _ok(_OPEN_POST + frame(DATA, END_STREAM, 1, b"test")),
    "3.1/2 several DATA": _ok(_OPEN_POST + frame(DATA, 0, 1, b"test") + frame(DATA, END_STREAM, 1, b"test")),
    "3.1/3 padded DATA": _ok(_OPEN_POST + frame(DATA, END_STREAM | PADDED, 1, b"\x05test" + bytes(5))),
    "3.2/1 HEADERS": _ok(_get()),
    "3.2/2 padded HEADERS": _ok(_get(flags=_WHOLE | PADDED, block=b"\x08" + _GET + bytes(8))),
    "3.2/3 HEADERS with priority": _ok(_get(flags=_WHOLE | PRIORITIZED, block=_PRIORITY + _GET)),
    "3.3/1 priority 1": _ok(frame(PRIORITY, 0, 1, b"\0\0\0\0\0") + _get()),
    "3.3/2 priority 256": _ok(frame(PRIORITY, 0, 1, b"\0\0\0\0\xff") + _get()),
    "3.3/3 dependency": _ok(frame(PRIORITY, 0, 3, b"\0\0\0\1\0") + _get()),
    "3.3/4 exclusive": _ok(frame(PRIORITY, 0, 3, b"\x80\0\0\1\0") + _get()),
    "3.3/5 PRIORITY above, then HEADERS below": _ok(frame(PRIORITY, 0, 5, b"\0\0\0\3\0") + _get(3), stream=3),
    "3.4/1 RST_STREAM": _lives(_OPEN_POST + rst_stream(1)),
    "3.5/1 SETTINGS": _lives(settings(streams=100)),
    "3.7/1 PING": _lives(frame(PING, 0, 0, b"h2spec!!")),
    "3.8/1 GOAWAY": _lives(goaway(0)),
    "3.9/1 WINDOW_UPDATE of the connection": _ok(window_update(0, 1) + _get()),
    "3.9/2 WINDOW_UPDATE of a stream": _ok(_get() + window_update(1, 1)),
    "3.10/1 CONTINUATION": _ok(_get(flags=END_STREAM) + frame(CONTINUATION, END_HEADERS, 1, _literal(b"a", b"b"))),
    "3.10/2 several": _ok(
        _get(flags=END_STREAM)
        + frame(CONTINUATION, 0, 1, _literal(b"a", b"b"))
        + frame(CONTINUATION, END_HEADERS, 1, _literal(b"c", b"d"))
    ),
    "4/1 GET": _ok(_get()),
    "4/2 HEAD": _ok(_get(block=encode([(b":method", b"HEAD"), *_FIELDS[1:]]))),
    "4/3 POST": _ok(_OPEN_POST + frame(DATA, END_STREAM, 1, b"test")),
    "4/4 POST with trailers": _ok(_OPEN_POST + frame(DATA, 0, 1, b"test") + _get(block=_literal(b"x-test", b"ok"))),
    "5/1 indexed": _ok(_get(block=b"\x82\x86\x84" + encode(_FIELDS[3:]))),
    "5/2 incremental, indexed name": _ok(_hpack(b"\x7a\x04test")),
    "5/3 incremental, indexed name, Huffman": _ok(_hpack(b"\x7a" + _HUFFMAN_TEST)),
    "5/4 incremental, new name": _ok(_hpack(b"\x40\x06x-test\x04test")),
    "5/5 incremental, new name, Huffman": _ok(_hpack(b"\x40" + _HUFFMAN_TEST + _HUFFMAN_TEST)),
    "5/6 without indexing, indexed name": _ok(_hpack(b"\x0f\x2b\x04test")),
    "5/7 without indexing, indexed name, Huffman": _ok(_hpack(b"\x0f\x2b" + _HUFFMAN_TEST)),
    "5/8 without indexing, new name": _ok(_hpack(b"\x00\x06x-test\x04test")),
    "5/9 without indexing, new name, Huffman": _ok(_hpack(b"\x00" + _HUFFMAN_TEST + _HUFFMAN_TEST)),
    "5/10 never indexed, indexed name": _ok(_hpack(b"\x1f\x2b\x04test")),
    "5/11 never indexed, indexed name, Huffman": _ok(_hpack(b"\x1f\x2b" + _HUFFMAN_TEST)),
    "5/12 never indexed, new name": _ok(_hpack(b"\x10\x06x-test\x04test")),
    "5/13 never indexed, new name, Huffman": _ok(_hpack(b"\x10" + _HUFFMAN_TEST + _HUFFMAN_TEST)),
    "5/14 table size update": _ok(_get(block=b"\x3e" + _GET)),
    "5/15 two table size updates": _ok(_get(block=b"\x20\x3e" + _GET)),
}

HTTP2: dict[str, Case] = {
    "3.5/1 preface": Case((), greeting=_START),
    "3.5/2 invalid preface": Case((), codes=(_E.PROTOCOL_ERROR,), greeting=b"INVALID CONNECTION PREFACE\r\n\r\n"),
    "4.1/1 unknown type": _lives(frame(0x16, 0, 0, bytes(8))),
    "4.1/2 undefined flag": _lives(frame(PING, 0x16, 0, bytes(8))),
    "4.1/3 reserved bit": _lives(frame(PING, 0, 0x80000000, bytes(8))),
    "4.2/1 DATA of 2**14": _ok(_OPEN_POST + frame(DATA, END_STREAM, 1, bytes(16_384))),
    "4.2/2 DATA too long": _dies(
        _OPEN_POST + frame(DATA, END_STREAM, 1, bytes(_LONGEST + 1)), code=_E.FRAME_SIZE_ERROR
    ),
    "4.2/3 HEADERS too long": _dies(_get(block=_GET + bytes(_LONGEST)), code=_E.FRAME_SIZE_ERROR),
    "4.3/1 invalid block": _dies(_get(block=b"\x00\xff\xff\xff\xff\xff\x0f"), code=_E.COMPRESSION_ERROR),
    "4.3/2 PRIORITY inside a block": _dies(_get(flags=END_STREAM) + frame(PRIORITY, 0, 1, _PRIORITY)),
    "4.3/3 HEADERS inside a block": _dies(_get(flags=END_STREAM) + _get(3)),
    "5.1/1 idle: DATA": _dies(frame(DATA, END_STREAM, 1, b"test")),
    "5.1/2 idle: RST_STREAM": _dies(rst_stream(1)),
    "5.1/3 idle: WINDOW_UPDATE": _dies(window_update(1, 100)),
    "5.1/4 idle: CONTINUATION": _dies(frame(CONTINUATION, END_HEADERS, 1, _GET)),
    "5.1/5 half-closed: DATA": _resets(_get() + frame(DATA, END_STREAM, 1, b"test"), code=_E.STREAM_CLOSED),
    "5.1/6 half-closed: HEADERS": _resets(_get() + _get(), code=_E.STREAM_CLOSED),
    "5.1/7 half-closed: CONTINUATION": _dies(_get() + frame(CONTINUATION, END_HEADERS, 1, _GET)),
    "5.1/8 reset: DATA": _resets(
        _OPEN_POST + rst_stream(1) + frame(DATA, END_STREAM, 1, b"test"), code=_E.STREAM_CLOSED
    ),
    "5.1/9 reset: HEADERS": _dies(_OPEN_POST + rst_stream(1) + _get(), code=_E.STREAM_CLOSED),
    "5.1/10 reset: CONTINUATION": _dies(_OPEN_POST + rst_stream(1) + frame(CONTINUATION, END_HEADERS, 1, _GET)),
    "5.1/11 closed: DATA": _resets(_get(), 1, frame(DATA, END_STREAM, 1, b"test"), code=_E.STREAM_CLOSED),
    "5.1/12 closed: HEADERS": _dies(_get(), 1, _get(), code=_E.STREAM_CLOSED),
    "5.1/13 closed: CONTINUATION": _dies(_get(), 1, frame(CONTINUATION, END_HEADERS, 1, _GET)),
    "5.1.1/1 even number": _dies(_get(2)),
    "5.1.1/2 lower number": _dies(_get(5) + _get(3)),
    "5.1.2/1 too many streams": Case(
        (b"".join(_get(2 * number + 1, END_HEADERS, _POST) for number in range(limits.http2_concurrent_streams + 1)),),
        reset={2 * limits.http2_concurrent_streams + 1: _E.REFUSED_STREAM},
    ),
    "5.3.1/1 HEADERS on itself": _resets(_get(flags=_WHOLE | PRIORITIZED, block=b"\0\0\0\1\0" + _GET)),
    "5.3.1/2 PRIORITY on itself": _resets(_OPEN_POST + frame(PRIORITY, 0, 1, b"\0\0\0\1\0")),
    "5.4.1/1 connection error closes": _dies(frame(PING, 0, 0, bytes(7)), code=_E.FRAME_SIZE_ERROR),
    "5.4.1/2 connection error says GOAWAY (strict)": _dies(frame(PING, 0, 3, bytes(8))),
    "5.5/1 unknown extension": _lives(frame(0xFF, 0, 0, b"unknown")),
    "5.5/2 extension inside a block": _dies(_get(flags=END_STREAM) + frame(0xFF, 0, 0, b"unknown")),
    "6.1/1 DATA on stream 0": _dies(frame(DATA, END_STREAM, 0, b"test")),
    "6.1/2 DATA on a half-closed stream": _resets(_get() + frame(DATA, END_STREAM, 1, b"x"), code=_E.STREAM_CLOSED),
    "6.1/3 pad length too large": _dies(_OPEN_POST + frame(DATA, END_STREAM | PADDED, 1, b"\x06test")),
    "6.2/1 PRIORITY after HEADERS that go on": _dies(_get(flags=END_STREAM) + frame(PRIORITY, 0, 1, _PRIORITY)),
    "6.2/2 HEADERS after HEADERS that go on": _dies(_get(flags=END_STREAM) + _get(3)),
    "6.2/3 HEADERS on stream 0": _dies(_get(0)),
    "6.2/4 pad length too large": _dies(_get(flags=_WHOLE | PADDED, block=bytes((len(_GET) + 2,)) + _GET)),
    "6.3/1 PRIORITY on stream 0": _dies(frame(PRIORITY, 0, 0, _PRIORITY)),
    "6.3/2 PRIORITY of another size": _resets(_OPEN_POST + frame(PRIORITY, 0, 1, bytes(4)), code=_E.FRAME_SIZE_ERROR),
    "6.4/1 RST_STREAM on stream 0": _dies(rst_stream(0)),
    "6.4/2 RST_STREAM on an idle stream": _dies(rst_stream(1)),
    "6.4/3 RST_STREAM of another size": _dies(_OPEN_POST + frame(RST_STREAM, 0, 1, bytes(3)), code=_E.FRAME_SIZE_ERROR),
    "6.5/1 SETTINGS ACK with payload": _dies(frame(SETTINGS, ACK, 0, bytes(1)), code=_E.FRAME_SIZE_ERROR),
    "6.5/2 SETTINGS on a stream": _dies(frame(SETTINGS, 0, 1, bytes(6))),
    "6.5/3 SETTINGS of another size": _dies(frame(SETTINGS, 0, 0, bytes(3)), code=_E.FRAME_SIZE_ERROR),
    "6.5.2/1 ENABLE_PUSH": _dies(settings(push=2)),
    "6.5.2/2 INITIAL_WINDOW_SIZE": _dies(settings(window=2**31), code=_E.FLOW_CONTROL_ERROR),
    "6.5.2/3 MAX_FRAME_SIZE too low": _dies(settings(frame=16_383)),
    "6.5.2/4 MAX_FRAME_SIZE too high": _dies(settings(frame=2**24)),
    "6.5.2/5 unknown identifier": _lives(frame(SETTINGS, 0, 0, b"\0\xff\0\0\0\1")),
    "6.5.3/1 one setting twice": Case(
        (frame(SETTINGS, 0, 0, settings(window=100)[9:] + settings(window=1)[9:]) + _get(),), data=(1,)
    ),
    "6.5.3/2 SETTINGS are acknowledged": _lives(settings()),
    "6.7/1 PING": _lives(frame(PING, 0, 0, b"h2spec!!")),
    "6.7/2 PING ACK": _lives(frame(PING, ACK, 0, b"invalid!")),
    "6.7/3 PING on a stream": _dies(frame(PING, 0, 1, bytes(8))),
    "6.7/4 PING of another size": _dies(frame(PING, 0, 0, bytes(6)), code=_E.FRAME_SIZE_ERROR),
    "6.8/1 GOAWAY on a stream": _dies(frame(7, 0, 1, bytes(8))),
    "6.9/1 WINDOW_UPDATE of 0": _dies(window_update(0, 0)),
    "6.9/2 WINDOW_UPDATE of 0, stream": _resets(_OPEN_POST + window_update(1, 0)),
    "6.9/3 WINDOW_UPDATE of another size": _dies(frame(WINDOW_UPDATE, 0, 0, bytes(3)), code=_E.FRAME_SIZE_ERROR),
    "6.9.1/1 window of 1": Case((settings(window=1) + _get(),), data=(1,)),
    "6.9.1/2 window over 2**31 - 1": _dies(window_update(0, 2**31 - 1) * 2, code=_E.FLOW_CONTROL_ERROR),
    "6.9.1/3 window over 2**31 - 1, stream": _resets(
        _OPEN_POST + window_update(1, 2**31 - 1) * 2, code=_E.FLOW_CONTROL_ERROR
    ),
    "6.9.2/1 window changed afterwards": Case((settings(window=0) + _get() + settings(window=1),), data=(1,)),
    "6.9.2/2 window below zero": Case(
        (settings(window=3) + _get(), (3,), settings(window=2) + window_update(1, 2)), data=(3, 1)
    ),
    "6.9.2/3 window too large": _dies(settings(window=2**31), code=_E.FLOW_CONTROL_ERROR),
    "6.10/1 several CONTINUATION": _ok(
        _get(flags=END_STREAM)
        + frame(CONTINUATION, 0, 1, _literal(b"a", b"b"))
        + frame(CONTINUATION, END_HEADERS, 1, _literal(b"c", b"d"))
    ),
    "6.10/2 another frame follows": _dies(
        _get(flags=0) + frame(CONTINUATION, 0, 1, _literal(b"a", b"b")) + frame(DATA, END_STREAM, 1, b"test")
    ),
    "6.10/3 CONTINUATION on stream 0": _dies(_get(flags=END_STREAM) + frame(CONTINUATION, END_HEADERS, 0, b"")),
    "6.10/4 after a whole HEADERS": _dies(_get(flags=END_HEADERS) + frame(CONTINUATION, END_HEADERS, 1, b"")),
    "6.10/5 after a whole CONTINUATION": _dies(
        _get(flags=0)
        + frame(CONTINUATION, END_HEADERS, 1, _literal(b"a", b"b"))
        + frame(CONTINUATION, END_HEADERS, 1, b"")
    ),
    "6.10/6 after DATA": _dies(_OPEN_POST + frame(DATA, 0, 1, b"test") + frame(CONTINUATION, END_HEADERS, 1, b"")),
    "7/1 GOAWAY, unknown code": _lives(goaway(0, 0xFF)),
    "7/2 RST_STREAM, unknown code": _lives(_OPEN_POST + rst_stream(1, 0xFF)),
    "8.1/1 second HEADERS that do not end": _resets(_OPEN_POST + _get(flags=END_HEADERS, block=_literal(b"x", b"y"))),
    "8.1.2/1 upper case": _resets(_get(block=_block((b"X-TEST", b"ok")))),
    "8.1.2.1/1 unknown pseudo-field": _resets(_get(block=_block((b":test", b"ok"), first=True))),
    "8.1.2.1/2 pseudo-field of responses": _resets(_get(block=_block((b":status", b"200"), first=True))),
    "8.1.2.1/3 pseudo-field in trailers": _resets(_OPEN_POST + _get(block=_literal(b":method", b"200"))),
    "8.1.2.1/4 pseudo-field after another": _resets(_get(block=_block((b"x-test", b"ok"), first=True))),
    "8.1.2.2/1 connection-specific field": _resets(_get(block=_block((b"connection", b"keep-alive")))),
    "8.1.2.2/2 te": _resets(_get(block=_block((b"te", b"trailers, deflate;q=0.5")))),
    "8.1.2.3/1 empty :path": _resets(_get(block=_block((b":path", b""), drop=b":path", first=True))),
    "8.1.2.3/2 no :method": _resets(_get(block=_block(drop=b":method"))),
    "8.1.2.3/3 no :scheme": _resets(_get(block=_block(drop=b":scheme"))),
    "8.1.2.3/4 no :path": _resets(_get(block=_block(drop=b":path"))),
    "8.1.2.3/5 :method twice": _resets(_get(block=_block((b":method", b"GET"), first=True))),
    "8.1.2.3/6 :scheme twice": _resets(_get(block=_block((b":scheme", b"http"), first=True))),
    "8.1.2.3/7 :path twice": _resets(_get(block=_block((b":path", b"/"), first=True))),
    "8.1.2.6/1 content-length, one DATA": _resets(
        _get(flags=END_HEADERS, block=_LENGTH_1) + frame(DATA, END_STREAM, 1, b"test")
    ),
    "8.1.2.6/2 content-length, several DATA": _resets(
        _get(flags=END_HEADERS, block=_LENGTH_1) + frame(DATA, 0, 1, b"") + frame(DATA, END_STREAM, 1, b"test")
    ),
    "8.2/1 PUSH_PROMISE": _dies(frame(PUSH_PROMISE, END_HEADERS, 1, b"\0\0\0\2" + _GET)),
}

HPACK: dict[str, Case] = {
    "2.3.3/1 index beyond the tables": _dies(_hpack(b"\xc6"), code=_E.COMPRESSION_ERROR),
    "2.3.3/2 name beyond the tables": _dies(_hpack(b"\x7f\x07\x04test"), code=_E.COMPRESSION_ERROR),
    "4.2/1 table size update at the end": _dies(_hpack(b"\x21"), code=_E.COMPRESSION_ERROR),
    "5.2/1 padding over 7 bits": _dies(_hpack(b"\x00\x04test\x84\x49\x50\x9f\xff"), code=_E.COMPRESSION_ERROR),
    "5.2/2 padding of zeros": _dies(_hpack(b"\x00\x04test\x83\x49\x50\x90"), code=_E.COMPRESSION_ERROR),
    "5.2/3 the symbol EOS": _dies(
        _hpack(b"\x00\x04test\x88\x49\x50\x9f\xff\xff\xff\xfa\x7f"), code=_E.COMPRESSION_ERROR
    ),
    "6.1/1 index 0": _dies(_hpack(b"\x80"), code=_E.COMPRESSION_ERROR),
    "6.3/1 table size update over the setting": _dies(_get(block=b"\x3f\xe2\x1f" + _GET), code=_E.COMPRESSION_ERROR),
}

CASES = {
    **{f"generic/{name}": case for name, case in GENERIC.items()},
    **{f"http2/{name}": case for name, case in HTTP2.items()},
    **{f"hpack/{name}": case for name, case in HPACK.items()},
}
