"""What is fuzzed, and what must hold whatever comes in: one function for each target, of octets alone.

A target raises AssertionError where a rule is broken; anything else that leaves it is an undeclared fault, too. The
octets are a script: the first ones choose bounds and cuts, the rest is what a peer sends, either as it is or as short
records that are made into frames, so that a fuzzer need not guess lengths.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import fields

from hpack import Decoder, HPACKError

from mm_plugin import limits
from mm_plugin.exceptions import LocalProtocolError, RemoteProtocolError
from mm_plugin.wire.grpc import (
    FramingError,
    MessageReader,
    decode_metadata,
    decode_text,
    decompress,
    encode_metadata,
    encode_text,
    format_timeout,
    is_grpc_content_type,
    parse_timeout,
    read_status,
    whole_message,
)
from mm_plugin.wire.http2 import (
    Config,
    Connection,
    ConnectionClosed,
    DataReceived,
    ErrorCode,
    Event,
    Role,
    RoomChanged,
    Stream,
    encode,
)
from mm_plugin.wire.http2.errors import ConnectionFault
from mm_plugin.wire.http2.frames import PREFACE
from mm_plugin.wire.http2.header_blocks import BlockDecoder

_SMALL = Config(
    concurrent_streams=3,
    stream_window_octets=100,
    connection_window_octets=65_535,
    header_block_octets=200,
    header_list_octets=600,
    continuation_frames=2,
    remembered_streams=4,
    idle_frames=40,
    stream_output_octets=64,
)
_BLOCKS = (
    encode([(b":method", b"POST"), (b":scheme", b"http"), (b":path", b"/a/b"), (b"te", b"trailers")]),
    encode([(b":method", b"POST"), (b":scheme", b"http"), (b":path", b"/a/b"), (b"content-length", b"5")]),
    encode([(b":status", b"200"), (b"content-type", b"application/grpc")]),
    encode([(b":status", b"103")]),
    encode([(b"grpc-status", b"0")]),
    b"\x40\x01X\x00",  # a name in upper case, kept in the dynamic table
)
_HEAD, _TRAILERS = _BLOCKS[2], _BLOCKS[4]


class Script:
    """Reads a script; what is not there is zero."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def __bool__(self) -> bool:
        return self._at < len(self._data)

    def octet(self) -> int:
        """Return the next octet."""
        self._at += 1
        return self._data[self._at - 1] if self._at <= len(self._data) else 0

    def octets(self, count: int) -> bytes:
        """Return the next octets, as far as they go."""
        found = self._data[self._at : self._at + count]
        self._at += count
        return found

    def rest(self) -> bytes:
        """Return what is left."""
        return self.octets(len(self._data))


def pieces(data: bytes, step: int) -> Iterator[bytes]:
    """Cut octets; 0 leaves them whole."""
    step = step or max(len(data), 1)
    return (data[at : at + step] for at in range(0, len(data), step))


# -- HTTP/2 ---------------------------------------------------------------------------------------------------


def http2_server(data: bytes) -> None:
    """Feed a server."""
    _http2(Role.SERVER, data)


def http2_client(data: bytes) -> None:
    """Feed a client that has opened some streams."""
    _http2(Role.CLIENT, data)


def _http2(role: Role, data: bytes) -> None:
    script = Script(data)
    choice = script.octet()
    config = _SMALL if choice & 1 else Config()
    cut = script.octet()
    if choice & 2:
        _feed_whole_and_cut(role, config, (PREFACE if role is Role.SERVER else b"") + script.rest(), cut)
    else:
        _converse(role, config, script, acts=bool(choice & 4))


def _connection(role: Role, config: Config) -> Connection:
    connection = Connection(role, config=config)
    if role is Role.CLIENT:
        for _ in range(min(connection.room, 3)):
            connection.send_data(connection.open_stream(_BLOCKS[0]), b"12345", end_stream=False)
    return connection


