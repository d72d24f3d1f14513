"""Rows of measurements, and how they are printed."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """One measurement: what, in which unit, how much, and the mark it is held against ("" where there is none)."""

    what: str
    unit: str
    value: float
    mark: str = ""


def print_table(columns: dict[str, list[Row]]) -> None:
    """Print measurements of the same things, one column for each key."""
    rows = list(zip(*columns.values(), strict=True))
    width = max(len(row[0].what) for row in rows)
    print(f"{'':{width}}  {'  '.join(f'{name:>12}' for name in columns)}  mark")
    for row in rows:
        cells = "  ".join(f"{f'{each.value:.1f} {each.unit}':>12}" for each in row)
        print(f"{row[0].what:{width}}  {cells}  {row[0].mark}")
