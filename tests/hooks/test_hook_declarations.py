"""What the class statement refuses of hooks: handlers that could be called, but not as their author means."""

from __future__ import annotations

from typing import Any

import pytest

from mm_plugin.exceptions import HookRegistrationError
from mm_plugin.hooks.decorator import hook
from mm_plugin.hooks.registry import collect_bindings


class Base:
    """Stands where Plugin stands."""


def refused(cls: type, *texts: str) -> None:
    """Check that a class is refused, and what the error says."""
    with pytest.raises(HookRegistrationError) as caught:
        collect_bindings(cls, Base)
    for text in texts:
        assert text in str(caught.value)


@pytest.mark.parametrize("name", ["serve_metrics", "ServeMetrics"])
def test_serve_metrics_by_name_is_refused_as_by_decorator(name: str) -> None:
    """The hook without an rpc is refused under its own name too, with the same words."""

    async def method(self: Any, request: Any, response: Any) -> None: ...

    refused(type("Metrics", (Base,), {name: method}), f"Metrics.{name}", "no rpc", "ServeHTTP")


def test_two_parents_that_bind_one_hook_are_refused() -> None:
    """Of two bases' handlers one would silently not run; a subclass of the binding class may replace it."""

    class One(Base):
        def user_will_log_in(self, context: Any, user: Any) -> None: ...

    class Two(Base):
        @hook("UserWillLogIn")
        def check(self, context: Any, user: Any) -> None: ...

    class Both(One, Two): ...

    class Child(One):
        @hook("UserWillLogIn")
        def better(self, context: Any, user: Any) -> None: ...

    refused(Both, "One.user_will_log_in", "Two.check", "keep one")
    assert [binding.attribute for binding in collect_bindings(Child, Base).values()] == ["better"]


def test_arguments_in_the_wrong_places_are_refused() -> None:
    """A parameter named as another argument of the hook would get the wrong value."""

    class Swapped(Base):
        def message_will_be_updated(self, context: Any, old_post: Any, new_post: Any) -> None: ...

    class Static(Base):
        @staticmethod
        def message_will_be_posted(post: Any, context: Any) -> None: ...

    class Renamed(Base):
        def message_will_be_updated(self, _c: Any, new: Any, old: Any) -> None: ...

    refused(Swapped, "Swapped.message_will_be_updated", "old_post would get new_post")
    refused(Static, "post would get context")
    assert collect_bindings(Renamed, Base)


def test_generators_are_refused() -> None:
    """A function that yields, async or not, has no result."""

    class Blocking(Base):
        def user_will_log_in(self, context: Any, user: Any) -> Any:
            yield

    class Async(Base):
        async def user_will_log_in(self, context: Any, user: Any) -> Any:
            yield

    refused(Blocking, "Blocking.user_will_log_in", "not yield")
    refused(Async, "Async.user_will_log_in", "not yield")


def test_decorator_arguments_of_a_wrong_type_are_refused_by_the_class() -> None:
    """A name that is no text and a policy that is none are named with class and method."""
    wrong: Any = 3
    text: Any = "REJECT"

    class Number(Base):
        @hook(wrong)  # type: ignore[untyped-decorator]
        def one(self) -> None: ...

    class Text(Base):
        @hook("UserWillLogIn", on_failure=text)
        def two(self, context: Any, user: Any) -> None: ...

    refused(Number, "Number.one", "not 3")
    refused(Text, "Text.two", "FailurePolicy", "'REJECT'")
