"""What the generated messages are: all of the contract, with the numbers and presence that the wire asks for."""

import importlib
import pkgutil

import pytest
from google.protobuf.descriptor import Descriptor, FileDescriptor
from google.protobuf.json_format import MessageToDict

import mm_plugin._proto
from mm_plugin._proto import common_pb2, hooks_http_pb2, post_pb2
from mm_plugin._proto.services import api_methods, hook_methods

PACKAGE = "mattermost.pluginapi.v1"


def contract_files() -> list[FileDescriptor]:
    names = sorted(module.name for module in pkgutil.iter_modules(mm_plugin._proto.__path__))
    modules = [importlib.import_module(f"mm_plugin._proto.{name}") for name in names if name.endswith("_pb2")]
    return [module.DESCRIPTOR for module in modules if module.DESCRIPTOR.package == PACKAGE]


def contract_messages() -> dict[str, Descriptor]:
    return {name: message for file in contract_files() for name, message in file.message_types_by_name.items()}


def test_the_contract_is_whole() -> None:
    """All 648 messages with their 1,614 fields, both enums and both services are there."""
    messages = contract_messages()
    assert len(messages) == 648
    assert sum(len(message.fields) for message in messages.values()) == 1614
    enums = {name for file in contract_files() for name in file.enum_types_by_name}
    assert enums == {"ChannelType", "TeamType"}
    services = {
        name: len(service.methods) for file in contract_files() for name, service in file.services_by_name.items()
    }
    assert services == {"PluginHooks": 42, "PluginAPI": 236}


def test_every_message_serves_a_call_or_a_model() -> None:
    """Each rpc has a request and a response of its own, named after it."""
    for methods in (hook_methods(), api_methods()):
        for method in methods.values():
            assert method.request.DESCRIPTOR.name == f"{method.name}Request"
            assert method.response.DESCRIPTOR.name == f"{method.name}Response"


def test_errors_are_field_one_of_every_api_response() -> None:
    """A caller may read `error` from any response of the API without knowing which it is."""
    for method in api_methods().values():
        field = method.response.DESCRIPTOR.fields_by_name["error"]
        assert field.number == 1
        assert field.message_type is common_pb2.AppError.DESCRIPTOR


def test_octets_on_the_wire_are_the_contracts() -> None:
    """Messages built by hand, octet by octet, are read as what they say, and written back the same."""
    error = bytes.fromhex("0a0178 289403 320177")
    assert common_pb2.AppError.FromString(error) == common_pb2.AppError(id="x", status_code=404, where="w")
    assert common_pb2.AppError(id="x", status_code=404, where="w").SerializeToString() == error
    chunk = bytes.fromhex("12026869 1801 2001")
    expected = hooks_http_pb2.ServeHTTPResponse(body_chunk=b"hi", body_complete=True, flush=True)
    assert hooks_http_pb2.ServeHTTPResponse.FromString(chunk) == expected
    assert expected.SerializeToString() == chunk


@pytest.mark.parametrize(
    ("message", "fields"),
    [
        ("User", {"auth_data", "remote_id"}),
        ("UserAuth", {"auth_data"}),
        ("Channel", {"scheme_id", "group_constrained", "shared", "policy_id"}),
        ("ChannelBannerInfo", {"enabled", "text", "background_color"}),
        ("Team", {"scheme_id", "group_constrained", "policy_id"}),
        ("Post", {"remote_id", "is_following"}),
        ("PostPriority", {"priority", "requested_ack", "persistent_notifications"}),
        ("Reaction", {"remote_id", "channel_id"}),
        ("FileInfo", {"mini_preview", "remote_id"}),
        ("BotPatch", {"username", "display_name", "description"}),
        ("Bot", set()),
    ],
)
def test_scalars_with_presence(message: str, fields: set[str]) -> None:
    """Exactly these scalar fields tell "unset" from "empty"."""
    found = {
        field.name for field in contract_messages()[message].fields if field.has_presence and field.message_type is None
    }
    assert found == fields


def test_a_struct_field_takes_and_gives_a_mapping() -> None:
    """Struct fields of the private pool have the same conveniences as google.protobuf's own."""
    post = post_pb2.Post(props={"a": 1, "nested": {"list": [True, None, "x"]}})
    post.props.update({"b": 2})
    assert post.props["a"] == 1
    assert MessageToDict(post.props) == {"a": 1, "b": 2, "nested": {"list": [True, None, "x"]}}
    assert post_pb2.Post.FromString(post.SerializeToString()) == post


def test_copies_are_independent() -> None:
    """A copied message shares nothing with its original."""
    post = post_pb2.Post(message="before", props={"a": 1})
    copy = post_pb2.Post()
    copy.CopyFrom(post)
    copy.props["a"] = 2
    copy.message = "after"
    assert (post.message, post.props["a"]) == ("before", 1)
