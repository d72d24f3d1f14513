"""The Plugin class: what a subclass binds, what it has before and after the runtime takes it over."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mm_plugin.exceptions import HookRegistrationError, ManifestError
from mm_plugin.hooks.decorator import hook
from mm_plugin.plugin.background import every
from mm_plugin.plugin.plugin import Attachment, Plugin, attach, commands_of, intervals_of
from mm_plugin.settings import RuntimeConfig
from tests.plugin.running import EmptyAPI


def test_implemented_hooks_are_the_authors_sorted() -> None:
    """What the runtime adds is not among them, and neither are the base's own methods."""

    class Guard(Plugin):
        def user_will_log_in(self, context: Any, user: Any) -> None: ...
        @hook("MessageWillBePosted")
        def screen(self, context: Any, post: Any) -> None: ...

    assert Plugin.implemented_hooks() == []
    assert Guard.implemented_hooks() == Guard().implemented_hooks() == ["MessageWillBePosted", "UserWillLogIn"]


def test_wrong_bindings_fail_at_the_class_statement() -> None:
    """The error comes when the class is created, before anything runs."""
    with pytest.raises(HookRegistrationError, match=r"Wrong\.user_will_log_in"):

        class Wrong(Plugin):
            def user_will_log_in(self, user: Any) -> None: ...  # type: ignore[override]


def test_a_subclass_may_have_its_own_init() -> None:
    """An __init__ without arguments that never calls super() is enough."""

    class Own(Plugin):
        def __init__(self) -> None:
            self.logger.debug("created")
            self.seen = 0

    plugin = Own()
    attach(plugin, Attachment(RuntimeConfig(plugin_id="x.y"), EmptyAPI()))
    assert plugin.plugin_id == "x.y"
    assert plugin.logger.name == "x.y"
    assert plugin.api is plugin.api


@pytest.mark.parametrize("name", ["api", "config", "manifest", "task_group"])
def test_what_the_runtime_gives_is_missing_before_it_with_a_reason(name: str) -> None:
    """Using it in __init__ raises a RuntimeError that says from when on it is there."""
    with pytest.raises(RuntimeError, match=f"Plugin.{name} is there once"):
        getattr(Plugin(), name)
    assert Plugin().plugin_id == ""
    assert Plugin().logger.name == "Plugin"


def test_the_manifest_is_read_from_the_bundle(tmp_path: Path) -> None:
    """Manifest is plugin.json of plugin_path; where there is none, ManifestError says so."""
    plugin = Plugin()
    attach(plugin, Attachment(RuntimeConfig(plugin_path=str(tmp_path)), EmptyAPI()))
    with pytest.raises(ManifestError):
        plugin.manifest  # noqa: B018 - reading it is the test
    (tmp_path / "plugin.json").write_text(
        json.dumps({"id": "com.example.x", "name": "X", "version": "1.0.0", "server": {"executable": "main.py"}})
    )
    assert plugin.manifest.id == "com.example.x"
    assert plugin.manifest is plugin.manifest


def test_an_authors_private_names_do_not_disturb_the_runtime() -> None:
    """What a class declares is read from the class, whatever its instances call their own."""

    class Own(Plugin):
        def __init__(self) -> None:
            vars(self).update(_commands={}, _declared_commands={"x": 1}, _declared_intervals={})

        @every(seconds=60)
        async def tick(self) -> None: ...

    plugin = Own()
    assert commands_of(plugin) == {}
    assert list(intervals_of(plugin)) == ["tick"]
