"""The API's methods as data: rpc, Python name, parameters with their defaults, results.

Job:    derive one row for each rpc from the contract's descriptors and the rules of naming and defaults below.
Layer:  api. ``tools/generate_api.py`` writes the client from these rows, ``host/api_receiver.py`` dispatches by them,
        docs and parity tests read them. The client itself does not: it is generated, so that it starts fast.
Output: ``api_table()``, built once, when first asked; it loads every message of the API.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, unique
from functools import cache
from types import MappingProxyType
from typing import TYPE_CHECKING

from mm_plugin.api._call import OPTIONS_FIELDS

if TYPE_CHECKING:
    from google.protobuf.descriptor import FieldDescriptor, MethodDescriptor

__all__ = ("REQUIRED", "APIMethod", "Kind", "Parameter", "Result", "api_table", "describe", "kind_of")


@unique
class Kind(Enum):
    """How a field looks in Python."""

    SCALAR = "str, int, bool or bytes"
    MESSAGE = "a message, None where unset"
    STRUCT = "a dict"
    JSON = "octets of JSON; a mapping is taken too"
    PAIRS = "a dict, on the wire a list of KeyValuePair"
    LIST = "a list"
    MAP = "a dict of str to str"


class _Required(Enum):
    REQUIRED = "required"


#: The default of a parameter that has none.
REQUIRED = _Required.REQUIRED

Default = _Required | str | int | bool | bytes | tuple[()] | None


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a method; its name is the request field's."""

    name: str
    kind: Kind
    default: Default = REQUIRED
    keyword_only: bool = False


@dataclass(frozen=True, slots=True)
class Result:
    """One field of a response; its name is the response field's."""

    name: str
    kind: Kind


@dataclass(frozen=True, slots=True)
class APIMethod:
    """One rpc of the API.

    Attributes:
        rpc: The rpc's name, such as ``GetUser``.
        name: The Python method's name.
        parameters: In the request's order.
        results: None: the method returns None; one: it is returned itself; more: a named tuple.
        embeds_errors: The Go host answers errors inside the response, not as a status.
    """

    rpc: str
    name: str
    parameters: tuple[Parameter, ...]
    results: tuple[Result, ...]
    embeds_errors: bool


@cache
def api_table() -> Mapping[str, APIMethod]:
    """Return the row of every rpc, by the rpc's name and in the contract's order."""
    from mm_plugin._proto import api_pb2

    methods = api_pb2.DESCRIPTOR.services_by_name["PluginAPI"].methods
    return MappingProxyType({method.name: describe(method) for method in methods})


def describe(method: MethodDescriptor) -> APIMethod:
    """Return the row of one rpc."""
    file = method.input_type.file.name.rpartition("/")[2]
    return APIMethod(
        rpc=method.name,
        name=_python_name(method.name),
        parameters=tuple(_parameter(method.name, field) for field in method.input_type.fields),
        results=tuple(
            Result(field.name, kind_of(field)) for field in method.output_type.fields if field.name != "error"
        ),
        embeds_errors=file in _EMBEDDING_FILES and method.name not in _NOT_EMBEDDING,
    )


def kind_of(field: FieldDescriptor) -> Kind:
    """Return how a field looks in Python."""
    message = field.message_type
    if message is None:
        if field.is_repeated:
            return Kind.LIST
        return Kind.JSON if field.type == field.TYPE_BYTES and field.name.endswith("_json") else Kind.SCALAR
    if message.GetOptions().map_entry:
        return Kind.MAP
    if field.is_repeated:
        return Kind.PAIRS if message.name == "KeyValuePair" else Kind.LIST
    return Kind.STRUCT if message.full_name == "google.protobuf.Struct" else Kind.MESSAGE


# -- names ----------------------------------------------------------------------------------------------------

#: Words that no rule about capitals finds.
_NAMES = {
    "PublishWebSocketEvent": "publish_websocket_event",
    "CreateOAuthApp": "create_oauth_app",
    "GetOAuthApp": "get_oauth_app",
    "UpdateOAuthApp": "update_oauth_app",
    "DeleteOAuthApp": "delete_oauth_app",
}
_WORD_START = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


def _python_name(rpc: str) -> str:
    return _NAMES.get(rpc) or _WORD_START.sub("_", rpc).lower()


# -- defaults -------------------------------------------------------------------------------------------------

#: Keyword-only wherever they occur.
_KEYWORD_DEFAULTS: dict[str, Default] = {
    "page": 0,
    "per_page": 60,
    "limit": 100,
    "include_deleted": False,
    "share_if_not_shared": False,
    **dict.fromkeys(OPTIONS_FIELDS),
}
#: May be given by position too.
_DEFAULTS: dict[str, Default] = {
    "requestor_id": "",
    "as_user_id": "",
    "parent_id": "",
    "key_value_pairs": None,
    "PluginHTTP.headers": None,
    "PluginHTTP.body": b"",
    "GetEmojiList.sort_by": "",
}
_KEYWORD_DEFAULTS_OF: dict[str, Default] = {"KVList.per_page": 100, "GetUsersInChannel.sort_by": ""}
#: Long lists of filters: all but these are keyword-only and default to "no restriction".
_FILTERING = {"GetUsers": frozenset[str](), "SearchUsers": frozenset({"term"})}


def _parameter(rpc: str, field: FieldDescriptor) -> Parameter:
    name, kind = field.name, kind_of(field)
    place = f"{rpc}.{name}"
    if place in _KEYWORD_DEFAULTS_OF:
        return Parameter(name, kind, _KEYWORD_DEFAULTS_OF[place], keyword_only=True)
    if name in _KEYWORD_DEFAULTS:
        return Parameter(name, kind, _KEYWORD_DEFAULTS[name], keyword_only=True)
    if rpc in _FILTERING and name not in _FILTERING[rpc]:
        no_restriction: Default = () if field.is_repeated else field.default_value
        return Parameter(name, kind, no_restriction, keyword_only=True)
    return Parameter(name, kind, _DEFAULTS.get(place, _DEFAULTS.get(name, REQUIRED)))


# -- what the Go host does ------------------------------------------------------------------------------------

#: Posts with reactions and searches, the key-value store and files.
_EMBEDDING_FILES = frozenset({"api_post.proto", "api_kv.proto", "api_file.proto"})
_NOT_EMBEDDING = frozenset({"PublishWebSocketEvent", "CreateUploadSession", "UploadData", "GetUploadSession"})
