"""Checked by mypy and pyright, never run: JSON documents and file contents as handlers see and return them.

A line that must be refused carries a ``type: ignore``, which strict checkers refuse in turn where it is not needed;
every other line must pass.
"""

# pyright: reportUnnecessaryTypeIgnoreComment=true
from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import assert_type

from mm_plugin import (
    Configuration,
    EmailNotification,
    EmailNotificationContent,
    FileContent,
    FileInfo,
    HookName,
    Plugin,
    PluginContext,
    Reject,
    RemoteCluster,
    ReplaceFile,
    SAMLAssertion,
    SyncMessage,
    User,
    hook,
)
from mm_plugin.types import JSONValue


class Documents(Plugin):
    """JSON arrives typed, and keeps what is not known."""

    async def configuration_will_be_saved(self, new_config: Configuration) -> Configuration:
        new_config.section("ServiceSettings")["SiteURL"] = "https://example.com"
        assert_type(new_config.raw, bytes)
        assert_type(new_config["New"], JSONValue)
        return new_config

    def email_notification_will_be_sent(self, email_notification: EmailNotification) -> EmailNotificationContent:
        assert_type(email_notification.subject, str)
        assert_type(email_notification.is_thread_reply, bool)
        return email_notification.content()

    async def on_saml_login(self, context: PluginContext, user: User, assertion: SAMLAssertion) -> None:
        assert_type(assertion.attribute("mail"), list[str])

    async def on_shared_channels_sync_msg(self, sync_msg: SyncMessage, remote_cluster: RemoteCluster) -> None:
        assert_type(sync_msg.posts, list[JSONValue])


class Files(Plugin):
    """Contents are streams, both ways."""

    async def file_will_be_uploaded(
        self, context: PluginContext, file_info: FileInfo, file_content: FileContent
    ) -> AsyncIterator[bytes]:
        async for chunk in file_content:
            assert_type(chunk, bytes)
        return aiter(file_content)


class BlockingFiles(Plugin):
    """A ``def`` handler reads and writes them without a loop."""

    def file_will_be_uploaded(
        self, context: PluginContext, file_info: FileInfo, file_content: FileContent
    ) -> Iterator[bytes]:
        yield from file_content


class BothReplaced(Plugin):
    """Description and content at once."""

    async def file_will_be_uploaded(
        self, context: PluginContext, file_info: FileInfo, file_content: FileContent
    ) -> ReplaceFile | Reject:
        assert_type(await file_content.read(10), bytes)
        return ReplaceFile(info=file_info, content=file_content)


class WrongDocuments(Plugin):
    """Messages where documents come, and results that are none."""

    async def configuration_will_be_saved(self, new_config: Configuration) -> str:  # type: ignore[override]
        raise NotImplementedError

    async def email_notification_will_be_sent(self, email_notification: str) -> None: ...  # type: ignore[override]

    async def file_will_be_uploaded(self, c: PluginContext, i: FileInfo, f: bytes) -> None: ...  # type: ignore[override]

    async def on_saml_login(self, c: PluginContext, u: User, a: User) -> None: ...  # type: ignore[override]

    def on_shared_channels_sync_msg(self, s: bytes, r: RemoteCluster) -> None: ...  # type: ignore[override]


class Bound(Plugin):
    """Any name may be bound, by either spelling."""

    @hook(HookName.FileWillBeUploaded)
    async def scan(self, context: PluginContext, file_info: FileInfo, file_content: FileContent) -> Reject | None:
        return None

    @hook("ConfigurationWillBeSaved")
    def check(self, new_config: Configuration) -> Reject | None:
        return None
