"""The key-value store against a model with a memory of its own."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given, settings, strategies as st

from mm_plugin.devserver.database import open_database
from mm_plugin.devserver.key_values import KeyValues

VALUES = st.sampled_from([b"", b"1", b"2"])


@dataclass(frozen=True)
class Step:
    """One thing that happens: ``what`` to a key of a plugin, or time that passes."""

    what: str
    plugin: str
    key: str
    old: bytes
    new: bytes
    seconds: int


STEPS = st.builds(
    Step,
    what=st.sampled_from(["set", "compare", "pass", "forget"]),
    plugin=st.sampled_from(["p", "q"]),
    key=st.sampled_from(["a", "b"]),
    old=VALUES,
    new=VALUES,
    seconds=st.sampled_from([0, 1, 5]),
)


class Model:
    """Two dicts: what is kept, and until when."""

    def __init__(self) -> None:
        self.now_ms = 1
        self.kept: dict[tuple[str, str], bytes] = {}
        self.ends: dict[tuple[str, str], int] = {}

    def get(self, plugin: str, key: str) -> bytes:
        place = (plugin, key)
        if place in self.ends and self.ends[place] <= self.now_ms:
            self.set(plugin, key, b"", 0)
        return self.kept.get(place, b"")

    def set(self, plugin: str, key: str, value: bytes, seconds: int) -> None:
        place = (plugin, key)
        self.kept.pop(place, None)
        self.ends.pop(place, None)
        if value:
            self.kept[place] = value
            if seconds:
                self.ends[place] = self.now_ms + seconds * 1000

    def compare_and_set(self, step: Step) -> bool:
        if self.get(step.plugin, step.key) != step.old or (not step.old and not step.new):
            return False
        self.set(step.plugin, step.key, step.new, step.seconds)
        return True


@settings(max_examples=40)
@given(st.lists(STEPS, max_size=25))
async def test_the_store_follows_the_model(steps: list[Step]) -> None:
    """Whatever happens in whatever order, store and model hold the same for every plugin and key."""
    model = Model()
    async with open_database() as database:
        values = KeyValues(database, lambda: model.now_ms)
        await database.run(values.create)
        for step in steps:
            match step.what:
                case "set":
                    await values.set(step.plugin, step.key, step.new, expire_in_s=step.seconds)
                    model.set(step.plugin, step.key, step.new, step.seconds)
                case "compare":
                    done = await values.compare_and_set(
                        step.plugin, step.key, step.old, step.new, expire_in_s=step.seconds
                    )
                    assert done == model.compare_and_set(step)
                case "pass":
                    model.now_ms += step.seconds * 1000
                case _:
                    await values.delete_all(step.plugin)
                    for key in "ab":
                        model.set(step.plugin, key, b"", 0)
            for plugin in "pq":
                wanted = {key: model.get(plugin, key) for key in "ab"}
                assert {key: await values.get(plugin, key) for key in "ab"} == wanted
                assert await values.keys(plugin) == [key for key in "ab" if wanted[key]]
