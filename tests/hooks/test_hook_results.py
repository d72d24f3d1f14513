"""What handlers may return, row by row: nothing, a change, a rejection, and everything a hook cannot express."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, strategies as st

from mm_plugin.exceptions import HookResultError
from mm_plugin.hooks.codec import codec_of
from mm_plugin.hooks.files import FileContent
from mm_plugin.hooks.names import HookName
from mm_plugin.hooks.results import Dismiss, Reject, ReplaceFile
from mm_plugin.hooks.table import HOOK_TABLE, HookRow, OutputKind, Refusal
from mm_plugin.messages.files import FileInfo
from mm_plugin.messages.json_fields import EmailNotification, JSONDocument
from mm_plugin.messages.posts import Post
from mm_plugin.messages.users import User
from tests.hooks.rows import UNARY_ROWS, each_row, host_reads, request_of

_CHANGES: dict[OutputKind, Any] = {
    OutputKind.INT: 12,
    OutputKind.JSON: {"known": 2},
    OutputKind.BOOL: True,
    OutputKind.CONTENT: b"other",
}
_OUTPUTS = [(row, index) for row in UNARY_ROWS for index in range(len(row.outputs))]
each_output = pytest.mark.parametrize(
    ("row", "index"), _OUTPUTS, ids=[f"{row.name}-{row.outputs[index].field}" for row, index in _OUTPUTS]
)


def pack(name: HookName, result: object) -> Any:
    """Pack a result given for a filled request."""
    codec = codec_of(name)
    return codec.pack(result, codec.originals(request_of(name)))


def changed(row: HookRow, index: int) -> Any:
    """Return a valid result for one output that differs from the filled request."""
    output = row.outputs[index]
    if output.kind in _CHANGES:
        return _CHANGES[output.kind]
    message: Any = codec_of(row.name)._classes[output.field]()
    if row.name is HookName.EmailNotificationWillBeSent:
        message.subject = "another"
    return [message, message] if output.kind is OutputKind.MESSAGES else message


@each_row
def test_arguments_are_the_fields_in_order(row: HookRow) -> None:
    """A handler gets each request field after RequestContext, lists as lists."""
    request = request_of(row.name)
    arguments = codec_of(row.name).arguments(request)
    assert len(arguments) == len(row.arguments)
    for field, argument in zip(row.fields, arguments, strict=True):
        value = getattr(request, field)
        match argument:
            case JSONDocument():
                assert argument == {"known": 1}
                assert argument.raw == b'{"known": 1}'
            case FileContent():
                assert argument.whole() == value
            case list():
                assert argument == list(value)
            case _:
                assert argument == value


def test_an_unset_actor_is_none_and_other_unset_messages_are_empty() -> None:
    """Only a field the contract calls optional is None where it is unset."""
    codec = codec_of(HookName.UserHasJoinedChannel)
    context, member, actor = codec.arguments(codec.request_class())
    assert actor is None
    assert context is not None
    assert member is not None
    _, _, actor = codec.arguments(request_of(HookName.UserHasJoinedChannel))
    assert isinstance(actor, User)


@each_row
def test_none_means_as_if_absent(row: HookRow) -> None:
    """None gives the answer of an absent hook, but for a command, whose empty response says that it was carried out."""
    response = pack(row.name, None)
    if row.name is HookName.ExecuteCommand:
        assert response.HasField("response")
        assert response.response.ByteSize() == 0
    else:
        assert response == codec_of(row.name).absent()
    assert host_reads(row, response) == "let pass"


@each_output
def test_a_change_goes_into_its_field(row: HookRow, index: int) -> None:
    """Each accepted kind of result fills its own response field and no other."""
    result, output = changed(row, index), row.outputs[index]
    response = pack(row.name, result)
    value = getattr(response, output.field)
    if output.kind is OutputKind.JSON:
        value = json.loads(value.config_json)
    assert (list(value) if isinstance(result, list) else value) == result
    if output.kind is OutputKind.MESSAGE:
        assert response.HasField(output.field)
    assert {field.name for field, _ in response.ListFields()} <= {output.field} | set(row.absent)


@each_row
def test_a_result_equal_to_what_was_received_is_unchanged(row: HookRow) -> None:
    """Returning the argument as it came leaves the response field unset."""
    request = request_of(row.name)
    codec = codec_of(row.name)
    given = dict(zip(row.fields, codec.arguments(request), strict=True))
    for output in row.outputs:
        if output.replaces:
            result = given[output.replaces]
            result = result.whole() if isinstance(result, FileContent) else result
            result = result.content() if isinstance(result, EmailNotification) else result
            assert codec.pack(result, codec.originals(request)).ByteSize() == 0


def test_mutating_the_argument_and_returning_it_is_a_change() -> None:
    """The comparison is with what was received, not with the object itself."""
    codec, request = codec_of(HookName.MessageWillBePosted), request_of(HookName.MessageWillBePosted)
    originals = codec.originals(request)
    arguments = codec.arguments(request)
    _, post = arguments
    assert isinstance(post, Post)
    post.props.update({"seen": True})
    response: Any = codec.pack(post, originals)
    assert response.modified_post.props["seen"] is True
    assert codec.is_mutated(arguments, originals)


@each_row
def test_reject_says_no_where_the_row_can(row: HookRow) -> None:
    """Reject fills the reason or the error; elsewhere it is a wrong result."""
    if row.refusal not in {Refusal.REASON, Refusal.ERROR}:
        with pytest.raises(HookResultError):
            pack(row.name, Reject("no"))
        return
    response = pack(row.name, Reject("no"))
    assert host_reads(row, response) == "refused"
    if row.refusal is Refusal.REASON:
        assert response.rejection_reason == "no"
    else:
        error = response.error
        assert (error.message, error.detailed_error) == ("no", "no")
        assert error.id == f"plugin.{row.method}.rejected"
        assert (error.where, error.status_code) == (row.name, 400)


@each_row
def test_dismiss_is_for_new_posts_only(row: HookRow) -> None:
    """Dismiss becomes the server's own word for it, and is wrong everywhere else."""
    if row.name is HookName.MessageWillBePosted:
        assert host_reads(row, pack(row.name, Dismiss())) == "dismissed"
    else:
        with pytest.raises(HookResultError):
            pack(row.name, Dismiss())


