"""Write docs/reference/hooks.md from the hook table and the typed methods of Plugin.

Usage: python tools/hook_docs.py            write the page
       python tools/hook_docs.py --check    write nothing; show what would change and exit 1 if anything would
"""

from __future__ import annotations

import inspect
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from mm_plugin import limits  # noqa: E402 - the package of this tree, wherever this is started
from mm_plugin.hooks.names import HookName  # noqa: E402
from mm_plugin.hooks.policy import FailurePolicy  # noqa: E402
from mm_plugin.hooks.table import HOOK_TABLE, HookRow, Refusal  # noqa: E402
from mm_plugin.plugin.plugin import Plugin  # noqa: E402
from tools.generated_file import write_or_check  # noqa: E402

PAGE = ROOT / "docs" / "reference" / "hooks.md"

INTRODUCTION = f"""\
# Hooks

<!-- Generated from the hook table by tools/hook_docs.py; `make proto` writes it anew. -->

The server calls these methods of your plugin. Override one by its name, or bind any other method with
`@hook(HookName.X)` or `@hook("X")`. Type checkers compare either with its hook, parameters and result, and the class
statement checks how many parameters it has and in which order. mypy needs `types-protobuf` for that, which the extras
`dev` and `testing` bring: without it a message is `Any` to it, and nothing is found.

A handler is `async def` or `def`; a `def` handler runs in one of {limits.hook_threads} worker threads, which it keeps
until it ends, also past its time. `ServeMetrics` cannot be handled: this protocol has no
rpc for it; serve metrics by `serve_http`.

**Results.** `None` means "as if there were no hook". Returning an argument as it came means the same; returning it
changed is a change, also where it was changed in place. Changing an argument and returning `None` sends nothing, and is
logged once. `Reject(reason)` refuses; the user reads the reason. In hooks with an error in their answer, raising
`PluginAPIError` gives that error. Any other result is a `HookResultError`, and the failure policy answers.

**When a handler fails** (it raises, takes too long, returns what the hook cannot express, or the request is too large,
cannot be decoded, or arrives while the plugin stops) its *failure policy* answers, and one ERROR record with hook,
request id, the author's line and traceback is logged; its message never quotes the error's text, which may hold
secrets. The answer has status OK and carries the decision; only a request that never reached its handler ends with
RESOURCE_EXHAUSTED, INTERNAL or UNAVAILABLE where the policy is `ALLOW` and the server reads that as "let pass". Choose
the policy by `@hook(HookName.X, on_failure=FailurePolicy.REJECT)`:

| policy | means |
| --- | --- |
| `REJECT` | refuse what the server asked about |
| `ALLOW` | as if there were no such hook |
| `ERROR` | report an error; where the answer has an error field the same as `REJECT` |

**Time.** A handler has {limits.hook_timeout_s:g} s (`MATTERMOST_PLUGIN_HOOK_TIMEOUT`), or what the server allows less
{limits.hook_deadline_margin_s:g} s where that is shorter, and is cancelled then; API calls it makes are cancelled with
it. `serve_http` has no limit. A handler that keeps the event loop from running for over
{limits.loop_blocked_s * 1000:g} ms is reported once, with the line it stands on.
"""

#: What the table cannot say about a hook.
NOTES = {
    HookName.OnConfigurationChange: "Called once before `on_activate` by the plugin's own side; the server does not.",
    HookName.OnDeactivate: "The server logs an error and goes on.",
    HookName.OnActivate: "An error ends the activation; operators read its text.",
    HookName.OnCloudLimitsUpdated: "The server sends no numbers today.",
    HookName.ConfigurationWillBeSaved: (
        "`new_config` is a mapping with every key of config.json, secrets included; `new_config.raw` holds the octets. "
        "Return all of it: what you return replaces the configuration."
    ),
    HookName.MessageWillBePosted: "`Dismiss()` drops the post silently. The server loses props of a replaced post.",
    HookName.MessageWillBeUpdated: "The server loses props of a replaced post.",
    HookName.MessagesWillBeConsumed: "An empty list cannot be said: the server reads it as unchanged.",
    HookName.FileWillBeUploaded: (
        "`file_content` is a stream: `async for chunk in file_content`, `await file_content.read(limit)`; in a `def` "
        "handler `for chunk in file_content`, or `file_content.sync`, a binary file. Empty content cannot be said."
    ),
    HookName.EmailNotificationWillBeSent: (
        "What you return replaces all of the content; start from `email_notification.content()`."
    ),
    HookName.OnSAMLLogin: "`assertion` is a mapping, empty where there was none; `assertion.raw` holds the octets.",
    HookName.ExecuteCommand: "`None` tells the user nothing.",
    HookName.OnSharedChannelsSyncMsg: "`sync_msg` is a mapping; `sync_msg.raw` holds the octets.",
    HookName.OnSharedChannelsPing: "Return `False`, or fail, to be unhealthy.",
    HookName.ServeHTTP: "Without a handler the answer is 404; one that raises gives a plain 500.",
    HookName.UserHasJoinedChannel: "`actor` is `None` where users joined by themselves.",
    HookName.UserHasLeftChannel: "`actor` is `None` where users left by themselves.",
    HookName.UserHasJoinedTeam: "`actor` is `None` where users joined by themselves.",
    HookName.UserHasLeftTeam: "`actor` is `None` where users left by themselves.",
}


