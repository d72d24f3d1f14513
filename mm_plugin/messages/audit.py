"""Audit records."""

from __future__ import annotations

from mm_plugin._proto.audit_pb2 import AuditRecord as AuditRecord
