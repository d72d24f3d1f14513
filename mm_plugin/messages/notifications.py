"""Push and e-mail notifications."""

from __future__ import annotations

from mm_plugin._proto.notification_pb2 import (
    EmailNotificationContent as EmailNotificationContent,
    EmailNotificationJson as EmailNotificationJson,
    PushNotification as PushNotification,
)
