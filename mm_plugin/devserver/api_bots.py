"""Bot accounts as plugins see them."""

from __future__ import annotations

from mm_plugin.devserver.accounts import check_names
from mm_plugin.devserver.api_base import APIBase, needed, paging
from mm_plugin.devserver.errors import invalid, missing
from mm_plugin.messages.bots import Bot, BotGetOptions, BotPatch
from mm_plugin.messages.helpers import now_ms
from mm_plugin.messages.users import User

__all__ = ("BotsHandler",)


class BotsHandler(APIBase):
    """Bots."""

    async def create_bot(self, bot: Bot | None) -> Bot:
        """Add a bot and the user it posts as; the plugin owns it."""
        draft = needed(bot, "bot")
        user = await self._app.accounts.create(
            User(
                username=draft.username,
                email=f"{draft.username}@localhost",
                first_name=draft.display_name,
                is_bot=True,
                bot_description=draft.description,
            ),
            tell=False,
        )
        new = Bot()
        new.CopyFrom(draft)
        new.user_id, new.username = user.id, user.username
        new.owner_id = draft.owner_id or self._plugin_id
        new.create_at = new.update_at = user.create_at
        await self._store.bots.put(new)
        return new

    async def ensure_bot_user(self, bot: Bot | None) -> str:
        """Return the id of the user of this plugin's bot of that name, made or brought up to date where needed."""
        draft = needed(bot, "bot")
        async with self._store.turn:
            for kept in await self._store.bots.find("owner_id = ?", self._plugin_id):
                if kept.username == draft.username.lower():
                    if (kept.display_name, kept.description) != (draft.display_name, draft.description):
                        patch = BotPatch(display_name=draft.display_name, description=draft.description)
                        await self.patch_bot(kept.user_id, patch)
                    return kept.user_id
            return (await self.create_bot(draft)).user_id

    async def patch_bot(self, bot_user_id: str, bot_patch: BotPatch | None) -> Bot:
        """Change a bot's name, display name and description."""
        patch = needed(bot_patch, "bot_patch")
        _found(await self._store.bots.get(bot_user_id))
        user = await self._store.users.get(bot_user_id)
        if user is not None:
            user.username = patch.username.lower() if patch.HasField("username") else user.username
            check_names(user.username, user.email)
            user.first_name = patch.display_name if patch.HasField("display_name") else user.first_name
            user.bot_description = patch.description if patch.HasField("description") else user.bot_description
            user.update_at = now_ms()
            if not await self._store.users.put(user):
                text = f"A user is named {patch.username} already."
                raise invalid("app.user.save.username_exists.app_error", text, "PatchBot")

        def change(bot: Bot) -> None:
            for field in ("display_name", "description"):
                if patch.HasField(field):
                    setattr(bot, field, getattr(patch, field))
            if patch.HasField("username"):
                bot.username = patch.username.lower()
            bot.update_at = now_ms()

        return _found(await self._store.bots.change(change, bot_user_id))

    async def get_bot(self, bot_user_id: str, *, include_deleted: bool = False) -> Bot:
        """Return a bot."""
        bot = _found(await self._store.bots.get(bot_user_id))
        return _found(None if bot.delete_at and not include_deleted else bot)

    async def get_bots(self, *, options: BotGetOptions | None = None) -> list[Bot]:
        """Return bots, by owner where asked."""
        options = options or BotGetOptions(per_page=60)
        where = "? IN ('', owner_id)" + ("" if options.include_deleted else " AND delete_at = 0")
        return await self._store.bots.find(where, options.owner_id, **paging(options.page, options.per_page))

    async def update_bot_active(self, bot_user_id: str, active: bool) -> Bot:
        """Activate or deactivate a bot."""
        delete_at = 0 if active else now_ms()

        def change(message: Bot | User) -> None:
            message.delete_at, message.update_at = delete_at, now_ms()

        bot = _found(await self._store.bots.change(change, bot_user_id))
        await self._store.users.change(change, bot_user_id)
        return bot

    async def permanent_delete_bot(self, bot_user_id: str) -> None:
        """Delete a bot and its user for good, with its sessions, tokens, preferences and memberships; posts stay."""
        _found(await self._store.bots.get(bot_user_id))
        await self._store.bots.delete("user_id = ?", bot_user_id)
        await self._store.users.delete("id = ?", bot_user_id)
        for table in (
            self._store.sessions,
            self._store.access_tokens,
            self._store.preferences,
            self._store.statuses,
            self._store.team_members,
            self._store.channel_members,
            self._store.group_members,
            self._store.sidebar,
        ):
            await table.delete("user_id = ?", bot_user_id)


def _found(bot: Bot | None) -> Bot:
    if bot is None:
        raise missing("store.sql_bot.get.missing.app_error", "The bot", "GetBot")
    return bot
