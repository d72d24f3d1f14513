"""Bot accounts as plugins see them."""

from __future__ import annotations

from mm_plugin.devserver.api_base import APIBase, needed, paging
from mm_plugin.devserver.errors import missing
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
        """Return the id of the user of this plugin's bot of that name, made where there is none."""
        draft = needed(bot, "bot")
        for kept in await self._store.bots.find("owner_id = ?", self._plugin_id):
            if kept.username == draft.username.lower():
                return kept.user_id
        return (await self.create_bot(draft)).user_id

    async def patch_bot(self, bot_user_id: str, bot_patch: BotPatch | None) -> Bot:
        """Change a bot's display name and description."""
        patch = needed(bot_patch, "bot_patch")

        def change(bot: Bot) -> None:
            for field in ("display_name", "description"):
                if patch.HasField(field):
                    setattr(bot, field, getattr(patch, field))
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


def _found(bot: Bot | None) -> Bot:
    if bot is None:
        raise missing("store.sql_bot.get.missing.app_error", "The bot", "GetBot")
    return bot
