"""Handlers of the API are checked before they serve; the devserver's is one of them."""

from __future__ import annotations

from mm_plugin.devserver.api import DevServerAPI
from mm_plugin.testing.api_handlers import answered_methods, handler_problems


class Good:
    async def get_user(self, user_id: str) -> None: ...

    def kv_list(self, *, page: int, per_page: int = 5) -> None: ...

    def search_posts_in_team(self, **anything: object) -> None: ...

    def its_own_business(self) -> None: ...


class Bad:
    async def get_user(self, name: str) -> None: ...

    async def kv_set(self, key: str, value: bytes, /) -> None: ...

    async def get_chanel(self, channel_id: str) -> None: ...


def test_a_handler_that_fits_has_no_problems() -> None:
    """Methods that take what the API gives by keyword are fine, as are methods of other names."""
    assert handler_problems(Good()) == []
    assert answered_methods(Good) == ["get_user", "search_posts_in_team", "kv_list"]


def test_a_handler_that_would_fail_is_told_how() -> None:
    """Another parameter, a positional one and a misspelt name are each named with what was expected."""
    misspelt, user, kv_set = handler_problems(Bad())
    assert misspelt == "get_chanel is no API method; get_channel is one"
    assert user.startswith("get_user must take user_id by keyword: ")
    assert kv_set.startswith("kv_set must take key, value by keyword: ")


def test_properties_are_not_looked_at() -> None:
    """A handler's properties are its own code, which may not be ready to run."""

    class Early(Good):
        @property
        def store(self) -> None:
            raise RuntimeError("not open yet")

    assert handler_problems(Early()) == []


def test_the_devserver_takes_what_the_api_gives() -> None:
    """Every method of the devserver's handler can be called by name and keyword; it has the ones plugins use most."""
    assert handler_problems(object.__new__(DevServerAPI)) == []
    assert {"get_user", "create_post", "kv_compare_and_set"} <= set(answered_methods(DevServerAPI))
