"""OAuth applications."""

from __future__ import annotations

from mm_plugin._proto.oauth_pb2 import OAuthApp as OAuthApp
