"""The methods of each service, as read from descriptors."""

from dataclasses import FrozenInstanceError
from typing import Any

import pytest

from mm_plugin._proto import hooks_http_pb2, hooks_message_pb2
from mm_plugin._proto.services import api_method, api_methods, controller_methods, health_methods, hook_methods


def test_hooks() -> None:
    """Every hook is unary but ServeHTTP, which streams both ways."""
    methods = hook_methods()
    assert len(methods) == 42
    assert list(methods)[:2] == ["Implemented", "OnActivate"]
    streaming = [method for method in methods.values() if method.client_streaming or method.server_streaming]
    assert [method.name for method in streaming] == ["ServeHTTP"]
    serve_http = methods["ServeHTTP"]
    assert (serve_http.client_streaming, serve_http.server_streaming) == (True, True)
    assert serve_http.path == "/mattermost.pluginapi.v1.PluginHooks/ServeHTTP"
    assert serve_http.request is hooks_http_pb2.ServeHTTPRequest
    assert methods["MessageWillBePosted"].response is hooks_message_pb2.MessageWillBePostedResponse


def test_api() -> None:
    """Every method of the API is unary."""
    methods = api_methods()
    assert len(methods) == 236
    assert not any(method.client_streaming or method.server_streaming for method in methods.values())
    assert methods["KVGet"].path == "/mattermost.pluginapi.v1.PluginAPI/KVGet"


def test_health_and_controller() -> None:
    """The services that go-plugin asks for have their standard names and shapes."""
    assert {method.path: method.server_streaming for method in health_methods().values()} == {
        "/grpc.health.v1.Health/Check": False,
        "/grpc.health.v1.Health/Watch": True,
    }
    assert [method.path for method in controller_methods().values()] == ["/plugin.GRPCController/Shutdown"]


def test_methods_are_built_once_and_cannot_be_changed() -> None:
    """Everyone shares one read-only mapping."""
    methods = hook_methods()
    assert hook_methods() is methods
    with pytest.raises(TypeError):
        methods["OnActivate"] = methods["OnDeactivate"]  # type: ignore[index]
    with pytest.raises(FrozenInstanceError):
        methods["OnActivate"].name = "x"  # type: ignore[misc]


def test_grpclib_services_agree_with_the_descriptors() -> None:
    """The generated service classes map the same paths to the same messages and cardinalities."""
    pytest.importorskip("grpclib")
    from mm_plugin._proto import api_grpc, grpc_controller_grpc, health_grpc, hooks_grpc

    for base, methods in (
        (hooks_grpc.PluginHooksBase, hook_methods()),
        (api_grpc.PluginAPIBase, api_methods()),
        (health_grpc.HealthBase, health_methods()),
        (grpc_controller_grpc.GRPCControllerBase, controller_methods()),
    ):
        stubbed = {name: lambda self, stream: None for name in base.__abstractmethods__}
        concrete: Any = type("Concrete", (base,), stubbed)
        from_grpclib = {
            path: (
                handler.request_type,
                handler.reply_type,
                handler.cardinality.client_streaming,
                handler.cardinality.server_streaming,
            )
            for path, handler in concrete().__mapping__().items()
        }
        assert from_grpclib == {
            method.path: (method.request, method.response, method.client_streaming, method.server_streaming)
            for method in methods.values()
        }


def test_an_api_method_can_be_had_alone() -> None:
    """Found by its request's class, each method equals the one in the whole table."""
    for name, method in api_methods().items():
        assert api_method(name, method.request) == method
