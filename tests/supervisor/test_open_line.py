"""Log records begin a line of their own, whatever was printed before them."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from mm_plugin.settings import COOKIE_KEY, COOKIE_VALUE

#: Logs as a plugin's process does, after prints of all kinds.
SCRIPT = """
import logging, sys
import mm_plugin
from mm_plugin.supervisor.logs import configure_logging
print("at import", end="", flush=True)
configure_logging(logging.INFO)
logging.warning("one")
print("whole")
logging.warning("two")
print("progress ", end="", flush=True)
logging.warning("three")
sys.stderr.write("half")
sys.stderr.flush()
logging.warning("four")
logging.warning("five")
print("", end="", flush=True)
logging.warning("six")
sys.stdout.buffer.write(b"octets")
sys.stdout.buffer.flush()
logging.warning("seven")
assert sys.stdout.name == "<stdout>", sys.stdout.name
print("last", end="")
"""


@pytest.mark.parametrize("options", [[], ["-u"]])
def test_a_record_never_stands_behind_printed_text(options: list[str]) -> None:
    """Each record is a line of JSON, each open line a line of text; no line is empty."""
    environ = {**os.environ, COOKIE_KEY: COOKIE_VALUE, "PYTHONUNBUFFERED": ""}
    command = [sys.executable, *options, "-c", SCRIPT]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    lines = [
        json.loads(line)["@message"] if line.startswith("{") else f"text: {line}" for line in done.stderr.splitlines()
    ]
    assert lines == [
        "text: at import", "one", "text: whole", "two", "text: progress ", "three", "text: half", "four", "five", "six",
        "text: octets", "seven", "text: last",
    ]  # fmt: skip
    assert done.stdout == ""


def test_what_is_printed_in_pieces_stays_one_line() -> None:
    """Where no record comes between, nothing is added."""
    environ = {**os.environ, COOKIE_KEY: COOKIE_VALUE}
    script = "import mm_plugin\nfor n in range(3): print(n, end=' ', flush=True)\nprint()\n"
    done = subprocess.run([sys.executable, "-c", script], env=environ, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "0 1 2 \n")
