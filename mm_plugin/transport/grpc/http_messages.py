"""Heads of HTTP requests and responses, to and from the messages of ServeHTTP. Internal.

Layer:  transport/grpc. Pure conversions; order is the business of ``wire/serve_http``.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from mm_plugin._proto.common_pb2 import PluginContext
from mm_plugin._proto.hooks_http_pb2 import (
    HTTPHeader,
    ServeHTTPRequest,
    ServeHTTPRequestInit,
    ServeHTTPResponse,
    ServeHTTPResponseInit,
)
from mm_plugin.transport.link import RequestContextFields, RequestHead, ResponseHead
from mm_plugin.wire.serve_http.values import RequestMessage, ResponseMessage

if TYPE_CHECKING:
    from mm_plugin.types import HeaderFields

__all__ = (
    "request_head_of",
    "request_message_of",
    "request_proto_of",
    "response_head_of",
    "response_message_of",
    "response_proto_of",
)


def request_message_of(proto: ServeHTTPRequest) -> RequestMessage:
    """Return what a request message says."""
    return RequestMessage(proto.HasField("init"), proto.body_chunk, proto.body_complete)


def request_proto_of(message: RequestMessage, head: RequestHead) -> ServeHTTPRequest:
    """Return the wire's form of a request message; the head goes in where the message is marked for it."""
    proto = ServeHTTPRequest(body_chunk=message.chunk, body_complete=message.complete)
    if message.init:
        proto.init.CopyFrom(_init_of(head))
    return proto


def response_message_of(proto: ServeHTTPResponse) -> ResponseMessage:
    """Return what a response message says."""
    status = proto.init.status_code if proto.HasField("init") else None
    return ResponseMessage(status, proto.body_chunk, proto.flush, proto.body_complete)


def response_proto_of(message: ResponseMessage, headers: HeaderFields) -> ServeHTTPResponse:
    """Return the wire's form of a response message."""
    proto = ServeHTTPResponse(body_chunk=message.chunk, body_complete=message.complete, flush=message.flush)
    if message.status is not None:
        proto.init.CopyFrom(ServeHTTPResponseInit(status_code=message.status, headers=_grouped(headers)))
    return proto


def request_head_of(init: ServeHTTPRequestInit) -> RequestHead:
    """Return the request's head."""
    context = init.plugin_context
    return RequestHead(
        method=init.method,
        url=init.url,
        headers=_flat(init.headers),
        proto=init.proto,
        proto_major=init.proto_major,
        proto_minor=init.proto_minor,
        host=init.host,
        remote_addr=init.remote_addr,
        request_uri=init.request_uri,
        content_length=init.content_length,
        context=RequestContextFields(
            session_id=context.session_id,
            request_id=context.request_id,
            ip_address=context.ip_address,
            accept_language=context.accept_language,
            user_agent=context.user_agent,
        )
        if init.HasField("plugin_context")
        else None,
    )


def response_head_of(message: ResponseMessage, init: ServeHTTPResponseInit) -> ResponseHead:
    """Return the response's head; the status is the machine's, which has judged it."""
    assert message.status is not None
    return ResponseHead(status=message.status, headers=_flat(init.headers))


def _init_of(head: RequestHead) -> ServeHTTPRequestInit:
    init = ServeHTTPRequestInit(
        method=head.method,
        url=head.url,
        proto=head.proto,
        proto_major=head.proto_major,
        proto_minor=head.proto_minor,
        headers=_grouped(head.headers),
        host=head.host,
        remote_addr=head.remote_addr,
        request_uri=head.request_uri,
        content_length=head.content_length,
    )
    if head.context is not None:
        context = head.context
        init.plugin_context.CopyFrom(
            PluginContext(
                session_id=context.session_id,
                request_id=context.request_id,
                ip_address=context.ip_address,
                accept_language=context.accept_language,
                user_agent=context.user_agent,
            )
        )
    return init


def _grouped(headers: HeaderFields) -> list[HTTPHeader]:
    """Group equal names, as the wire has one entry for each: the order among names is that of their first field."""
    values: dict[str, list[str]] = {}
    for name, value in headers:
        values.setdefault(name, []).append(value)
    return [HTTPHeader(key=name, values=each) for name, each in values.items()]


def _flat(headers: Iterable[HTTPHeader]) -> HeaderFields:
    return tuple((header.key, value) for header in headers for value in header.values)