def _feed_whole_and_cut(role: Role, config: Config, octets: bytes, cut: int) -> None:
    """Whatever the cuts, the same events and the same answer; a bounded one."""
    found: list[tuple[list[str], bytes]] = []
    for step in {0, 1, cut}:
        connection = _connection(role, config)
        connection.take()
        events: list[str] = []
        for piece in pieces(octets, step):
            # The room is told of once for each receive, so that this event does depend on the cuts.
            events += (_described(each) for each in connection.receive(piece) if not isinstance(each, RoomChanged))
        _check(connection, config)
        found.append((events, connection.take()))
        assert len(found[-1][1]) <= 4 * len(octets) + 4 * limits.grpc_status_text_octets, "an answer without bound"
    assert all(each == found[0] for each in found), "the cuts make a difference"


def _described(event: Event) -> str:
    """Return what an event says at any time: streams are live, so of them only the number; a piece lies anywhere."""
    names = [each.name for each in fields(event) if each.name not in {"octets", "start", "end"}]
    if isinstance(event, DataReceived):
        names.append("data")
    said = (f"{name}={_said(getattr(event, name))}" for name in names)
    return f"{type(event).__name__}({', '.join(said)})"


def _said(value: object) -> str:
    return str(value.id) if isinstance(value, Stream) else repr(value)


def _check(connection: Connection, config: Config) -> None:
    """What holds at any time."""
    assert len(connection.streams) <= config.concurrent_streams
    held = connection._tail  # noqa: SLF001 - what is held is what this is about
    assert len(held) <= config.frame_octets + 9, "more than a frame is held"
    block = connection._open_block  # noqa: SLF001
    assert block is None or block.octets <= config.header_block_octets + config.frame_octets
    assert len(connection._blocks._heads) <= 64  # noqa: SLF001
    for stream in connection.streams.values():
        assert connection.terminated or not stream.closed
        assert stream.recv_window >= -65_535, "a window far below nothing"


def _converse(role: Role, config: Config, script: Script, *, acts: bool) -> None:
    """Frames made from records, and between them what an application does."""
    connection = _connection(role, config)
    closed = 0
    if role is Role.SERVER:
        connection.receive(PREFACE)
    connection.receive(_frame(4, 0, 0, b""))
    while script and not connection.terminated:
        kind = script.octet()
        if acts and kind & 0x80:
            _act(connection, script, kind & 0x0F)
        else:
            flags, stream_id, size = script.octet(), script.octet(), script.octet()
            payload = _BLOCKS[size & 7] if kind & 0x40 and size & 7 < len(_BLOCKS) else script.octets(size)
            for event in connection.receive(_frame(kind & 0x0F, flags, stream_id, payload)):
                closed += isinstance(event, ConnectionClosed)
        _check(connection, config)
    assert closed == int(connection.terminated)
    _act(connection, script, 0)
    connection.receive_eof()
    assert not connection.receive(b"more")


def _frame(kind: int, flags: int, stream_id: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3) + bytes((kind, flags)) + stream_id.to_bytes(4) + payload


def _act(connection: Connection, script: Script, action: int) -> None:
    """Do what an application may do; LocalProtocolError says that it may not just now."""
    streams = list(connection.streams.values())
    stream = streams[script.octet() % len(streams)] if streams else None
    size = script.octet()
    try:
        match action:
            case 1 if stream is not None:
                connection.send_headers(stream, _HEAD)
            case 2 if stream is not None:
                connection.send_data(stream, bytes(size * 8), end_stream=bool(size & 1))
            case 3 if stream is not None:
                connection.send_trailers(stream, _TRAILERS)
            case 4 if stream is not None:
                connection.send_response(stream, _HEAD, bytes(size), _TRAILERS)
            case 5 if stream is not None:
                connection.consumed(stream, size)
            case 6 if stream is not None:
                connection.reset(stream, ErrorCode.CANCEL)
            case 7 if stream is not None:
                connection.stop_request(stream)
            case 8:
                connection.open_stream(_BLOCKS[0], end_stream=bool(size & 1))
            case 9:
                connection.ping(bytes(8))
            case 10:
                connection.announce_shutdown()
            case 11:
                connection.goaway(text="x" * size)
            case 12:
                connection.renew_budget()
            case _:
                waiting = connection.output_octets
                assert len(connection.take()) == waiting
    except LocalProtocolError:
        pass


