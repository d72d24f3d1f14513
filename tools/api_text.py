"""The text of the generated API client: one module for each topic, one method for each rpc."""

from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass
from functools import cached_property

from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor

from mm_plugin.api.table import REQUIRED, APIMethod, Kind, Parameter, describe
from tools.api_words import PARAMETERS

#: Methods with more than one result, and what their named tuple is called.
RESULT_CLASSES = {"GetEmojiImage": "EmojiImage", "PluginHTTP": "PluginHTTPResult"}
#: Methods whose one message may be missing although nothing failed.
OPTIONAL_RESULTS = frozenset({"UploadData"})
#: Octets for which None may stand.
NONE_FOR_EMPTY = frozenset({"KVCompareAndSet.old_value"})
#: Names that hide a builtin; ruff wants to be told.
BUILTINS = frozenset({"id"})

ERROR_CLASSES = {
    "400": "ValidationError",
    "401": "UnauthenticatedError",
    "403": "PermissionDeniedError",
    "404": "NotFoundError",
    "409": "AlreadyExistsError",
    "413": "TooLargeError",
    "429": "RateLimitedError",
    "503": "UnavailableError",
}
SCALARS = {
    FieldDescriptor.TYPE_STRING: "str",
    FieldDescriptor.TYPE_BYTES: "bytes",
    FieldDescriptor.TYPE_BOOL: "bool",
    FieldDescriptor.TYPE_INT32: "int",
    FieldDescriptor.TYPE_INT64: "int",
}
WIDTH = 120


@dataclass(frozen=True)
class Method:
    """One rpc with its comment."""

    descriptor: MethodDescriptor
    comment: str

    @cached_property
    def row(self) -> APIMethod:
        """Names, parameters and results."""
        return describe(self.descriptor)

    def request_field(self, name: str) -> FieldDescriptor:
        """The field of a parameter."""
        field: FieldDescriptor = self.descriptor.input_type.fields_by_name[name]
        return field

    def response_field(self, name: str) -> FieldDescriptor:
        """The field of a result."""
        field: FieldDescriptor = self.descriptor.output_type.fields_by_name[name]
        return field


def class_of(topic: str) -> str:
    """Return the mixin's name: UserProfilesAPI for user_profiles."""
    return {"kv": "KV", "oauth": "OAuth"}.get(topic, "".join(word.title() for word in topic.split("_"))) + "API"


def client_module(topics: dict[str, tuple[str, str]], mark: str) -> str:
    """Return the module that joins all topics."""
    lines = ['"""All methods of the API in one class.', "", f"{mark}; do not edit.", '"""']
    lines += ["", "from __future__ import annotations"]
    lines += ["", *(f"from mm_plugin.api.{topic} import {class_of(topic)}" for topic in topics)]
    lines += ["", '__all__ = ("APIMethods",)', "", f"class APIMethods({', '.join(map(class_of, topics))}):"]
    lines += ['    """What a plugin may ask of the server: one method for each rpc of the contract."""']
    return "\n".join(lines) + "\n"


def topic_module(topic: str, title: str, methods: list[Method], mark: str) -> str:
    """Return the module of one topic.

    Raises:
        ValueError: A comment or a parameter's description is missing or too long.
    """
    tuples = [method for method in methods if len(method.row.results) > 1]
    names = [class_of(topic), *(RESULT_CLASSES[method.row.rpc] for method in tuples)]
    used = [message for method in methods for message in messages_of(method)]
    imports = {f"    from {module_of(message.file.name)} import {message.name}" for message in used}
    body = "\n".join(method_text(method) for method in methods)
    lines = [f'"""{title}.', "", f"{mark}; do not edit.", '"""', "", "from __future__ import annotations", ""]
    lines += ["from collections.abc import Iterable, Mapping", "from typing import TYPE_CHECKING, NamedTuple", ""]
    lines += ["from mm_plugin.api._call import APICore, build, texts, unwrap"]
    lines += ["from mm_plugin.messages.structs import dict_of_struct, fill_pairs, fill_struct, json_octets", ""]
    inner = sorted(imports) + (["    from mm_plugin.types import JSONValue"] if "JSONValue" in body else [])
    lines += ["if TYPE_CHECKING:", *inner, ""] if inner else []
    lines += [f"__all__ = ({', '.join(repr(name) for name in sorted(names))},)", ""]
    for method in tuples:
        lines += [f"class {RESULT_CLASSES[method.row.rpc]}(NamedTuple):"]
        lines += [f'    """What ``{method.row.name}`` returns."""', ""]
        lines += [f"    {item.name}: {result_type(method, item.name, item.kind)}" for item in method.row.results]
        lines += [""]
    lines += [f"class {class_of(topic)}(APICore):", f'    """{title}."""', "", body]
    return "\n".join(lines) + "\n"


