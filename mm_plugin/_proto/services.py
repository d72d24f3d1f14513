"""The methods of each service, by name, read from the contract's descriptors.

Job: give the transport and the tables above it paths and message classes without grpclib's generated stubs.
Layer: the floor; imports protobuf and, only when asked, the generated messages of the service in question.
Output: one read-only mapping of `Method` for each service, in the contract's order, built once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from google.protobuf.descriptor import FileDescriptor, ServiceDescriptor
    from google.protobuf.message import Message


@dataclass(frozen=True, slots=True)
class Method:
    """One rpc of a service.

    Attributes:
        name: The rpc's name, for example `MessageWillBePosted`.
        path: The value of `:path` on the wire, `/package.Service/Name` (gRPC over HTTP/2, section "Requests").
        request: The class of the messages that the caller sends.
        response: The class of the messages that the caller gets.
        client_streaming: The caller sends any number of messages, not just one.
        server_streaming: The caller gets any number of messages, not just one.
    """

    name: str
    path: str
    request: type[Message]
    response: type[Message]
    client_streaming: bool
    server_streaming: bool


@cache
def hook_methods() -> Mapping[str, Method]:
    """Return the 42 rpcs of PluginHooks, which the plugin serves."""
    from mm_plugin._proto import hooks_pb2

    return _methods(hooks_pb2.DESCRIPTOR.services_by_name["PluginHooks"])


@cache
def api_methods() -> Mapping[str, Method]:
    """Return the 236 rpcs of PluginAPI, which the server serves. Loads every message of the API."""
    from mm_plugin._proto import api_pb2

    return _methods(api_pb2.DESCRIPTOR.services_by_name["PluginAPI"])


_api_methods_met: dict[str, Method] = {}


def api_method(name: str, request: type[Message]) -> Method:
    """Return one rpc of PluginAPI, given the class of its requests; loads no topic but that one's."""
    method = _api_methods_met.get(name)
    if method is None:
        from google.protobuf.message_factory import GetMessageClass

        file = cast("FileDescriptor", request.DESCRIPTOR.file)
        response = GetMessageClass(file.message_types_by_name[f"{name}Response"])
        path = f"/{file.package}.PluginAPI/{name}"
        method = _api_methods_met[name] = Method(
            name, path, request, response, client_streaming=False, server_streaming=False
        )
    return method


@cache
def health_methods() -> Mapping[str, Method]:
    """Return the rpcs of grpc.health.v1.Health: Check and Watch."""
    from mm_plugin._proto import health_pb2

    return _methods(health_pb2.DESCRIPTOR.services_by_name["Health"])


@cache
def controller_methods() -> Mapping[str, Method]:
    """Return the one rpc of plugin.GRPCController: Shutdown."""
    from mm_plugin._proto import grpc_controller_pb2

    return _methods(grpc_controller_pb2.DESCRIPTOR.services_by_name["GRPCController"])


def _methods(service: ServiceDescriptor) -> Mapping[str, Method]:
    from google.protobuf.message_factory import GetMessageClass

    return MappingProxyType(
        {
            method.name: Method(
                name=method.name,
                path=f"/{service.full_name}/{method.name}",
                request=GetMessageClass(method.input_type),
                response=GetMessageClass(method.output_type),
                client_streaming=method.client_streaming,
                server_streaming=method.server_streaming,
            )
            for method in service.methods
        }
    )