def test_a_file_can_be_replaced_in_part_or_whole() -> None:
    """ReplaceFile, FileInfo and bytes each set what they name."""
    name, info = HookName.FileWillBeUploaded, FileInfo(name="new")
    both = pack(name, ReplaceFile(info=info, content=b"new"))
    assert (both.modified_file_info, both.modified_content) == (info, b"new")
    assert not pack(name, ReplaceFile(content=b"new")).HasField("modified_file_info")
    assert pack(name, bytearray(b"new")).modified_content == b"new"
    with pytest.raises(HookResultError):
        pack(name, ReplaceFile(info="new"))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "result"), [(HookName.FileWillBeUploaded, b""), (HookName.MessagesWillBeConsumed, [])]
)
def test_emptiness_the_server_would_read_as_unchanged_is_refused(name: HookName, result: object) -> None:
    """An empty file or list would be lost on the way, so it is a wrong result and not silence."""
    with pytest.raises(HookResultError, match="reads an empty"):
        pack(name, result)


def test_wrong_results_name_hook_got_and_accepted() -> None:
    """The error says what was returned, by type, and what may be."""
    with pytest.raises(HookResultError) as caught:
        pack(HookName.MessageWillBePosted, {"message": "secret"})
    text = str(caught.value)
    assert "MessageWillBePosted" in text
    assert "returned dict" in text
    assert "Reject" in text
    assert "Dismiss" in text
    assert "secret" not in text
    with pytest.raises(HookResultError, match="list of Post, User"):
        pack(HookName.MessagesWillBeConsumed, [Post(), User()])


@pytest.mark.parametrize("result", [True, 1.5, "7", 2**63])
def test_an_int_is_an_int_of_64_bits(result: object) -> None:
    """Bool is no count, and a number the wire cannot carry is refused."""
    with pytest.raises(HookResultError):
        pack(HookName.RunDataRetention, result)


@pytest.mark.parametrize("reason", ["", None, 5])
def test_reject_needs_a_reason(reason: Any) -> None:
    """An empty reason would be read as consent, so Reject refuses it."""
    with pytest.raises((TypeError, ValueError), match="reason"):
        Reject(reason)


_anything = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.text(),
    st.binary(),
    st.floats(),
    st.lists(st.one_of(st.none(), st.builds(Post), st.builds(User))),
    st.builds(Post, message=st.text(st.characters(codec="utf-8"))),
    st.builds(Reject, st.text(st.characters(exclude_categories=()), min_size=1)),
    st.just(Dismiss()),
    st.builds(ReplaceFile, content=st.one_of(st.none(), st.binary(), st.text())),
    st.dictionaries(st.text(), st.integers()),
)


@given(row=st.sampled_from(UNARY_ROWS), result=_anything)
def test_any_result_is_packed_or_refused(row: HookRow, result: object) -> None:
    """Whatever a handler returns, there is a response that can be serialised, or a HookResultError."""
    codec = codec_of(row.name)
    try:
        response = codec.pack(result, codec.originals(codec.request_class()))
    except HookResultError:
        return
    again = codec.response_class.FromString(response.SerializeToString())
    if isinstance(result, Reject):
        assert host_reads(HOOK_TABLE[row.name], again) == "refused"


@pytest.mark.parametrize(
    "octets",
    [b"", b"null", b"[]", b"7", '{"a": 1}'.encode("utf-16"), b'\xef\xbb\xbf{"a": 1}', b'{"a": "\xff"}'],
)
def test_a_configuration_as_bytes_must_be_an_object_in_utf8(octets: bytes) -> None:
    """What the server could not read as a configuration is refused, not put in place of one."""
    with pytest.raises(HookResultError, match="no JSON object"):
        pack(HookName.ConfigurationWillBeSaved, octets)
    assert pack(HookName.ConfigurationWillBeSaved, b' \n{"a": 1}').modified_config.config_json
