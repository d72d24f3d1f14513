"""Messages as Mattermost's JSON, and back."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, strategies as st

from mm_plugin.devserver.json_forms import fill_message, json_of
from mm_plugin.exceptions import ValidationError
from mm_plugin.messages.channels import Channel, ChannelType
from mm_plugin.messages.posts import Post, PostList
from mm_plugin.messages.structs import fill_struct
from mm_plugin.messages.teams import Team, TeamType
from mm_plugin.messages.users import User
from mm_plugin.types import JSONObject, JSONValue

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(alphabet=st.characters(codec="utf-8")),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner, max_size=3)
    ),
    max_leaves=8,
)
TEXT = st.text(alphabet=st.characters(codec="utf-8"))


def test_the_servers_spelling() -> None:
    """Types are letters, times numbers, props an object, absent messages and optional fields left out."""
    post = json_of(Post(id="p", create_at=2**50, file_ids=["f"]))
    assert (post["create_at"], post["file_ids"], post["props"], post["root_id"]) == (2**50, ["f"], {}, "")
    assert "metadata" not in post
    assert "remote_id" not in post
    assert json_of(Channel(type=ChannelType.CHANNEL_TYPE_DIRECT))["type"] == "D"
    assert json_of(Channel())["type"] == ""
    assert json_of(Team(type=TeamType.TEAM_TYPE_OPEN))["type"] == "O"
    assert json_of(User(props={"a": "b"}))["props"] == {"a": "b"}
    listed = json_of(PostList(order=["p"], posts={"p": Post(id="p")}))
    assert listed["order"] == ["p"]
    assert isinstance(listed["posts"], dict)


@given(st.builds(Post, id=TEXT, message=TEXT, create_at=st.integers(-(2**62), 2**62), is_pinned=st.booleans(),
                 file_ids=st.lists(TEXT, max_size=3)), st.dictionaries(TEXT, PLAIN, max_size=3))  # fmt: skip
def test_a_post_survives_the_way_through_json(post: Post, props: dict[str, JSONValue]) -> None:
    """What json_of writes, fill_message reads: the same post."""
    fill_struct(post.props, props, "props")
    assert fill_message(Post(), json.loads(json.dumps(json_of(post)))) == post


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"message": 3}, "message"),
        ({"is_pinned": "yes"}, "is_pinned"),
        ({"create_at": True}, "create_at"),
        ({"create_at": 1.5}, "create_at"),
        ({"create_at": 2**80}, "create_at"),
        ({"file_ids": "one"}, "file_ids"),
        ({"file_ids": [1]}, "file_ids"),
        ({"message": "\ud800"}, "message"),
        ({"props": {"n": 2**60 + 1}}, "props"),
    ],
)
def test_what_does_not_fit_is_named(values: JSONObject, field: str) -> None:
    """A value of the wrong kind is refused with its field's name."""
    with pytest.raises(ValidationError, match=field):
        fill_message(Post(), values)


def test_what_is_unknown_is_ignored() -> None:
    """Unknown keys, null and fields that clients do not send leave the message alone."""
    assert fill_message(Post(), {"nonsense": 1, "message": None, "metadata": {}, "participants": []}) == Post()


@given(st.dictionaries(st.sampled_from(sorted(Post.DESCRIPTOR.fields_by_name)), PLAIN))
def test_any_json_is_read_or_refused(values: dict[str, JSONValue]) -> None:
    """Whatever somebody sends, it is a post or a ValidationError."""
    try:
        fill_message(Post(), values)
    except ValidationError:
        pass
