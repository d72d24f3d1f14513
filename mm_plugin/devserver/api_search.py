"""Searches for posts as plugins see them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mm_plugin import limits
from mm_plugin.devserver.api_base import APIBase, needed, paging
from mm_plugin.devserver.search import parse_query
from mm_plugin.messages.posts import PostSearchResults, SearchParameter, SearchParams

if TYPE_CHECKING:
    from mm_plugin.devserver.search import Query
    from mm_plugin.messages.posts import Post

__all__ = ("SearchHandler",)

_NEWEST_FIRST = "create_at DESC, rowid DESC"
_PER_PAGE = 60
_OF_USER = "channel_id IN (SELECT channel_id FROM channel_members WHERE user_id = ?)"


class SearchHandler(APIBase):
    """Searches."""

    async def search_posts_in_team(self, team_id: str, params_list: list[SearchParams]) -> list[Post]:
        """Return the posts of a team's channels that one of the searches means, whoever may see them."""
        found: dict[str, Post] = {}
        for params in params_list:
            matching = await self._matching(
                _query_of(params), team_id, include_deleted_channels=params.include_deleted_channels
            )
            found |= {post.id: post for post, _ in matching}
        return sorted(found.values(), key=lambda post: post.create_at, reverse=True)

    async def search_posts_in_team_for_user(
        self, team_id: str, user_id: str, search_params: SearchParameter | None
    ) -> PostSearchResults:
        """Return a page of the posts that a user may see and means, direct messages among them, the newest first."""
        params = needed(search_params, "search_params")
        await self._app.accounts.get(user_id)
        query = parse_query(params.terms, any_word=params.is_or_search, zone_offset_s=params.time_zone_offset)
        found = await self._matching(
            query, team_id, user_id=user_id, include_deleted_channels=params.include_deleted_channels
        )
        window = paging(params.page, params.per_page or _PER_PAGE, most=limits.devserver_page_entries)
        page = found[window["offset"] :][: window["limit"]]
        results = PostSearchResults(order=[post.id for post, _ in page], posts={post.id: post for post, _ in page})
        for post, words in page:
            results.matches[post.id].values.extend(words)
        return results

    async def _matching(
        self, query: Query, team_id: str, *, user_id: str = "", include_deleted_channels: bool = False
    ) -> list[tuple[Post, list[str]]]:
        if query.is_empty:
            return []
        teams = "team_id IN ('', ?)" if user_id else "team_id = ?"
        alive = "" if include_deleted_channels else " AND delete_at = 0"
        where = f"delete_at = 0 AND channel_id IN (SELECT id FROM channels WHERE {teams}{alive})"  # noqa: S608
        values = [team_id]
        if user_id:
            where += f" AND {_OF_USER}"
            values.append(user_id)
        posts = await self._store.posts.find(where, *values, order=_NEWEST_FIRST)
        users = {user.id: user.username for user in await self._store.users.find()}
        channels = {channel.id: channel.name for channel in await self._store.channels.find()}
        found: list[tuple[Post, list[str]]] = []
        for post in posts:
            author = {post.user_id, users.get(post.user_id, "")}
            words = query.matches(post, author, {post.channel_id, channels.get(post.channel_id, "")})
            if words is not None and not post.type.startswith("system_"):
                found.append((post, words))
        return found


def _query_of(params: SearchParams) -> Query:
    query = parse_query(params.terms, any_word=params.is_or_search, zone_offset_s=params.time_zone_offset)
    query.in_channels.update(params.in_channels)
    query.not_in_channels.update(params.excluded_channels)
    query.from_users.update(params.from_users)
    query.not_from_users.update(params.excluded_users)
    return query
