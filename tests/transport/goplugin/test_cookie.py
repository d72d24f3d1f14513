"""The cookie: hosts leave it, people who run the file by hand do not."""

from __future__ import annotations

import pytest

from mm_plugin.exceptions import ConfigurationError, NotMagicCookieError
from mm_plugin.transport.goplugin.cookie import check_cookie


def test_right_cookie_passes() -> None:
    """A process that its host started goes on."""
    check_cookie({"KEY": "value", "OTHER": "x"}, key="KEY", value="value")


@pytest.mark.parametrize("environ", [{}, {"KEY": ""}, {"key": "value"}])
def test_a_missing_cookie_says_that_this_is_a_plugin(environ: dict[str, str]) -> None:
    """The text tells a person what they started and what to do instead."""
    with pytest.raises(NotMagicCookieError, match=r"is a plugin.*run by hand"):
        check_cookie(environ, key="KEY", value="value")


def test_a_wrong_cookie_is_told() -> None:
    """Whoever writes a host reads what it sets and what it should."""
    with pytest.raises(NotMagicCookieError, match=r"Wrong cookie: .* KEY holds 'Value', .* sets it to 'value'"):
        check_cookie({"KEY": "Value"}, key="KEY", value="value")


@pytest.mark.parametrize(("key", "value"), [("", "value"), ("KEY", "")])
def test_empty_cookie_is_a_mistake_of_the_program(key: str, value: str) -> None:
    """An empty cookie would let any start through."""
    with pytest.raises(ConfigurationError, match="must not be empty"):
        check_cookie({"KEY": ""}, key=key, value=value)
