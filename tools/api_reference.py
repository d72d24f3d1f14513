"""The text of docs/reference/api.md: every method of the API with its signature, meaning and errors."""

from __future__ import annotations

import re

from tools.api_text import Method, docstring, head


def reference_page(topics: dict[str, tuple[str, list[Method]]], mark: str) -> str:
    """Return the page: one section for each topic, one entry for each method."""
    count = sum(len(methods) for _, methods in topics.values())
    lines = [f"<!-- {mark}; do not edit. -->", "", "# The server's API", ""]
    introduction = (
        f"All {count} methods of `PluginAPIClient`, which a plugin has at `self.api`: "
        "`await self.api.get_user(user_id)`. Blocking code in a worker thread calls the same at `self.api.sync`. "
        "Every method raises the errors of [API calls](errors.md#api-calls); those that a method is known for stand "
        "with it. How to call them: [API calls](../how-to/api-calls.md)."
    )
    lines += [introduction, ""]
    for title, methods in topics.values():
        lines += [f"## {title}", ""]
        for method in methods:
            lines += entry(method)
    return "\n".join(lines).rstrip() + "\n"


def entry(method: Method) -> list[str]:
    """Return the lines about one method."""
    signature = re.sub(r"^def |:(  # noqa.*)?$", "", head(method)).replace("(self, ", "(").replace("(self)", "()")
    text = re.sub(r'^"""|"""$', "", docstring(method)).strip()
    text, _, errors = text.partition("\n\nRaises:\n")
    text, _, arguments = text.partition("\n\nArgs:\n")
    lines = [f"### {method.row.name}", "", f"`{signature}`", "", " ".join(text.replace("``", "`").split()), ""]
    lines += [f"- {_item(line, '`{}`: {}')}" for line in arguments.splitlines()]
    lines += [""] if arguments else []
    if errors:
        lines += ["Raises: " + "; ".join(_item(line, "`{}`: {}").rstrip(".") for line in errors.splitlines()) + ".", ""]
    return lines


def _item(line: str, form: str) -> str:
    name, _, meaning = line.strip().partition(": ")
    return form.format(name, meaning)
