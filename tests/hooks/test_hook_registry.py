"""Binding methods to hooks: by name, by decorator, through inheritance, and every way to get it wrong."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import pytest

from mm_plugin.exceptions import HookRegistrationError
from mm_plugin.hooks.decorator import hook
from mm_plugin.hooks.names import HookName
from mm_plugin.hooks.policy import FailurePolicy
from mm_plugin.hooks.registry import Binding, collect_bindings


class Base:
    """Stands where Plugin stands: what it defines does not count."""

    def on_activate(self) -> Any: ...
    def message_will_be_posted(self, context: Any, post: Any) -> Any: ...


def bindings(cls: type) -> dict[str, str]:
    return {str(name): binding.attribute for name, binding in collect_bindings(cls, Base).items()}


def binding(cls: type, name: HookName) -> Binding:
    return collect_bindings(cls, Base)[name]


def test_the_base_binds_nothing() -> None:
    """A class that overrides nothing handles nothing."""

    class Empty(Base): ...

    assert bindings(Empty) == {}


def test_overriding_by_name_binds_async_and_blocking_methods() -> None:
    """Methods under a hook's method name count, whether async or not."""

    class Named(Base):
        async def on_activate(self) -> None: ...
        def user_will_log_in(self, context: Any, user: Any) -> None: ...
        def something_else(self) -> None: ...

    assert bindings(Named) == {"OnActivate": "on_activate", "UserWillLogIn": "user_will_log_in"}


def test_every_spelling_of_the_decorator_binds() -> None:
    """A name may be given as HookName, Go text, method text, or be the function's own in either spelling."""

    class Decorated(Base):
        @hook(HookName.OnInstall)
        def a(self, context: Any, event: Any) -> None: ...
        @hook("UserWillLogIn")
        def b(self, context: Any, user: Any) -> None: ...
        @hook("user_has_logged_in")
        def _c(self, context: Any, user: Any) -> None: ...
        @hook
        def on_activate(self) -> None: ...
        @hook()
        def OnDeactivate(self) -> None: ...  # noqa: N802 - a Go name is what this is about

    assert bindings(Decorated) == {
        "OnInstall": "a",
        "UserWillLogIn": "b",
        "UserHasLoggedIn": "_c",
        "OnActivate": "on_activate",
        "OnDeactivate": "OnDeactivate",
    }


def test_one_method_may_serve_several_hooks() -> None:
    """Stacked decorators bind one method to each of their hooks."""

    class Both(Base):
        @hook(HookName.UserHasJoinedChannel)
        @hook(HookName.UserHasLeftChannel)
        def moved(self, context: Any, channel_member: Any, actor: Any) -> None: ...

    assert bindings(Both) == {"UserHasJoinedChannel": "moved", "UserHasLeftChannel": "moved"}


def test_policies_come_from_the_decorator_or_the_row() -> None:
    """on_failure wins over the row's default."""

    class Policies(Base):
        @hook(on_failure=FailurePolicy.REJECT)
        def message_will_be_posted(self, context: Any, post: Any) -> None: ...
        def message_will_be_updated(self, context: Any, new_post: Any, old_post: Any) -> None: ...

    assert binding(Policies, HookName.MessageWillBePosted).on_failure is FailurePolicy.REJECT
    assert binding(Policies, HookName.MessageWillBeUpdated).on_failure is FailurePolicy.ALLOW


def test_a_subclass_keeps_binding_and_policy_of_a_method_it_overrides() -> None:
    """Overriding a decorated method without the decorator does not lose the hook."""

    class Parent(Base):
        @hook("MessageWillBePosted", on_failure=FailurePolicy.REJECT)
        def screen(self, context: Any, post: Any) -> None: ...

    class Child(Parent):
        def screen(self, context: Any, post: Any) -> None: ...

    assert bindings(Child) == {"MessageWillBePosted": "screen"}
    assert binding(Child, HookName.MessageWillBePosted).on_failure is FailurePolicy.REJECT


def test_a_subclass_replaces_a_handler_under_another_name() -> None:
    """A child that binds its parent's hook elsewhere replaces the parent's handler, by decorator or by name."""

    class Parent(Base):
        @hook("MessageWillBePosted")
        def screen(self, context: Any, post: Any) -> None: ...

    class ByDecorator(Parent):
        @hook("MessageWillBePosted")
        def filter(self, context: Any, post: Any) -> None: ...

    class ByName(Parent):
        def message_will_be_posted(self, context: Any, post: Any) -> None: ...

    assert bindings(ByDecorator) == {"MessageWillBePosted": "filter"}
    assert bindings(ByName) == {"MessageWillBePosted": "message_will_be_posted"}


def test_a_subclass_moves_or_gives_up_a_bound_method() -> None:
    """A new decorator on an overridden method moves it to another hook; None gives the hook up."""

    class Parent(Base):
        @hook("MessageHasBeenPosted")
        def seen(self, context: Any, post: Any) -> None: ...

    class Moved(Parent):
        @hook("MessageHasBeenDeleted")
        def seen(self, context: Any, post: Any) -> None: ...

    class Gone(Parent):
        seen = None  # type: ignore[assignment]

    assert bindings(Moved) == {"MessageHasBeenDeleted": "seen"}
    assert bindings(Gone) == {}


