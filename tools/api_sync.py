"""The text of the blocking API: one module for each topic, one method for each rpc, all run by the client."""

from __future__ import annotations

from tools.api_text import RESULT_CLASSES, Method, class_of, head, messages_of, module_of, said

FOLDER = "mm_plugin.api.sync"


def sync_client_module(topics: dict[str, tuple[str, str]], mark: str) -> str:
    """Return the module that joins all topics."""
    names = [f"Sync{class_of(topic)}" for topic in topics]
    lines = ['"""All methods of the API for blocking code, in one class.', "", f"{mark}; do not edit.", '"""']
    lines += ["", "from __future__ import annotations"]
    lines += ["", *(f"from {FOLDER}.{topic} import {name}" for topic, name in zip(topics, names, strict=True))]
    lines += ["", '__all__ = ("SyncAPIMethods",)', "", f"class SyncAPIMethods({', '.join(names)}):"]
    lines += ['    """What blocking code in a worker thread may ask of the server, at ``api.sync``.', ""]
    lines += ["    Names, parameters, results and errors are those of PluginAPIClient; each call blocks its thread."]
    lines += ['    """']
    return "\n".join(lines) + "\n"


def sync_module(topic: str, title: str, methods: list[Method], mark: str) -> str:
    """Return the module of one topic."""
    used = [message for method in methods for message in messages_of(method)]
    imports = {f"    from {module_of(message.file.name)} import {message.name}" for message in used}
    tuples = [RESULT_CLASSES[method.row.rpc] for method in methods if len(method.row.results) > 1]
    imports |= {f"    from mm_plugin.api.{topic} import {name}" for name in tuples}
    body = "\n".join(method_text(method) for method in methods)
    imports |= {"    from mm_plugin.types import JSONValue"} if "JSONValue" in body else set()
    name = f"Sync{class_of(topic)}"
    lines = [f'"""{title}; for blocking code.', "", f"{mark}; do not edit.", '"""', ""]
    lines += ["from __future__ import annotations", "", "from collections.abc import Iterable, Mapping"]
    lines += ["from typing import TYPE_CHECKING", "", f"from {FOLDER}._run import SyncCore", ""]
    lines += ["if TYPE_CHECKING:", *sorted(imports), ""] if imports else []
    lines += [f'__all__ = ("{name}",)', "", f"class {name}(SyncCore):", f'    """{title}; for blocking code."""', ""]
    return "\n".join(lines) + "\n" + body + "\n"


def method_text(method: Method) -> str:
    """Return one method."""
    row = method.row
    given = [p.name for p in row.parameters if not p.keyword_only]
    given += [f"{p.name}={p.name}" for p in row.parameters if p.keyword_only]
    call = f"self._run({', '.join([f'self._api.{row.name}', *given])})"
    lines = [f"    {head(method)}", f'        """{said(method)[0]}"""']
    lines += [f"        {'return ' if row.results else ''}{call}"]
    return "\n".join(lines) + "\n"
