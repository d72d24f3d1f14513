"""Properties."""

from __future__ import annotations

from mm_plugin._proto.property_pb2 import (
    PropertyField as PropertyField,
    PropertyFieldSearchOpts as PropertyFieldSearchOpts,
    PropertyGroup as PropertyGroup,
    PropertyValue as PropertyValue,
    PropertyValueSearchOpts as PropertyValueSearchOpts,
)
