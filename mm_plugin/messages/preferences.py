"""Preferences."""

from __future__ import annotations

from mm_plugin._proto.preference_pb2 import Preference as Preference
