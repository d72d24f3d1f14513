"""Draw the diagrams of docs/explanation/serve-http.md from the tables in wire/serve_http; ``--check`` compares."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import TypeAlias, cast

from mm_plugin.wire.serve_http import host_side, plugin_side

PAGE = Path(__file__).parent.parent / "docs" / "explanation" / "serve-http.md"
Table: TypeAlias = "Mapping[tuple[Enum, Enum], Enum]"
TABLES = {
    "plugin, request": cast("Table", plugin_side.REQUEST),
    "plugin, response": cast("Table", plugin_side.RESPONSE),
    "host, request": cast("Table", host_side.REQUEST),
    "host, response": cast("Table", host_side.RESPONSE),
}


def diagram(table: Table) -> str:
    """Return one table as a Mermaid diagram: events that lead the same way share an arrow."""
    arrows: dict[tuple[str, str], list[str]] = {}
    for (state, event), after in table.items():
        arrows.setdefault((state.name, after.name), []).append(event.name)
    first = next(iter(table))[0]
    lines = [f"    [*] --> {first.name}"]
    for (state_name, after_name), events in arrows.items():
        lines.append(f"    {state_name} --> {after_name}: {', '.join(events)}")
    return "\n".join(["```mermaid", "stateDiagram-v2", *lines, "```"])


def main() -> None:
    """Write the diagrams, or with ``--check`` exit 1 where the page has others."""
    text = PAGE.read_text()
    wanted = text
    for name, table in TABLES.items():
        begin, end = f"<!-- states: {name} -->", "<!-- end -->"
        pattern = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
        drawn = f"{begin}\n{diagram(table)}\n{end}"
        wanted, count = pattern.subn(lambda _, drawn=drawn: drawn, wanted)  # type: ignore[misc]
        if count != 1:
            sys.exit(f"{PAGE.name}: {count} places for the diagram {name!r}, expected one between {begin} and {end}")
    if "--check" in sys.argv:
        if wanted != text:
            sys.exit(f"{PAGE.name} has other state diagrams than wire/serve_http; run tools/http_states.py")
    elif wanted != text:
        PAGE.write_text(wanted)


if __name__ == "__main__":
    main()
