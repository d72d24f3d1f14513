"""The handshake line: what we write is what hosts expect, what we read is four to seven fields."""

from __future__ import annotations

import pytest
from hypothesis import given, strategies as st

from mm_plugin import limits
from mm_plugin.exceptions import HandshakeError
from mm_plugin.wire.handshake import Handshake, format_handshake, format_handshake_line, parse_handshake_line

words = st.text(st.characters(categories=["L", "N", "P", "S"], exclude_characters="|"), min_size=1, max_size=30)
tcp = st.integers(1, 65535).map(lambda port: ("tcp", f"127.0.0.1:{port}"))
unix = words.map(lambda path: ("unix", "/" + path))
handshakes = st.builds(
    lambda place, app, protocol, certificate, multiplex: Handshake(
        network=place[0],
        address=place[1],
        app_version=app,
        protocol=protocol,
        certificate=certificate,
        multiplex=multiplex,
    ),
    st.one_of(tcp, unix),
    st.integers(0, 999_999_999),
    st.sampled_from(["grpc", "netrpc"]),
    st.text("ABCabc019+/", max_size=80),
    st.sampled_from([None, True, False]),
)


def test_the_line_of_a_port() -> None:
    """The name kept from an earlier SDK gives the same five fields."""
    assert format_handshake_line(54321) == "1|1|tcp|127.0.0.1:54321|grpc"


@given(handshakes, st.sampled_from(["", "\n", "\r\n"]), st.booleans())
def test_every_handshake_comes_back(handshake: Handshake, end: str, octets: bool) -> None:
    """What is written is read again, as text and as octets, with any line end."""
    line = format_handshake(handshake) + end
    assert parse_handshake_line(line.encode() if octets else line) == handshake


@given(handshakes)
def test_no_more_fields_than_needed(handshake: Handshake) -> None:
    """Five fields, six with a certificate, seven only where the host asked."""
    fields = 7 if handshake.multiplex is not None else 6 if handshake.certificate else 5
    assert format_handshake(handshake).count("|") == fields - 1


def test_four_fields_mean_netrpc() -> None:
    """go-plugin's oldest form leaves the protocol out."""
    expected = Handshake(network="unix", address="/run/plugin1", protocol="netrpc")
    assert parse_handshake_line("1|1|unix|/run/plugin1") == expected


def test_go_writes_an_empty_certificate() -> None:
    """Go plugins always print the sixth field."""
    line = b"1|2|unix|/run/plugin1|grpc|\n"
    assert parse_handshake_line(line) == Handshake(network="unix", address="/run/plugin1", app_version=2)


WRONG: list[tuple[bytes | str, str]] = [
    ("", "is empty"),
    ("hello from import time", "something printed before"),
    ("1|1|tcp", "something printed before"),
    ("1|1|tcp|a:1|grpc||true|x", "has 8 fields"),
    ("2|1|tcp|a:1|grpc", "core protocol version is '2'"),
    ("1|one|tcp|a:1|grpc", "app protocol version is 'one'"),
    ("1|01|tcp|a:1|grpc", "app protocol version is '01'"),
    ("1|1|udp|a:1|grpc", "network is 'udp'"),
    ("1|1|tcp|1234|grpc", "address is '1234'"),
    ("1|1|tcp|a:0|grpc", "address is 'a:0'"),
    ("1|1|tcp|a:65536|grpc", "address is 'a:65536'"),
    ("1|1|unix||grpc", "path of a unix socket"),
    ("1|1|tcp|a:1|soap", "protocol is 'soap'"),
    ("1|1|tcp|a:1|grpc||maybe", "multiplex field is 'maybe'"),
    ("1|1|tcp|a\x00:1|grpc", "control characters"),
    (b"1|1|tcp|\xff:1|grpc", "not UTF-8"),
    ("1|1|unix|" + "x" * limits.handshake_line_octets, "is over 16384 octets"),
]


@pytest.mark.parametrize(("line", "sentence"), WRONG, ids=[sentence for _, sentence in WRONG])
def test_each_wrong_line_has_its_sentence(line: bytes | str, sentence: str) -> None:
    """The text names what is wrong."""
    with pytest.raises(HandshakeError) as info:
        parse_handshake_line(line)
    assert sentence in str(info.value)


def test_the_sentences_differ() -> None:
    """No two kinds of fault share one text."""
    texts = set()
    for line, _ in WRONG:
        with pytest.raises(HandshakeError) as info:
            parse_handshake_line(line)
        texts.add(str(info.value))
    assert len(texts) == len(WRONG)


@given(st.one_of(st.text(max_size=60), st.binary(max_size=60)))
def test_any_line_is_a_handshake_or_the_declared_error(line: bytes | str) -> None:
    """Nothing a plugin prints raises anything else."""
    try:
        parse_handshake_line(line)
    except HandshakeError:
        pass


@given(st.lists(st.text("01a:/|", max_size=6), min_size=4, max_size=8).map("|".join))
def test_near_misses_are_handshakes_or_the_declared_error(line: str) -> None:
    """Lines of the right shape hold no surprise either."""
    try:
        handshake = parse_handshake_line(line)
    except HandshakeError:
        return
    assert parse_handshake_line(format_handshake(handshake)) == handshake


@pytest.mark.parametrize("address", ["/run/a|b", "/run/a|grpc", "", "/run/a\nb", " /run/a"])
def test_what_cannot_be_said_is_not_written(address: str) -> None:
    """A line that its host would misread is refused here."""
    with pytest.raises(HandshakeError):
        format_handshake(Handshake(network="unix", address=address))
