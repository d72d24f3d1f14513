"""The hook table against the contract's descriptors and the typed methods: nothing is missing, nothing invented."""

from __future__ import annotations

import inspect
from pathlib import Path

from mm_plugin._proto.services import hook_methods
from mm_plugin.hooks.codec import codec_of
from mm_plugin.hooks.names import IMPLEMENTED, HookName
from mm_plugin.hooks.policy import FailurePolicy
from mm_plugin.hooks.table import HOOK_TABLE, HookRow, OutputKind, Refusal
from mm_plugin.messages.json_fields import JSON_DOCUMENTS
from mm_plugin.plugin.plugin import Plugin
from tests.hooks.rows import UNARY_ROWS, each_row


def test_the_table_has_a_row_for_each_rpc_but_implemented() -> None:
    """All 41 hooks stand in the table, in the contract's order, under their own names."""
    assert [str(name) for name in HOOK_TABLE] == [name for name in hook_methods() if name != IMPLEMENTED]
    assert list(HOOK_TABLE) == list(HookName)
    assert len(HOOK_TABLE) == 41
    assert all(row.name is name for name, row in HOOK_TABLE.items())
    assert len({row.method for row in HOOK_TABLE.values()}) == 41


def test_only_serve_http_streams() -> None:
    """The table calls a hook streaming exactly where its rpc is."""
    streaming = [name for name, method in hook_methods().items() if method.client_streaming]
    assert [str(row.name) for row in HOOK_TABLE.values() if row.streaming] == streaming == ["ServeHTTP"]


@each_row
def test_every_request_field_is_an_argument(row: HookRow) -> None:
    """RequestContext is field 1 and no argument; all other fields are arguments, in order."""
    fields = [field.name for field in hook_methods()[row.name].request.DESCRIPTOR.fields]
    assert fields == ["context", *row.fields]
    assert row.arguments == tuple("context" if name == "plugin_context" else name for name in row.fields)


@each_row
def test_every_response_field_is_an_output_or_the_refusal(row: HookRow) -> None:
    """No response field is left without a way for a handler to set it."""
    fields = {field.name for field in hook_methods()[row.name].response.DESCRIPTOR.fields}
    accounted = {output.field for output in row.outputs} | ({row.refusal.value} - {""})
    assert fields == accounted


@each_row
def test_output_kinds_are_those_of_the_descriptors(row: HookRow) -> None:
    """An output's kind is its field's type, and what it replaces has that type too."""
    method = hook_methods()[row.name]
    for output in row.outputs:
        field = method.response.DESCRIPTOR.fields_by_name[output.field]
        if field.message_type is not None and field.message_type.name in JSON_DOCUMENTS:
            kind = OutputKind.JSON
        elif field.message_type is not None:
            kind = OutputKind.MESSAGES if field.is_repeated else OutputKind.MESSAGE
        else:
            kinds = {field.TYPE_BYTES: OutputKind.CONTENT, field.TYPE_BOOL: OutputKind.BOOL}
            kind = kinds.get(field.type, OutputKind.INT)
        assert output.kind is kind
        if output.replaces:
            replaced = method.request.DESCRIPTOR.fields_by_name[output.replaces]
            if replaced.message_type is not None and replaced.message_type.name == "EmailNotificationJson":
                assert field.message_type is not None
                assert field.message_type.name == "EmailNotificationContent"  # what the document holds
            else:
                assert (replaced.type, replaced.message_type) == (field.type, field.message_type)


@each_row
def test_policies_are_those_the_response_can_express(row: HookRow) -> None:
    """A row can reject where its response can say no, and its default is one of its policies."""
    assert row.default_policy in row.policies
    assert (FailurePolicy.REJECT in row.policies) is (row.refusal is not Refusal.NONE)
    assert (FailurePolicy.ERROR in row.policies) is (row.refusal is Refusal.ERROR)


def test_the_rows_that_reject_and_allow_by_default() -> None:
    """Logins, files and configurations are refused by default where a handler fails; posts, pushes and mails pass."""
    rejecting = {row.name for row in UNARY_ROWS if row.default_policy is FailurePolicy.REJECT}
    assert rejecting == {
        HookName.UserWillLogIn,
        HookName.OnSAMLLogin,
        HookName.FileWillBeUploaded,
        HookName.ConfigurationWillBeSaved,
        HookName.OnSharedChannelsPing,
    }
    allowing = {row.name for row in UNARY_ROWS if row.refusal is Refusal.REASON} - rejecting
    assert all(HOOK_TABLE[name].default_policy is FailurePolicy.ALLOW for name in allowing)
    assert HookName.MessageWillBePosted in allowing


def test_each_row_has_a_typed_method_of_the_same_arguments() -> None:
    """Plugin has one method for each hook, and its parameters are the row's arguments."""
    for row in HOOK_TABLE.values():
        parameters = inspect.signature(getattr(Plugin, row.method)).parameters.values()
        assert [p.name for p in parameters] == ["self", *row.arguments]
        assert all(p.kind is p.POSITIONAL_ONLY for p in parameters)


@each_row
def test_an_absent_hook_is_answered_neutrally(row: HookRow) -> None:
    """The answer without a handler is empty, but for the ping, which is healthy."""
    expected = ["healthy"] if row.name is HookName.OnSharedChannelsPing else []
    assert [field.name for field, _ in codec_of(row.name).absent().ListFields()] == expected


def test_the_type_samples_override_every_hook_in_both_forms() -> None:
    """The file that type checkers are run on leaves no hook out."""
    text = (Path(__file__).parents[1] / "plugin" / "typing" / "every_hook.py").read_text()
    for row in HOOK_TABLE.values():
        assert f"    async def {row.method}(" in text
        assert row.streaming or f"    def {row.method}(" in text
