"""Interactive dialogs."""

from __future__ import annotations

from mm_plugin._proto.dialog_pb2 import (
    Dialog as Dialog,
    DialogElement as DialogElement,
    DialogElementOption as DialogElementOption,
    OpenDialogRequest as OpenDialogRequest,
)