def header_blocks(data: bytes) -> None:
    """Decode blocks one after the other as hpack does; what one refuses, the other refuses."""
    ours, theirs = BlockDecoder(65_536), Decoder(max_header_list_size=65_536)
    theirs.max_allowed_table_size = 4096
    script = Script(data)
    while script:
        block = script.octets(script.octet())
        try:
            found = ours.decode(block)
        except ConnectionFault:
            found = None
        try:
            expected = tuple((bytes(name), bytes(value)) for name, value in theirs.decode(block, raw=True))
        except HPACKError:
            expected = None
        if found is None:
            assert expected is None or _says_more_than_we_take(block), "we refuse what hpack takes"
            return
        assert expected == found.fields, "not what hpack finds"


def _says_more_than_we_take(block: bytes) -> bool:
    """Integers of more than four octets and more than two size updates, which we refuse and hpack reads."""
    return sum(octet & 0xE0 == 0x20 for octet in block) > 2 or any(
        all(octet & 0x80 for octet in block[at : at + 4]) for at in range(len(block) - 3)
    )


# -- gRPC -----------------------------------------------------------------------------------------------------


def grpc_messages(data: bytes) -> None:
    """Find messages in a body: the same ones however it is cut, or the same fault."""
    script = Script(data)
    limit, step, body = script.octet() * 4, script.octet(), script.rest()
    found = [_read(body, limit, each) for each in {0, 1, step}]
    assert all(each == found[0] for each in found), "the cuts make a difference"
    messages, fault = found[0]
    whole = whole_message(b"x" + body + b"y", 1, 1 + len(body), limit)
    if whole is None:
        assert fault is not None or [compressed for _, compressed in messages] != [False]
    else:
        assert messages == [(whole, False)]
        assert fault is None
    for message, _ in messages:
        try:
            assert len(decompress(message, limit)) <= limit
        except FramingError:
            pass


def _read(body: bytes, limit: int, step: int) -> tuple[list[tuple[bytes, bool]], object]:
    reader = MessageReader(limit)
    messages: list[tuple[bytes, bool]] = []
    try:
        for piece in pieces(body, step):
            reader.feed(piece)
            while (message := reader.next_message()) is not None:
                assert len(message.data) <= limit
                messages.append((message.data, message.compressed))
            assert reader.waiting_octets <= limit + 5
        reader.finish()
    except FramingError as error:
        assert reader.waiting_octets == 0, "held after a fault"
        return messages, error.fault
    return messages, None


def grpc_fields(data: bytes) -> None:
    """Read what header fields say: RemoteProtocolError or a value that can be said again."""
    name, _, value = data.partition(b"\0")
    try:
        seconds = parse_timeout(data)
    except RemoteProtocolError:
        pass
    else:
        assert parse_timeout(format_timeout(seconds)) >= seconds
    try:
        metadata = decode_metadata([(name, value), (name + b"-bin", value)])
    except RemoteProtocolError:
        pass
    else:
        try:
            again = decode_metadata(encode_metadata(metadata))
        except LocalProtocolError:
            pass
        else:
            assert again == metadata
    status = read_status([(b"grpc-status", name), (b"grpc-message", value)])
    assert status is not None
    text = decode_text(data)
    if len(text) < 1_000 and "\ufffd" not in text:
        assert decode_text(encode_text(text)) == text
    is_grpc_content_type(data)


TARGETS: dict[str, Callable[[bytes], None]] = {
    "http2_server": http2_server,
    "http2_client": http2_client,
    "header_blocks": header_blocks,
    "grpc_messages": grpc_messages,
    "grpc_fields": grpc_fields,
}