def main() -> int:
    return write_or_check(PAGE, page, root=ROOT, description=__doc__)


def page() -> str:
    """Return the page."""
    rows = HOOK_TABLE.values()
    lines = [
        (f"[{row.name}](#{row.name.lower()})", _arguments(row), _results(row), _absent(row), _policies(row))
        for row in rows
    ]
    overview = [
        "## All hooks",
        "",
        "| hook | handler | results besides `None` | without a handler | when it fails |",
        "| --- | --- | --- | --- | --- |",
        *(f"| {' | '.join(cells)} |" for cells in lines),
    ]
    return "\n".join([INTRODUCTION, *overview, "", *(_section(row) for row in rows)]).rstrip() + "\n"


def _section(row: HookRow) -> str:
    method = getattr(Plugin, row.method)
    signature = inspect.signature(method)
    parameters = [
        f"{name}: {parameter.annotation}" for name, parameter in signature.parameters.items() if name != "self"
    ]
    result = _result_type(row)
    head = f"def {row.method}({', '.join(['self', *parameters])}) -> {result}"
    if len(head) > 100:
        lines = "".join(f"    {parameter},\n" for parameter in ["self", *parameters])
        head = f"def {row.method}(\n{lines}) -> {result}"
    text = inspect.cleandoc(method.__doc__ or "")
    notes = f"\n\n{NOTES[row.name]}" if row.name in NOTES else ""
    facts = [
        f"- without a handler: {_absent(row)}",
        f"- when it fails: {_policies(row)}",
        f"- how it says no: {_refusal(row)}",
    ]
    return f"### {row.name}\n\n{text}{notes}\n\n```py\n{head}\n```\n\n" + "\n".join(facts) + "\n"


def _result_type(row: HookRow) -> str:
    annotation = str(inspect.signature(getattr(Plugin, row.method)).return_annotation)
    match = re.fullmatch(r"MaybeAwaitable\[(.*)\]", annotation)
    return match[1] if match else annotation


def _arguments(row: HookRow) -> str:
    return f"`{row.method}({', '.join(row.arguments)})`"


def _results(row: HookRow) -> str:
    if row.streaming:
        return "the response"
    kinds = [kind for kind in _result_type(row).split(" | ") if kind != "None"]
    return ", ".join(f"`{kind}`" for kind in kinds).replace("`NewContent`", "bytes or an iterator of bytes") or "-"


def _absent(row: HookRow) -> str:
    if row.streaming:
        return "404"
    if row.absent:
        return ", ".join(f"{name} = {str(value).lower()}" for name, value in row.absent.items())
    if row.refusal is Refusal.REASON or any(output.replaces for output in row.outputs):
        return "let pass, unchanged"
    if row.refusal is Refusal.NONE:
        return "nothing happens"
    return ", ".join(["no error", *(f"no {output.field}" for output in row.outputs)])


def _policies(row: HookRow) -> str:
    if row.streaming:
        return "500, or a broken-off body"
    others = [policy.name for policy in row.policies if policy is not row.default_policy]
    if row.policies == (FailurePolicy.ALLOW,):
        return "**ALLOW**"
    return f"**{row.default_policy.name}**" + (f", or {', '.join(others)}" if others else "")


def _refusal(row: HookRow) -> str:
    return {
        Refusal.NONE: "it cannot" if not row.streaming else "by its status",
        Refusal.REASON: "`Reject(reason)`, shown to the user",
        Refusal.ERROR: "`Reject(reason)` or `PluginAPIError`, an error to the server",
        Refusal.UNHEALTHY: "`False`",
    }[row.refusal]


if __name__ == "__main__":
    raise SystemExit(main())
