"""hclog lines: always one line, always JSON, always within the limit, whatever was logged."""

from __future__ import annotations

import json
import logging
import os
import sys
import warnings
from collections.abc import Iterator
from datetime import datetime

import pytest
from hypothesis import given, strategies as st

from mm_plugin import limits
from mm_plugin._proto.user_pb2 import User
from mm_plugin.supervisor.logs import HCLogFormatter, HCLogHandler, configure_logging


def record(message: object, *args: object, **extra: object) -> logging.LogRecord:
    return logging.getLogger("test").makeRecord("a.module", 20, "file.py", 1, message, args, None, extra=extra)


def formatted(of: logging.LogRecord) -> dict[str, object]:
    """Format a record, and check what holds for every line."""
    line = HCLogFormatter().format(of)
    assert line.isascii()
    assert line.isprintable()
    assert len(line) <= limits.log_line_octets
    fields: dict[str, object] = json.loads(line, parse_constant=pytest.fail)
    for name in ("@level", "@message", "@timestamp"):
        assert isinstance(fields[name], str)
    return fields


values = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.binary(), st.lists(st.text()), st.just(10**5000)
)


@given(
    st.one_of(st.text(), values),
    st.lists(values, max_size=3),
    st.dictionaries(st.text().filter(lambda name: name not in vars(record("")) | {"message": 1, "asctime": 1}), values),
)
def test_every_record_becomes_a_line(message: object, args: list[object], extra: dict[str, object]) -> None:
    """Nothing an author logs breaks the line, not even a wrong format."""
    formatted(record(message, *args, **extra))


@pytest.mark.parametrize("letter", ["x", "\n", "\u20ac", "\U0001f600", "\ud800"])
def test_long_texts_lose_their_middle(letter: str) -> None:
    """Beginning and end stay, with a mark between them."""
    message = str(formatted(record("begin" + letter * 100_000 + "end"))["@message"])
    assert message.startswith("begin" + letter)
    assert message.endswith(letter + "end")
    assert "[cut]" in message


def test_too_many_fields_leave_the_three_that_must_be() -> None:
    """A line that cannot be shortened keeps what the host needs."""
    fields = formatted(record("text", **{f"field{number}": "x" * 100 for number in range(5_000)}))
    assert set(fields) == {"@level", "@message", "@timestamp"}


@pytest.mark.parametrize(
    ("level", "name"),
    [(5, "trace"), (10, "debug"), (15, "debug"), (20, "info"), (30, "warn"), (40, "error"), (50, "error")],
)
def test_levels(level: int, name: str) -> None:
    """Python's levels become hclog's."""
    of = record("x")
    of.levelno = level
    assert formatted(of)["@level"] == name


def test_time_has_six_digits_and_a_zone() -> None:
    """go-plugin parses exactly this form."""
    of = record("x")
    of.created = 1_700_000_000.5
    text = str(formatted(of)["@timestamp"])
    assert len(text.partition(".")[2]) == len("500000+00:00")
    assert datetime.fromisoformat(text).timestamp() == of.created


def test_own_fields_stay_and_cannot_pose_as_the_hosts() -> None:
    """Extra fields keep simple values; a name with @ is dropped."""
    fields = formatted(record("x", n=1, ratio=0.5, flag=True, none=None, what=[1], **{"@message": 5, "@odd": 1}))
    assert fields["@message"] == "x"
    assert "@odd" not in fields
    assert {name: fields[name] for name in ("n", "ratio", "flag", "none", "what")} == {
        "n": 1,
        "ratio": 0.5,
        "flag": True,
        "none": None,
        "what": "[1]",
    }


def test_messages_of_the_contract_are_never_shown() -> None:
    """A user holds a password hash; its line does not."""
    user = User(password="secret")
    for of in (record("%s", user), record(user), record("%(u)s", {"u": user}), record("x", user=user)):
        assert "secret" not in HCLogFormatter().format(of)
    assert "got User(password=[redacted])" in str(formatted(record("got %s", user))["@message"])


def test_objects_that_cannot_be_shown() -> None:
    """An object whose text raises does not take the line along."""

    class Odd:
        def __str__(self) -> str:
            raise RuntimeError("no")

        def __repr__(self) -> str:
            return "Odd()"

    assert "cannot be formatted" in str(formatted(record("%s", Odd()))["@message"])
    assert formatted(record("x", odd=Odd()))["odd"] == "<Odd that cannot be shown: RuntimeError>"


def test_tracebacks_and_stacks_are_fields() -> None:
    """A traceback stays inside the line of its record."""
    try:
        raise ZeroDivisionError("why")
    except ZeroDivisionError:
        of = record("x")
        of.exc_info = sys.exc_info()
    of.stack_info = "Stack (most recent call last):"
    fields = formatted(of)
    assert str(fields["traceback"]).endswith("ZeroDivisionError: why")
    assert fields["stack"] == of.stack_info


@pytest.fixture
def root_restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    logging.captureWarnings(capture=False)
    root.handlers[:] = handlers
    root.setLevel(level)


def test_handler_writes_whole_lines_and_survives_a_closed_end() -> None:
    """One write-up per record; a host that has gone is no error."""
    reading, writing = os.pipe()
    handler = HCLogHandler(writing)
    handler.handle(record("one"))
    handler.handle(record("two"))
    lines = os.read(reading, 10_000).split(b"\n")
    assert [json.loads(line)["@message"] for line in lines[:-1]] == ["one", "two"]
    assert lines[-1] == b""
    os.close(reading)
    handler.handle(record("three"))
    os.close(writing)


@pytest.mark.usefixtures("root_restored")
def test_configured_logging_replaces_what_was_there(capfd: pytest.CaptureFixture[str]) -> None:
    """Everything goes to standard error as lines of JSON, warnings included, below the level nothing."""
    configure_logging(logging.WARNING)
    logging.getLogger("any").info("quiet")
    logging.getLogger("any").warning("loud")
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("careful", stacklevel=1)
    found = [json.loads(line) for line in capfd.readouterr().err.splitlines()]
    assert [entry["@module"] for entry in found] == ["any", "py.warnings"]
    assert "careful" in found[1]["@message"]