def messages_of(method: Method) -> list[Descriptor]:
    """Return the messages that the method's signature names."""
    row = method.row
    fields = [method.request_field(parameter.name) for parameter in row.parameters]
    fields += [method.response_field(result.name) for result in row.results]
    kinds = [*(parameter.kind for parameter in row.parameters), *(result.kind for result in row.results)]
    return [
        field.message_type
        for field, kind in zip(fields, kinds, strict=True)
        if kind in {Kind.MESSAGE, Kind.LIST} and field.message_type is not None
    ]


def module_of(file: str) -> str:
    """Return the generated module of a .proto file."""
    return "mm_plugin._proto." + file.rpartition("/")[2].removesuffix(".proto") + "_pb2"


# -- types ----------------------------------------------------------------------------------------------------


def plain_type(field: FieldDescriptor) -> str:
    """Return the type of one value of a field."""
    return field.message_type.name if field.message_type is not None else SCALARS[field.type]


def parameter_type(method: Method, parameter: Parameter) -> str:
    """Return the annotation of a parameter."""
    field = method.request_field(parameter.name)
    match parameter.kind:
        case Kind.LIST:
            text = f"Iterable[{plain_type(field)}]"
        case Kind.MAP:
            text = "Mapping[str, str]"
        case Kind.STRUCT | Kind.PAIRS:
            text = "Mapping[str, object]"  # typed dicts are no Mapping[str, JSONValue]
        case Kind.JSON:
            text = "Mapping[str, object] | bytes"
        case _:
            text = plain_type(field)
    none = parameter.default is None or f"{method.row.rpc}.{parameter.name}" in NONE_FOR_EMPTY
    return f"{text} | None" if none else text


def result_type(method: Method, name: str, kind: Kind) -> str:
    """Return the type of one result."""
    field = method.response_field(name)
    match kind:
        case Kind.LIST:
            return f"list[{plain_type(field)}]"
        case Kind.MAP:
            return "dict[str, str]"
        case Kind.STRUCT:
            return "dict[str, JSONValue]"
        case _:
            return plain_type(field)


# -- one method -----------------------------------------------------------------------------------------------


def method_text(method: Method) -> str:
    """Return one method of the client."""
    row = method.row
    request, response = method.descriptor.input_type.name, method.descriptor.output_type.name
    lines = [f"    async {head(method)}"]
    lines += textwrap.indent(docstring(method), " " * 8).splitlines()
    lines += [f"        from {module_of(method.descriptor.input_type.file.name)} import {request}, {response}", ""]
    direct = [parameter for parameter in row.parameters if parameter.kind not in {Kind.STRUCT, Kind.PAIRS}]
    fields = [request, *(f"{parameter.name}={argument(method, parameter)}" for parameter in direct)]
    lines += [f"        request = build({', '.join(fields)})"]
    for p in row.parameters:
        if p.kind is Kind.STRUCT:
            lines += [f'        fill_struct(request.{p.name}, {p.name}, "{p.name}")']
        elif p.kind is Kind.PAIRS:
            lines += [f'        fill_pairs(request.{p.name}, {p.name} or {{}}, "{p.name}")']
    call = f'await self._call("{row.rpc}", request, {response})'
    lines += [f"        response = {call}" if row.results else f"        {call}"]
    lines += [f"        return {returning(method)}"] if row.results else []
    return "\n".join(lines) + "\n"


def head(method: Method) -> str:
    """Return the method's name, parameters and result, as both doors have them."""
    row = method.row
    keywords = [declaration(method, parameter) for parameter in row.parameters if parameter.keyword_only]
    given = [declaration(method, parameter) for parameter in row.parameters if not parameter.keyword_only]
    signature = ", ".join(["self", *given, *(["*", *keywords] if keywords else [])])
    hides = any(parameter.name in BUILTINS for parameter in row.parameters)
    noqa = "  # noqa: A002 - the wire's own name" if hides else ""
    return f"def {row.name}({signature}) -> {return_type(method)}:{noqa}"


def declaration(method: Method, parameter: Parameter) -> str:
    """Return a parameter as it stands in the signature."""
    text = f"{parameter.name}: {parameter_type(method, parameter)}"
    return text if parameter.default is REQUIRED else f"{text} = {parameter.default!r}"


