"""Checked by mypy and pyright, never run: settings, background work, commands and interceptors as authors write them.

A line that must be refused carries a ``type: ignore``, which strict checkers refuse in turn where it is not needed;
every other line must pass.
"""

# pyright: reportUnnecessaryTypeIgnoreComment=true
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, assert_type

from mm_plugin import (
    CallInfo,
    CallNext,
    CommandArgs,
    Interceptor,
    OnCrash,
    Plugin,
    Setting,
    command,
    every,
    run_plugin,
    settings_schema_of,
)


@dataclass
class Settings:
    """Settings of an author."""

    word: Annotated[str, Setting(help_text="Refused.", type="text")] = ""


class Mine(Plugin[Settings]):
    """A plugin with settings."""

    async def on_activate(self) -> None:
        assert_type(self.settings, Settings)
        assert_type(self.settings.word, str)
        self.logger.info(self.settings.missing)  # type: ignore[attr-defined]
        self.start_soon(self.work, "a", 1, on_crash=OnCrash.RESTART, name="work")
        self.start_soon(self.block, "a")
        self.start_soon(self.work, 1, "a")  # type: ignore[arg-type]
        self.start_soon(self.work, "a")  # type: ignore[arg-type]
        self.start_soon(self.block, "a", on_crash="restart")  # type: ignore[arg-type]

    async def work(self, name: str, count: int) -> None: ...

    def block(self, name: str) -> None: ...

    async def on_settings_change(self, old: Settings, new: Settings) -> None: ...

    def interceptors(self) -> Sequence[Interceptor]:
        return (self.watch, Timer())

    async def watch(self, call: CallInfo, call_next: CallNext) -> object:
        assert_type(call.name, str)
        assert_type(call.deadline, float | None)
        return await call_next()

    @every(seconds=5, at_start=False)
    async def tick(self) -> None: ...

    @every(seconds=5)
    def tock(self) -> None: ...

    @command("remind", description="Remind me")
    async def remind(self, args: CommandArgs, when: int, *text: str, urgent: bool = False) -> str:
        return f"{when} {text} {urgent} {args.user_id}"

    async def uses(self, args: CommandArgs) -> None:
        assert_type(await self.remind(args, 5, "a"), str)
        await self.tick()
        self.tock()
        await self.remind(args, "5")  # type: ignore[arg-type]


class Blocking(Plugin[Settings]):
    """The same, blocking."""

    def on_settings_change(self, old: Settings, new: Settings) -> None:
        assert_type(new.word, str)


class Wrong(Plugin[Settings]):
    """Wrong signatures."""

    async def on_settings_change(self, old: int, new: int) -> None: ...  # type: ignore[override]

    def interceptors(self) -> Sequence[Interceptor]:
        return (self.narrow,)  # type: ignore[return-value]

    async def narrow(self, call: CallInfo) -> None: ...


class Timer:
    """An interceptor that is an object."""

    async def __call__(self, call: CallInfo, call_next: CallNext) -> object:
        return await call_next()


class Plain(Plugin):
    """A plugin without settings stays valid."""

    async def on_activate(self) -> None:
        assert_type(self.settings, object)


Setting(type="checkbox")  # type: ignore[arg-type]
every(at_start=True)  # type: ignore[call-arg]
command(5)  # type: ignore[arg-type]
settings_schema_of(Settings())  # type: ignore[arg-type]


def start(plugins: Sequence[Plugin]) -> None:
    """Every plugin is a Plugin, whatever its settings."""
    run_plugin(Mine)
    run_plugin(Plain)
    start([Mine(), Plain()])