def test_mixins_bind_and_the_line_of_inheritance_decides() -> None:
    """Hooks of a mixin that is no Plugin count, and of methods with one name the nearer one runs, as always."""

    class Near:
        @hook("OnInstall")
        def install(self, context: Any, event: Any) -> None: ...

    class Far:
        @hook("OnInstall")
        def install(self, context: Any, event: Any) -> None: ...
        @hook("OnActivate")
        def start(self) -> None: ...

    class Mixed(Near, Far, Base): ...

    assert bindings(Mixed) == {"OnInstall": "install", "OnActivate": "start"}


def test_a_wrapping_decorator_keeps_the_mark() -> None:
    """functools.wraps carries the binding through another decorator."""

    def logged(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def wrapper(*args: Any) -> Any:
            return function(*args)

        return wrapper

    class Wrapped(Base):
        @logged
        @hook("OnInstall")
        def install(self, context: Any, event: Any) -> None: ...

    assert bindings(Wrapped) == {"OnInstall": "install"}


def test_any_callable_that_takes_the_arguments_will_do() -> None:
    """Static and class methods, partials and star parameters are counted by what they can be called with."""

    def free(_first: Any, context: Any, event: Any) -> None: ...

    class Callables(Base):
        user_has_been_created = functools.partialmethod(free)

        @staticmethod
        @hook("OnInstall")
        def static(context: Any, event: Any) -> None: ...
        @classmethod
        def user_has_logged_in(cls, context: Any, user: Any) -> None: ...
        def preferences_have_changed(self, *everything: Any) -> None: ...
        def message_has_been_posted(self, context: Any, post: Any, extra: int = 0) -> None: ...

        @hook("OnActivate")
        @staticmethod
        def start() -> None: ...

    assert len(bindings(Callables)) == 6


# -- what is refused ------------------------------------------------------------------------------------------


def refused(cls: type) -> str:
    with pytest.raises(HookRegistrationError) as caught:
        collect_bindings(cls, Base)
    return str(caught.value)


def test_an_unknown_hook_is_refused_with_the_nearest_names() -> None:
    """A typing error names the method and what may have been meant."""

    class Wrong(Base):
        @hook("MessageWillBePost")
        def screen(self, context: Any, post: Any) -> None: ...

    text = refused(Wrong)
    assert "Wrong.screen" in text
    assert "'MessageWillBePost'" in text
    assert "MessageWillBePosted" in text


def test_a_bare_decorator_takes_exact_names_only() -> None:
    """@hook on a function whose name is no hook's is refused, also far from any name."""

    class Wrong(Base):
        @hook
        def zzz(self) -> None: ...

    assert "there is no hook named 'zzz'" in refused(Wrong)


@pytest.mark.parametrize("name", ["ServeMetrics", "serve_metrics"])
def test_serve_metrics_is_refused_with_its_reason(name: str) -> None:
    """The server knows ServeMetrics but the wire does not, and the error says so."""

    class Wrong(Base):
        @hook(name)
        def metrics(self, request: Any, response: Any) -> None: ...

    assert "no rpc" in refused(Wrong)


def test_two_handlers_for_one_hook_are_refused() -> None:
    """The error names both methods."""

    class Wrong(Base):
        @hook("OnInstall")
        def first(self, context: Any, event: Any) -> None: ...
        def on_install(self, context: Any, event: Any) -> None: ...

    text = refused(Wrong)
    assert "Wrong.on_install" in text
    assert "Wrong.first" in text


@pytest.mark.parametrize(
    "method",
    [
        lambda self: None,
        lambda self, context: None,
        lambda self, context, post, more: None,
        lambda self, context, post, *, needed: None,
        staticmethod(lambda self, context, post: None),
    ],
)
def test_a_wrong_number_of_parameters_is_refused_with_the_signature(method: Any) -> None:
    """A handler that cannot take the hook's arguments is refused, with the signature that was expected."""
    wrong = type("Wrong", (Base,), {"message_will_be_posted": method})
    text = refused(wrong)
    assert "Wrong.message_will_be_posted" in text
    assert "def message_will_be_posted(self, context, post)" in text


def test_a_handler_that_is_no_method_is_refused() -> None:
    """A value or a property under a hook's name is a mistake, not a handler."""
    assert "must be a method, this is a int" in refused(type("Wrong", (Base,), {"on_activate": 5}))
    assert "must be a method" in refused(type("Wrong", (Base,), {"on_activate": property(lambda _: None)}))


def test_a_policy_the_row_cannot_express_is_refused() -> None:
    """The error names the policies the hook can express."""

    class Wrong(Base):
        @hook(on_failure=FailurePolicy.REJECT)
        def message_has_been_posted(self, context: Any, post: Any) -> None: ...

    text = refused(Wrong)
    assert "cannot express on_failure=REJECT" in text
    assert text.endswith("it can express ALLOW [MMP101]")


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("message_will_be_postd", "message_will_be_posted"),
        ("user_will_login", "user_will_log_in"),
        ("on_acivate", "on_activate"),
        ("MessageWillBePosted", "message_will_be_posted"),
    ],
)
def test_a_name_that_is_all_but_a_hooks_is_refused(name: str, meant: str) -> None:
    """A misspelled method would never be called; the error says which hook was meant and what else to do."""
    with pytest.raises(HookRegistrationError, match=rf"\.{name}: .*did you mean {meant}\?.*@hook.*underscore"):
        bindings(type("Misspelled", (Base,), {name: lambda self, context, post: None}))


@pytest.mark.parametrize("name", ["on_install_again", "serve_http2", "post_message", "users_who_left", "_on_acivate"])
def test_other_methods_are_the_authors_own(name: str) -> None:
    """A name that only begins like a hook's, or is unlike all of them, is left alone."""
    assert bindings(type("Own", (Base,), {name: lambda self: None})) == {}
