"""The text of a module that calls every API method with typed arguments, for the type checkers to judge."""

from __future__ import annotations

from mm_plugin.api.table import Kind, Parameter
from tools.api_text import RESULT_CLASSES, Method, messages_of, module_of, plain_type, return_type

_SCALARS = {"str": '"x"', "bytes": 'b"x"', "bool": "True", "int": "1"}


def typed_calls_module(topics: dict[str, list[Method]], mark: str) -> str:
    """Return the module: one function, one call and the type of its result for each method."""
    lines = ['"""Call every API method by both doors; mypy and pyright prove the types, nothing runs it.']
    lines += ["", f"{mark}; do not edit.", '"""', "", "from __future__ import annotations", ""]
    lines += ["from typing import assert_type", ""]
    messages = [message for methods in topics.values() for method in methods for message in messages_of(method)]
    lines += sorted({f"from {module_of(message.file.name)} import {message.name}" for message in messages})
    tuples = {
        topic: RESULT_CLASSES[m.row.rpc] for topic, ms in topics.items() for m in ms if m.row.rpc in RESULT_CLASSES
    }
    lines += [f"from mm_plugin.api.{topic} import {name}" for topic, name in tuples.items()]
    lines += ["from mm_plugin.api.client import PluginAPIClient", "from mm_plugin.types import JSONValue"]
    for head, way in (("async def call", "await api."), ("def block_on", "api.sync.")):
        lines += ["", f"{head}_every_method(api: PluginAPIClient) -> None:"]
        for topic, methods in topics.items():
            lines += [f"    # {topic}", *(_call(method, way) for method in methods)]
    return "\n".join(lines) + "\n"


def _call(method: Method, way: str) -> str:
    parameters = method.row.parameters
    given = [_argument(method, parameter) for parameter in parameters if not parameter.keyword_only]
    given += [f"{p.name}={_argument(method, p)}" for p in parameters if p.keyword_only]
    call, returned = f"{way}{method.row.name}({', '.join(given)})", return_type(method)
    return f"    {call}" if returned == "None" else f"    assert_type({call}, {returned})"


def _argument(method: Method, parameter: Parameter) -> str:
    kind = plain_type(method.request_field(parameter.name))
    one = _SCALARS.get(kind, f"{kind}()")
    match parameter.kind:
        case Kind.LIST:
            return f"[{one}]"
        case Kind.MAP:
            return '{"k": "x"}'
        case Kind.STRUCT | Kind.JSON | Kind.PAIRS:
            return '{"k": [1, "x", None]}'
        case _:
            return one
