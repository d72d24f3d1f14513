"""What a plugin writes to standard error becomes log records."""

import json
import logging

import pytest
from hypothesis import given, strategies as st

from mm_plugin import limits
from mm_plugin.host.plugin_log import PluginLog, parse_log_line


@pytest.mark.parametrize(
    ("line", "level", "message"),
    [
        ('{"@level":"warn","@message":"low","@timestamp":"t"}', logging.WARNING, "low"),
        ('{"@level":"trace","@message":"x"}', logging.DEBUG, "x"),
        ('{"@level":"odd","@message":"x"}', logging.INFO, "x"),
        ('{"@level":5,"@message":"x"}', logging.INFO, "x"),
        ("[TRACE] x", logging.DEBUG, "x"),
        ("[DEBUG] x", logging.DEBUG, "x"),
        ("[INFO]  x", logging.INFO, "x"),
        ("[WARN] x", logging.WARNING, "x"),
        ("[ERROR] x: y", logging.ERROR, "x: y"),
        (" [ERROR] x", logging.INFO, " [ERROR] x"),
        ("Traceback (most recent call last):", logging.ERROR, "Traceback (most recent call last):"),
        ("panic: out", logging.ERROR, "panic: out"),
        ("plain", logging.INFO, "plain"),
        ("{not json", logging.INFO, "{not json"),
        ('{"@message": 5}', logging.INFO, '{"@message": 5}'),
        ("{}", logging.INFO, "{}"),
        ('{"a":' * 50_000, logging.INFO, '{"a":' * 50_000),
    ],
)
def test_levels(line: str, level: int, message: str) -> None:
    """Hclog JSON, a level in brackets, and everything else."""
    assert parse_log_line(line)[:2] == (level, message)


def test_fields() -> None:
    """Further keys of a JSON line are kept, the three of hclog are not among them."""
    line = '{"@level":"info","@message":"m","@timestamp":"t","@module":"x","count":3}'
    assert parse_log_line(line) == (logging.INFO, "m", {"@module": "x", "count": 3})


@given(
    st.text(max_size=50)
    | st.dictionaries(st.sampled_from(["@level", "@message"]), st.text() | st.none() | st.integers())
)
def test_never_fails(value: str | dict[str, object]) -> None:
    """Whatever a plugin writes gives a level and a message."""
    level, message, _ = parse_log_line(value if isinstance(value, str) else json.dumps(value))
    assert level in {logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR}
    assert isinstance(message, str)


def test_records(caplog: pytest.LogCaptureFixture) -> None:
    """Records go to the plugin's logger; the readable lines are kept, empty ones are not."""
    caplog.set_level(logging.DEBUG, "mm_plugin")
    log = PluginLog("com.example.x")
    log.stderr_line(b'{"@level":"error","@message":"no %s","id":7}')
    log.stderr_line(b" ")
    log.stderr_line(b"caf\xff")
    log.stdout_line(b"printed")
    assert caplog.record_tuples == [
        ("mm_plugin.host.plugin.com.example.x", logging.ERROR, "no %s id=7"),
        ("mm_plugin.host.plugin.com.example.x", logging.INFO, "caf\ufffd"),
        ("mm_plugin.host.plugin.com.example.x", logging.DEBUG, "standard output: printed"),
    ]
    assert log.tail == ("no %s id=7", "caf\ufffd")


def test_a_line_says_nothing_twice(caplog: pytest.LogCaptureFixture) -> None:
    """The logger's name says the plugin, the message its hook; other ids, hooks and plugins stay; the rest is below."""
    caplog.set_level(logging.DEBUG, "mm_plugin")
    log = PluginLog("com.example.x")
    for message, fields in (
        ("hook OnInstall failed", {"plugin_id": "com.example.x", "hook": "OnInstall", "traceback": "T\n  t"}),
        ("asked", {"plugin_id": "com.example.y", "hook": "OnInstall"}),
    ):
        log.stderr_line(json.dumps({"@message": message, **fields}).encode())
    assert caplog.messages == ["hook OnInstall failed\nT\n  t", "asked plugin_id=com.example.y hook=OnInstall"]


def test_tail_is_bounded() -> None:
    """Only the last lines are kept, and of each only its beginning and its end."""
    log = PluginLog("com.example.x")
    log.logger.disabled = True
    for number in range(limits.stderr_tail_lines + 5):
        log.stderr_line(b"%d" % number)
    log.stderr_line(b"x" + b"y" * limits.stderr_tail_characters + b"z")
    log.logger.disabled = False
    assert len(log.tail) == limits.stderr_tail_lines
    assert log.tail[0] == "6"
    assert len(log.tail[-1]) == limits.stderr_tail_characters
    assert (log.tail[-1][0], log.tail[-1][-1]) == ("x", "z")


def test_a_long_record_keeps_its_headline_and_its_end() -> None:
    """Of a long traceback the middle goes, whole lines of it: what failed and the exception are what must be seen."""
    log = PluginLog("com.example.x")
    log.logger.disabled = True
    frames = "".join(f"  File 'framework.py', line {number}, in run\n" for number in range(200))
    log.stderr_line(
        json.dumps({"@message": "hook OnActivate failed", "traceback": f"{frames}OSError: no disk"}).encode()
    )
    log.logger.disabled = False
    first, cut, *frames_kept, last = log.tail[-1].splitlines()
    assert (first, last) == ("hook OnActivate failed", "OSError: no disk")
    assert cut == f"[{200 - len(frames_kept)} lines cut]"
    assert frames_kept == frames.splitlines()[-len(frames_kept) :]
    assert len(log.tail[-1]) <= limits.stderr_tail_characters


TRACEBACK = """Traceback (most recent call last):
  File "plugin.py", line 1, in <module>
    f()
KeyError: 'x'

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "plugin.py", line 3, in <module>
ValueError: no luck
printed afterwards
Fatal Python error: Segmentation fault
Current thread 0x1 (most recent call first):
  File "plugin.py", line 9 in f
"""


def test_a_traceback_is_an_error_as_a_whole(caplog: pytest.LogCaptureFixture) -> None:
    """With a log level of ERROR the whole traceback is seen, its last line and its causes included, and no more."""
    caplog.set_level(logging.DEBUG, "mm_plugin")
    log = PluginLog("com.example.x")
    for line in TRACEBACK.splitlines():
        log.stderr_line(line.encode())
    assert [r.getMessage() for r in caplog.records if r.levelno != logging.ERROR] == ["printed afterwards"]
