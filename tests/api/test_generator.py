"""The generated files are what the generator writes, and it says what is missing."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from mm_plugin._proto import api_pb2
from tools.api_text import Method, topic_module

ROOT = Path(__file__).resolve().parents[2]
METHODS = api_pb2.DESCRIPTOR.services_by_name["PluginAPI"].methods_by_name


@pytest.mark.skipif(importlib.util.find_spec("grpc_tools") is None, reason="grpcio-tools is not installed")
def test_the_generator_leaves_no_difference() -> None:
    """The checked-in client is exactly what the contract gives."""
    command = [sys.executable, str(ROOT / "tools" / "generate_api.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_comment_becomes_the_docstring() -> None:
    """First sentence, rest, arguments and errors have their places; rpc names become method names."""
    comment = " Get a thing. See DeleteUser;\n true is false.\n Errors: 404 no such thing; 501 not here."
    text = topic_module("users", "Users", [Method(METHODS["GetUser"], comment)], "Generated")
    assert (
        '"""Get a thing.\n\n        See ``delete_user``; True is False.\n\n        Args:\n            user_id:' in text
    )
    assert (
        "Raises:\n            NotFoundError: No such thing.\n            PluginAPIError: Not here. (HTTP 501)\n" in text
    )


@pytest.mark.parametrize(
    ("comment", "text"),
    [
        ("", "rpc GetUser has no comment"),
        ("Get " + "a very long " * 20 + "thing.", "first sentence about rpc GetUser is too long"),
        ("Get a thing. Errors: not found.", "expected 'Errors: 404 no such user; ...', found 'not found'"),
    ],
)
def test_a_comment_that_is_no_docstring_is_refused(comment: str, text: str) -> None:
    """What is wrong with a comment is said with the rpc's name."""
    with pytest.raises(ValueError, match=text):
        topic_module("users", "Users", [Method(METHODS["GetUser"], comment)], "Generated")
