"""Groups of users and who is in them, as plugins see it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from mm_plugin.devserver.accounts import public
from mm_plugin.devserver.api_base import APIBase, needed, paging
from mm_plugin.devserver.errors import invalid, missing
from mm_plugin.messages.groups import Group, GroupMember, GroupSearchOpts
from mm_plugin.messages.helpers import new_id, now_ms

if TYPE_CHECKING:
    from mm_plugin.devserver.message_table import SQLValue
    from mm_plugin.messages.common import ViewUsersRestrictions
    from mm_plugin.messages.users import User

__all__ = ("GroupsHandler",)

_NAME = re.compile(r"[a-z0-9._-]{1,64}")
_SOURCE = re.compile(r"ldap|custom|plugin_.+")
_MEMBERS = "id IN (SELECT user_id FROM group_members WHERE group_id = ? AND delete_at = 0)"
_OF_USER = "id IN (SELECT group_id FROM group_members WHERE user_id = ? AND delete_at = 0) AND delete_at = 0"


class GroupsHandler(APIBase):
    """Groups."""

    async def create_group(self, group: Group | None) -> Group:
        """Add a group."""
        draft = needed(group, "group")
        new = Group()
        new.CopyFrom(draft)
        new.id, new.delete_at = new_id(), 0
        new.create_at = new.update_at = now_ms()
        async with self._store.turn:
            await self._check_group(new)
            await self._store.groups.insert(new)
        return new

    async def update_group(self, group: Group | None) -> Group:
        """Replace what a group is called and is for; its source and times stay."""
        changed = needed(group, "group")
        kept = await self.get_group(changed.id)
        new = Group()
        new.CopyFrom(changed)
        new.source, new.create_at, new.delete_at = kept.source, kept.create_at, kept.delete_at
        new.update_at = now_ms()
        async with self._store.turn:
            await self._check_group(new)
            await self._store.groups.put(new)
        return new

    async def delete_group(self, group_id: str) -> Group:
        """Archive a group; its members stay in it."""
        return await self._set_archived(group_id, archived=True)

    async def restore_group(self, group_id: str) -> Group:
        """Bring an archived group back."""
        return await self._set_archived(group_id, archived=False)

    async def get_group(self, group_id: str) -> Group:
        """Return a group, an archived one too."""
        return _found(await self._store.groups.get(group_id), "GetGroup")

    async def get_group_by_name(self, name: str) -> Group:
        """Return a group by the name it is mentioned by."""
        found = await self._store.groups.find("name = ? AND name <> ''", name)
        return _found(found[0] if found else None, "GetGroupByName")

    async def get_group_by_remote_id(self, remote_id: str, group_source: str) -> Group:
        """Return a group by its key at its source."""
        found = await self._store.groups.find("remote_id = ? AND source = ?", remote_id, group_source)
        return _found(found[0] if found else None, "GetGroupByRemoteID")

    async def get_groups_by_source(self, group_source: str) -> list[Group]:
        """Return the groups of one source."""
        return await self._store.groups.find("source = ? AND delete_at = 0", group_source, order="display_name")

    async def get_groups_for_user(self, user_id: str) -> list[Group]:
        """Return the groups that a user is in."""
        return await self._store.groups.find(_OF_USER, user_id, order="display_name")

    async def get_groups(
        self,
        *,
        page: int = 0,
        per_page: int = 60,
        opts: GroupSearchOpts | None = None,
        view_restrictions: ViewUsersRestrictions | None = None,  # noqa: ARG002 - of counts only
    ) -> list[Group]:
        """Return groups by what is asked, in the order of their display names."""
        wanted = opts or GroupSearchOpts()
        if wanted.filter_has_member:
            text = "filter_has_member must be a user's id, which this wire cannot carry; use get_groups_for_user."
            raise invalid("api.context.invalid_url_param.app_error", text, "GetGroups")
        if wanted.since and not wanted.since.isdecimal():
            raise invalid("api.context.invalid_url_param.app_error", "since is a number of milliseconds.", "GetGroups")
        where: list[str] = ["delete_at > 0" if wanted.filter_archived else "delete_at = 0"]
        values: list[SQLValue] = []
        if wanted.source:
            where.append("source = ?")
            values.append(wanted.source)
        if wanted.q:
            where.append("(instr(lower(name), ?) OR instr(lower(display_name), ?))")
            values += [wanted.q.lower()] * 2
        found = [
            group
            for group in await self._store.groups.find(" AND ".join(where), *values, order="display_name")
            if (wanted.filter_allow_reference != "true" or group.allow_reference)
            and group.update_at > int(wanted.since or -1)
        ]
        window = paging(page, per_page)
        return found[window["offset"] :][: window["limit"]]

    # -- members ----------------------------------------------------------------------------------------------

    async def get_group_member_users(self, group_id: str, *, page: int = 0, per_page: int = 60) -> list[User]:
        """Return a group's members, those who are deactivated left out."""
        users = await self._store.users.find(_MEMBERS, group_id, order="username")
        active = [public(user) for user in users if not user.delete_at]
        window = paging(page, per_page)
        return active[window["offset"] :][: window["limit"]]

    async def upsert_group_member(self, group_id: str, user_id: str) -> GroupMember:
        """Let a user into a group; one who is in it stays."""
        (member,) = await self.upsert_group_members(group_id, [user_id])
        return member

    async def upsert_group_members(self, group_id: str, user_ids: list[str]) -> list[GroupMember]:
        """Let users into a group; nobody comes in where one of them is not there."""
        if (await self.get_group(group_id)).delete_at:
            raise _no_group("UpsertGroupMember")
        for user_id in user_ids:
            await self._app.accounts.get(user_id)
        members: list[GroupMember] = []
        for user_id in user_ids:
            member = await self._store.group_members.get(group_id, user_id)
            if member is None or member.delete_at:
                member = GroupMember(group_id=group_id, user_id=user_id, create_at=now_ms())
                await self._store.group_members.put(member)
            members.append(member)
        return members

    async def delete_group_member(self, group_id: str, user_id: str) -> GroupMember:
        """Take a user out of a group."""
        member = await self._store.group_members.get(group_id, user_id)
        if member is None or member.delete_at:
            raise missing("app.group.no_rows", "The group member", "DeleteGroupMember")
        member.delete_at = now_ms()
        await self._store.group_members.put(member)
        return member

    # -- within -----------------------------------------------------------------------------------------------

    async def _set_archived(self, group_id: str, *, archived: bool) -> Group:
        group = await self.get_group(group_id)
        if bool(group.delete_at) is archived:
            raise _no_group("DeleteGroup" if archived else "RestoreGroup")
        group.update_at = now_ms()
        group.delete_at = group.update_at if archived else 0
        await self._store.groups.put(group)
        return group

    async def _check_group(self, group: Group) -> None:
        if not 0 < len(group.display_name) <= 128:
            raise _unfit("display_name", "A group's display_name has 1 to 128 characters.")
        if not _SOURCE.fullmatch(group.source):
            raise _unfit("source", "A group's source is ldap, custom, or plugin_ with more to it.")
        if group.source != "custom" and not group.remote_id:
            raise _unfit("remote_id", f"A group of the source {group.source} has a remote_id.")
        if (group.name or group.allow_reference) and not _NAME.fullmatch(group.name):
            raise _unfit("name", "A group that is mentioned has a name of 1 to 64 of the characters a-z 0-9 . - _ .")
        others = await self._store.groups.find(
            "id <> ? AND ((name <> '' AND name = ?) OR (remote_id <> '' AND remote_id = ? AND source = ?))",
            group.id,
            group.name,
            group.remote_id,
            group.source,
        )
        if others:
            text = f"The group {others[0].display_name} has that name or remote_id already."
            raise invalid("app.custom_group.unique_name", text, "CreateGroup")
        if group.name and await self._store.users.count("username = ?", group.name):
            raise invalid("app.group.username_conflict", f"A user is named {group.name} already.", "CreateGroup")


def _unfit(field: str, text: str) -> Exception:
    return invalid(f"model.group.{field}.app_error", text, "Group.IsValid")


def _no_group(where: str) -> Exception:
    return missing("app.group.no_rows", "The group", where)


def _found(group: Group | None, where: str) -> Group:
    if group is None:
        raise _no_group(where)
    return group
