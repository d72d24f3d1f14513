"""gRPC on top of HTTP/2, sans-IO: framing, timeouts, metadata, status. Internal."""

from __future__ import annotations

from mm_plugin.wire.grpc.compression import (
    ACCEPTED_ENCODINGS as ACCEPTED_ENCODINGS,
    GZIP as GZIP,
    compress as compress,
    decompress as decompress,
    takes_gzip as takes_gzip,
)
from mm_plugin.wire.grpc.framing import (
    PREFIX_OCTETS as PREFIX_OCTETS,
    FramingError as FramingError,
    FramingFault as FramingFault,
    Message as Message,
    MessageReader as MessageReader,
    frame as frame,
    prefix as prefix,
    whole_message as whole_message,
)
from mm_plugin.wire.grpc.metadata import (
    Fields as Fields,
    Metadata as Metadata,
    decode_metadata as decode_metadata,
    encode_metadata as encode_metadata,
    is_reserved as is_reserved,
)
from mm_plugin.wire.grpc.status import (
    CONTENT_TYPE as CONTENT_TYPE,
    OK_TRAILERS as OK_TRAILERS,
    RESPONSE_HEAD as RESPONSE_HEAD,
    Status as Status,
    decode_text as decode_text,
    encode_text as encode_text,
    is_grpc_content_type as is_grpc_content_type,
    parse_status as parse_status,
    read_status as read_status,
    status_of_http as status_of_http,
    status_of_reset as status_of_reset,
    trailers as trailers,
    trailers_only as trailers_only,
)
from mm_plugin.wire.grpc.timeout import format_timeout as format_timeout, parse_timeout as parse_timeout
