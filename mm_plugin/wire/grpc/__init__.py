"""gRPC on top of HTTP/2, sans-IO: framing, timeouts, metadata, status. Internal."""

from __future__ import annotations

from mm_plugin.wire.grpc.framing import (
    PREFIX_OCTETS as PREFIX_OCTETS,
)
from mm_plugin.wire.grpc.framing import (
    FramingError as FramingError,
)
from mm_plugin.wire.grpc.framing import (
    FramingFault as FramingFault,
)
from mm_plugin.wire.grpc.framing import (
    Message as Message,
)
from mm_plugin.wire.grpc.framing import (
    MessageReader as MessageReader,
)
from mm_plugin.wire.grpc.framing import (
    frame as frame,
)
from mm_plugin.wire.grpc.framing import (
    read_unary as read_unary,
)
from mm_plugin.wire.grpc.metadata import (
    Fields as Fields,
)
from mm_plugin.wire.grpc.metadata import (
    Metadata as Metadata,
)
from mm_plugin.wire.grpc.metadata import (
    decode_metadata as decode_metadata,
)
from mm_plugin.wire.grpc.metadata import (
    encode_metadata as encode_metadata,
)
from mm_plugin.wire.grpc.metadata import (
    is_reserved as is_reserved,
)
from mm_plugin.wire.grpc.status import (
    CONTENT_TYPE as CONTENT_TYPE,
)
from mm_plugin.wire.grpc.status import (
    OK_TRAILERS as OK_TRAILERS,
)
from mm_plugin.wire.grpc.status import (
    RESPONSE_HEAD as RESPONSE_HEAD,
)
from mm_plugin.wire.grpc.status import (
    Status as Status,
)
from mm_plugin.wire.grpc.status import (
    decode_text as decode_text,
)
from mm_plugin.wire.grpc.status import (
    encode_text as encode_text,
)
from mm_plugin.wire.grpc.status import (
    is_grpc_content_type as is_grpc_content_type,
)
from mm_plugin.wire.grpc.status import (
    parse_status as parse_status,
)
from mm_plugin.wire.grpc.status import (
    read_status as read_status,
)
from mm_plugin.wire.grpc.status import (
    status_of_http as status_of_http,
)
from mm_plugin.wire.grpc.status import (
    status_of_reset as status_of_reset,
)
from mm_plugin.wire.grpc.status import (
    trailers as trailers,
)
from mm_plugin.wire.grpc.status import (
    trailers_only as trailers_only,
)
from mm_plugin.wire.grpc.timeout import format_timeout as format_timeout
from mm_plugin.wire.grpc.timeout import parse_timeout as parse_timeout