def argument(method: Method, parameter: Parameter) -> str:
    """Return what the request's field is built from."""
    name = parameter.name
    if f"{method.row.rpc}.{name}" in NONE_FOR_EMPTY:
        return f'{name} or b""'
    match parameter.kind:
        case Kind.LIST if plain_type(method.request_field(name)) == "str":
            return f'texts({name}, "{name}")'
        case Kind.MAP if parameter.default is None:
            return f"{name} or {{}}"
        case Kind.JSON:
            return f'json_octets({name}, "{name}")'
        case _:
            return name


def return_type(method: Method) -> str:
    """Return the annotation of the method's result."""
    row = method.row
    if not row.results:
        return "None"
    if len(row.results) > 1:
        return RESULT_CLASSES[row.rpc]
    text = result_type(method, row.results[0].name, row.results[0].kind)
    return f"{text} | None" if row.rpc in OPTIONAL_RESULTS else text


def returning(method: Method) -> str:
    """Return the expression that makes the method's result of the response."""
    row = method.row
    if len(row.results) > 1:
        return f"{RESULT_CLASSES[row.rpc]}({', '.join(f'{r.name}={unwrapped(r.name, r.kind)}' for r in row.results)})"
    name, kind = row.results[0].name, row.results[0].kind
    value, is_set = unwrapped(name, kind), f'response.HasField("{name}")'
    if row.rpc in OPTIONAL_RESULTS:
        return f"{value} if {is_set} else None"
    return f"unwrap({value}, {is_set})" if kind in {Kind.MESSAGE, Kind.STRUCT} else value


def unwrapped(name: str, kind: Kind) -> str:
    """Return the expression for one field of the response."""
    wrapper = {Kind.LIST: "list", Kind.MAP: "dict", Kind.STRUCT: "dict_of_struct"}.get(kind)
    return f"{wrapper}(response.{name})" if wrapper else f"response.{name}"


# -- its docstring --------------------------------------------------------------------------------------------


def docstring(method: Method) -> str:
    """Return the docstring: summary and rest of the comment, Args, Raises."""
    rpc = method.row.rpc
    summary, rest, errors = said(method)
    sections = [summary]
    if rest:
        sections += ["", *textwrap.wrap(in_python(rest, method.descriptor), WIDTH - 8)]
    if method.row.parameters:
        sections += ["", "Args:", *(f"    {p.name}: {meaning(rpc, p.name)}" for p in method.row.parameters)]
    if errors:
        sections += ["", "Raises:", *(f"    {line}" for line in raised(rpc, errors))]
    return '"""' + "\n".join(sections) + ('\n"""' if len(sections) > 1 else '"""')


def said(method: Method) -> tuple[str, str, str]:
    """Return the first sentence of an rpc's comment, the rest, and what it says about errors."""
    rpc = method.row.rpc
    text, _, errors = " ".join(method.comment.split()).partition("Errors: ")
    summary, _, rest = text.strip().partition(". ")
    if not summary:
        raise ValueError(f"api.proto: rpc {rpc} has no comment; say above it what it does")
    summary = summary.removesuffix(".") + "."
    if len(summary) > WIDTH - 14:
        raise ValueError(f"api.proto: the first sentence about rpc {rpc} is too long for a docstring's first line")
    return summary, rest, errors


def in_python(text: str, descriptor: MethodDescriptor) -> str:
    """Return a text about rpcs with Python's words for them."""
    rpcs = descriptor.containing_service.methods_by_name
    words: dict[str, str] = {"true": "True", "false": "False"}
    words |= {name: f"``{describe(rpc).name}``" for name, rpc in rpcs.items()}
    return re.sub(r"\b(?<!-)\w+\b", lambda word: words.get(word[0], word[0]), text)


def meaning(rpc: str, name: str) -> str:
    """Return what a parameter means."""
    text = PARAMETERS.get(f"{rpc}.{name}") or PARAMETERS.get(name)
    if text is None:
        raise ValueError(f"tools/api_words.py says nothing about {name} of {rpc}")
    return text


def raised(rpc: str, errors: str) -> list[str]:
    """Return the lines of the section Raises."""
    lines: list[str] = []
    for part in errors.removesuffix(".").split("; "):
        match = re.fullmatch(r"(\d{3})(?: or (\d{3}))? (.+)", part)
        if match is None:
            raise ValueError(f"api.proto: rpc {rpc}: expected 'Errors: 404 no such user; ...', found {part!r}")
        text = match[3][0].upper() + match[3][1:] + "."
        for status in filter(None, (match[1], match[2])):
            known = ERROR_CLASSES.get(status)
            lines.append(f"{known}: {text}" if known else f"PluginAPIError: {text} (HTTP {status})")
    return lines
