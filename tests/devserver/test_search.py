"""What people may write into the search box, and what it finds."""

from __future__ import annotations

import pytest
from hypothesis import given, settings, strategies as st

from mm_plugin.devserver.search import parse_query
from mm_plugin.exceptions import NotFoundError
from mm_plugin.messages.channels import Channel
from mm_plugin.messages.posts import Post, SearchParameter, SearchParams
from tests.devserver.worlds import open_world

#: 2024-02-29 12:00:00 UTC.
NOON = 1_709_208_000_000


def found(terms: str, message: str, *, any_word: bool = False, zone_offset_s: int = 0) -> bool:
    query = parse_query(terms, any_word=any_word, zone_offset_s=zone_offset_s)
    post = Post(message=message, create_at=NOON)
    return query.matches(post, {"ada", "id-of-ada"}, {"town-square", "id-of-town"}) is not None


@pytest.mark.parametrize(
    ("terms", "message", "expected"),
    [
        ("hello", "Hello, world", True),
        ("hell", "Hello, world", False),
        ("hell*", "Hello, world", True),
        ("hello moon", "Hello, world", False),
        ('"hello world"', "Hello world!", True),
        ('"hello world"', "Hello, world", False),
        ("hello -world", "Hello, world", False),
        ("hello -moon", "Hello, world", True),
        ("#tag", "a #tag here", True),
        ("from:ada", "anything", True),
        ("from:@ada hello", "hello", True),
        ("from: bob", "anything", False),
        ("-from:ada", "anything", False),
        ("in:town-square", "anything", True),
        ("in:~elsewhere", "anything", False),
        ("-in:id-of-town", "anything", False),
        ("on:2024-02-29", "anything", True),
        ("before:2024-02-29", "anything", False),
        ("after:2024-02-29", "anything", False),
        ("after:2024-02-28 before:2024-03-01", "anything", True),
        ("on:2024-13-45 anything", "anything", True),
    ],
)
def test_terms_mean_what_they_say(terms: str, message: str, expected: bool) -> None:
    """Words, phrases, exclusions, authors, channels and days decide together."""
    assert found(terms, message) is expected


def test_any_word_and_the_day_of_the_user() -> None:
    """One of the words can be enough, and days begin where the user is."""
    assert found("hello moon", "Hello, world", any_word=True)
    assert not found("sun moon", "Hello, world", any_word=True)
    assert not found("on:2024-02-29", "x", zone_offset_s=13 * 3600)
    assert found("on:2024-03-01", "x", zone_offset_s=13 * 3600)
    assert parse_query(' "" ').is_empty


@given(st.text(max_size=60), st.text(max_size=60))
@settings(max_examples=100)
def test_any_text_can_be_searched_for(terms: str, message: str) -> None:
    """No text breaks the parser, and words that are found stand in the message."""
    words = parse_query(terms).matches(Post(message=message), set(), set())
    assert all(word.rstrip("*") in message.lower() for word in words or [])


async def test_a_user_finds_what_they_may_see() -> None:
    """The user's own channels and direct messages are searched, page by page; others' are not."""
    async with open_world() as world, world.client() as api:
        team, channel, users = world.seed.team.id, world.seed.channel.id, world.seed.users
        ada, bob = users["ada"].id, users["bob"].id
        secret = await api.create_channel(Channel(team_id=team, name="x", display_name="X", creator_id=bob))
        direct = await api.get_direct_channel(ada, bob)
        posts = [
            await api.create_post(Post(user_id=bob, channel_id=place, message=f"the plan {number}"))
            for number, place in enumerate((channel, secret.id, direct.id, channel))
        ]
        results = await api.search_posts_in_team_for_user(team, ada, SearchParameter(terms="plan"))
        assert list(results.order) == [posts[3].id, posts[2].id, posts[0].id]
        assert list(results.matches[posts[0].id].values) == ["plan"]
        page = await api.search_posts_in_team_for_user(team, ada, SearchParameter(terms="plan", page=1, per_page=2))
        assert list(page.order) == list(page.posts) == [posts[0].id]
        everything = await api.search_posts_in_team(team, [SearchParams(terms="plan")])
        assert [post.id for post in everything] == [posts[3].id, posts[1].id, posts[0].id]
        joined = [SearchParams(terms="plan", in_channels=["x"]), SearchParams(terms="3", from_users=["bob"])]
        assert [post.id for post in await api.search_posts_in_team(team, joined)] == [posts[3].id, posts[1].id]
        assert await api.search_posts_in_team(team, [SearchParams(terms="", excluded_users=[])]) == []
        await api.delete_channel(secret.id)
        assert len(await api.search_posts_in_team(team, [SearchParams(terms="plan")])) == 2
        archived = SearchParams(terms="plan", include_deleted_channels=True)
        assert len(await api.search_posts_in_team(team, [archived])) == 3
        with pytest.raises(NotFoundError):
            await api.search_posts_in_team_for_user(team, "nobody", SearchParameter(terms="x"))
