"""Posts, reactions and searches."""

from __future__ import annotations

from mm_plugin._proto.post_pb2 import (
    Post as Post,
    PostAcknowledgement as PostAcknowledgement,
    PostEmbed as PostEmbed,
    PostImage as PostImage,
    PostList as PostList,
    PostMetadata as PostMetadata,
    PostPriority as PostPriority,
    PostSearchResults as PostSearchResults,
    Reaction as Reaction,
    SearchParameter as SearchParameter,
    SearchParams as SearchParams,
    StringList as StringList,
)
