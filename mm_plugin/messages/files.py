"""Files and upload sessions."""

from __future__ import annotations

from mm_plugin._proto.file_pb2 import (
    FileData as FileData,
    FileInfo as FileInfo,
    FileUploadResponse as FileUploadResponse,
    GetFileInfosOptions as GetFileInfosOptions,
    UploadSession as UploadSession,
)
