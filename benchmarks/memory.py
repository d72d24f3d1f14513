"""The memory of a process while it works: samples, and whether they lie flat."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

#: Share of the work after which a process counts as warm: arenas, pools and caches have their size by then.
WARM = 0.25
SAMPLES = 40


def resident_mb(pid: int | str = "self") -> float:
    """Return what a process holds now."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise KeyError("VmRSS")


@dataclass
class Course:
    """Memory over the work done.

    Attributes:
        of: How much work there is in all.
        samples: Work done and memory then, in MB.
    """

    of: int
    samples: list[tuple[int, float]] = field(default_factory=list[tuple[int, float]])

    def note(self, done: int, memory_mb: float) -> None:
        """Keep a sample."""
        self.samples.append((done, memory_mb))

    @property
    def warm(self) -> list[tuple[int, float]]:
        """The samples since the process was warm."""
        return [sample for sample in self.samples if sample[0] >= self.of * WARM]

    @property
    def ends(self) -> tuple[float, float]:
        """Memory at both ends of the straight line that fits the samples best."""
        warm = self.warm
        if len(warm) < 2:
            raise ValueError("two samples at least make a line")
        middle = sum(done for done, _ in warm) / len(warm)
        mean = sum(memory for _, memory in warm) / len(warm)
        slope = sum((done - middle) * (memory - mean) for done, memory in warm)
        slope /= sum((done - middle) ** 2 for done, _ in warm)
        return mean + slope * (warm[0][0] - middle), mean + slope * (warm[-1][0] - middle)

    @property
    def growth(self) -> float:
        """Growth along that line, as a share of its beginning."""
        first, last = self.ends
        return last / first - 1

    def __str__(self) -> str:
        first, last = self.ends
        per_million = (last - first) / (self.warm[-1][0] - self.warm[0][0]) * 1e6
        began, warm, ended = self.samples[0][1], self.warm[0][1], self.samples[-1][1]
        return (
            f"memory {began:.1f} MB, warm {warm:.1f}, at the end {ended:.1f}; "
            f"slope {per_million:+.2f} MB per million, {self.growth:+.1%} while warm"
        )
