"""Changes that a plugin makes in its own bundle while it starts do not restart it for ever."""

from __future__ import annotations

from pathlib import Path

from hypothesis import settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from mm_plugin import limits
from mm_plugin.devserver.own_files import OwnFiles

LATER_S = limits.devserver_own_files_s + 1


def test_the_second_start_in_a_row_tells() -> None:
    """The first start's writing restarts it once; the second's is known for its own and told once."""
    told: list[str] = []
    own = OwnFiles(told.append)
    own.start_ends(10)
    first, second = Path("state/one.json"), Path("state/two.json")
    assert own.sift([first], 10.1) == {first}
    own.start_begins()
    assert own.sift([second], 10.2) == set()
    own.start_ends(10.3)
    assert own.sift([first, Path("plugin.py")], 10.4) == {Path("plugin.py")}
    assert told == ["state/"]


def test_an_author_is_heard_again() -> None:
    """Outside of a start everything counts, in a known place too; and a start that did not write begins anew."""
    told: list[str] = []
    own = OwnFiles(told.append)
    page = Path("page.html")
    own.start_ends(0)
    own.sift([page], 0.1)
    own.start_begins()
    assert own.sift([page], 0.2) == set()
    own.start_ends(1)
    assert own.sift([page], 1 + LATER_S) == {page}
    own.start_begins()
    own.start_ends(10)
    own.start_begins()
    assert own.sift([page], 11) == {page}
    assert told == ["*.html"]


class OwnFilesMachine(RuleBasedStateMachine):
    """Any order of starts and changes; the model remembers for itself which start saw which place."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[str] = []
        self.own = OwnFiles(self.told.append)
        self.now = 0.0
        self.starts: list[set[str]] = [set()]
        self.ended_at: float | None = 0.0
        self.own.start_ends(0.0)

    @rule()
    def begin(self) -> None:
        self.starts.append(set())
        self.ended_at = None
        self.own.start_begins()

    @rule()
    def end(self) -> None:
        self.ended_at = self.now
        self.own.start_ends(self.now)

    @rule(seconds=st.sampled_from([0.0, 0.1, LATER_S]))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule(name=st.sampled_from(["a/x", "a/y", "b.txt", "c.txt", "plugin.py", "a/z.py", "plugin.json", "README"]))
    def change(self, name: str) -> None:
        path = Path(name)
        found = self.own.sift([path], self.now)
        during = self.ended_at is None or self.now <= self.ended_at + limits.devserver_own_files_s
        if not during or path.suffix == ".py" or name == "plugin.json":
            assert found == {path}
            return
        place = "a/" if name.startswith("a/") else f"*{path.suffix}" if path.suffix else name
        self.starts[-1].add(place)
        own = len(self.starts) > 1 and place in self.starts[-2]
        assert found == (set() if own else {path})
        assert not own or place in self.told

    @invariant()
    def each_place_is_told_once(self) -> None:
        assert len(self.told) == len(set(self.told))


TestOwnFiles = OwnFilesMachine.TestCase
TestOwnFiles.settings = settings(max_examples=50, stateful_step_count=30, deadline=None)
