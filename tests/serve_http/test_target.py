"""Paths and queries."""

import pytest

from mm_plugin.serve_http.target import Query, split_target


@pytest.mark.parametrize(
    ("url", "path", "query"),
    [
        ("/", "/", ""),
        ("", "/", ""),
        ("/a/b?x=1&y=2", "/a/b", "x=1&y=2"),
        ("/a%20b/%C3%BC", "/a b/ü", ""),
        ("//two/slashes", "//two/slashes", ""),
        ("/a?u=http://other/path?x", "/a", "u=http://other/path?x"),
        ("http://example.com/a?x", "/a", "x"),
        ("http://example.com?x=/y", "/", "x=/y"),
        ("http://example.com", "/", ""),
        ("?x=1", "/", "x=1"),
        ("/a#part", "/a", ""),
    ],
)
def test_a_target_has_a_path_and_a_query(url: str, path: str, query: str) -> None:
    """The origin form is the rule, the absolute form is tolerated."""
    assert split_target(url)[1:] == (path, query)


def test_a_query_gives_first_values_and_all_values() -> None:
    """Parameters may repeat and may be empty."""
    query = Query("a=1&b=&a=2+3&c%20d=%C3%BC")
    assert query["a"] == "1"
    assert query.get_all("a") == ["1", "2 3"]
    assert dict(query) == {"a": "1", "b": "", "c d": "ü"}
    assert len(query) == 3
    assert query.get("missing") is None
    assert query.get_all("missing") == []


def test_a_query_can_be_read_by_people() -> None:
    """In a log it shows its parameters, in order and with all their values."""
    assert str(Query("a=1&b=%20&a=2")) == "Query([('a', '1'), ('b', ' '), ('a', '2')])"
