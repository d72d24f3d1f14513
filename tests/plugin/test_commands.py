"""Slash commands from signatures: what is typed, what the method gets, what is answered, what is registered."""

from __future__ import annotations

from enum import Enum
from typing import Any, Literal

import pytest
from google.protobuf.message import Message
from hypothesis import given, strategies as st

from mm_plugin.exceptions import DeclarationError
from mm_plugin.hooks.results import Reject
from mm_plugin.messages.commands import CommandArgs, CommandResponse
from mm_plugin.messages.common import PluginContext
from mm_plugin.plugin.command_line import UsageError, Word, read_arguments, split_words
from mm_plugin.plugin.command_mark import command
from mm_plugin.plugin.commands import collect_commands
from mm_plugin.plugin.plugin import Plugin
from tests.plugin.running import EmptyAPI, Running, running


class Unit(Enum):
    MINUTES = "min"
    HOURS = "h"


class Reminder(Plugin):
    """Commands of every form; each notes what it got."""

    def __init__(self) -> None:
        self.got: Any = None

    @command("remind", display_name="Reminder")
    async def remind(
        self,
        args: CommandArgs,
        when: int,
        unit: Unit = Unit.MINUTES,
        *text: str,
        urgent: bool = False,
        ratio: float = 0.5,
        priority: Literal["low", "high"] = "low",
        notify: list[str] = [],  # noqa: B006 - never changed
        until: int | None = None,
    ) -> str:
        """Remind me of something.

        And more for readers of the code.
        """
        self.got = (when, unit, text, urgent, ratio, priority, notify, until)
        return f"for {args.user_id}"

    @command("remind list")
    def list_all(self, context: PluginContext, numbers: list[int]) -> CommandResponse:
        """List reminders."""
        self.got = (context.session_id, numbers)
        return CommandResponse(response_type="in_channel", text="all")

    @command("remind list old", description="Old ones")
    async def list_old(self) -> None:
        self.got = "old"

    @command("admin reset")
    async def reset(self, *, who: str) -> Reject:
        raise PermissionError(who)

    @command("admin refuse")
    async def refuse(self, untyped) -> Reject:  # type: ignore[no-untyped-def]
        return Reject(untyped)


async def say(run: Running, text: str) -> Any:
    return await run.call("ExecuteCommand", plugin_context={"session_id": "s"}, args={"command": text, "user_id": "u"})


PLAIN: tuple[Any, ...] = (5, Unit.MINUTES, (), False, 0.5, "low", [], None)


@pytest.mark.parametrize(
    ("text", "got"),
    [
        ("/remind 5", PLAIN),
        ("/REMIND 5 h", (5, Unit.HOURS, *PLAIN[2:])),
        ('/remind 5 h buy "oat milk" it\'s', (5, Unit.HOURS, ("buy", "oat milk", "it's"), *PLAIN[3:])),
        ("/remind 5 h “oat milk”", (5, Unit.HOURS, ("oat milk",), *PLAIN[3:])),
        ("/remind --urgent 5", (*PLAIN[:3], True, *PLAIN[4:])),
        ("/remind —urgent 5", (*PLAIN[:3], True, *PLAIN[4:])),
        ("/remind 5 --no-urgent --ratio=2", (*PLAIN[:4], 2.0, *PLAIN[5:])),
        ("/remind 5 --ratio -1.5", (*PLAIN[:4], -1.5, *PLAIN[5:])),
        ('/remind 5 --notify=@ada --notify "@b b" --priority high', (*PLAIN[:5], "high", ["@ada", "@b b"], None)),
        ("/remind 5 --until 9", (*PLAIN[:7], 9)),
        ("/remind 5 h -- --urgent", (5, Unit.HOURS, ("--urgent",), *PLAIN[3:])),
        ('/remind 5 h "--urgent" "li\\"st"', (5, Unit.HOURS, ("--urgent", 'li"st'), *PLAIN[3:])),
        ("/remind list", ("s", [])),
        ("/remind LIST 1 2", ("s", [1, 2])),
        ("/remind list old", "old"),
    ],
)
async def test_text_becomes_arguments(text: str, got: object) -> None:
    """Words, quotes, flags, choices, lists and subcommands, to async methods and blocking ones."""
    plugin = Reminder()
    async with running(plugin) as run:
        response = await say(run, text)
        assert not response.HasField("error")
        assert plugin.got == got


async def test_results_become_responses() -> None:
    """A str is for the user alone, a CommandResponse stays, None says nothing, Reject and crashes are errors."""
    async with running(Reminder()) as run:
        response = (await say(run, "/remind 5")).response
        assert (response.response_type, response.text) == ("ephemeral", "for u")
        assert (await say(run, "/remind list")).response.response_type == "in_channel"
        assert (await say(run, "/remind list old")).response.text == ""
        assert "no!" in (await say(run, "/admin refuse no!")).error.detailed_error
        assert (await say(run, "/admin reset --who ada")).HasField("error")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("/remind soon", "`when` must be a whole number, not `soon`."),
        ("/remind", "`when` is missing; it is a whole number."),
        ("/remind 5 days", "`unit` must be one of min, h, not `days`."),
        ("/remind 5 --ration 2", "There is no flag `--ration`; did you mean `--ratio`?"),
        ("/remind 5 --no-ratio", "There is no flag `--no-ratio`"),
        ("/remind 5 --ratio", "`--ratio` needs a value: a number."),
        ("/remind 5 --urgent=perhaps", "`--urgent` must be true or false, not `perhaps`."),
        ('/remind 5 h "open', "A quote is not closed"),
        ("/remind list 1 x", "`numbers` must be a whole number, not `x`."),
        ("/remind list old 1", "I do not know what to do with `1`."),
        ("/admin reset", "`--who` is missing; it is text."),
        ("/admin delete", "There is no subcommand `delete`."),
        ("/remind " + "x " * 600, "up to 512 words"),
        ("/nothing", "There is no command `/nothing` here."),
        ("", "There is no command `/` here."),
    ],
)
async def test_what_does_not_fit_is_told_to_the_user_alone(text: str, reason: str) -> None:
    """The answer says why and, for a known command, how it is used; the method does not run."""
    plugin = Reminder()
    async with running(plugin) as run:
        response = (await say(run, text)).response
    assert response.response_type == "ephemeral"
    assert reason in response.text
    assert "`/" in response.text
    assert plugin.got is None


HELP = (
    "`/remind <when> [min|h] [text ...] [--urgent] [--ratio RATIO] [--priority low|high] [--notify NOTIFY] "
    "[--until UNTIL]`: Remind me of something.\n"
    "`/remind list [numbers ...]`: List reminders.\n"
    "`/remind list old`: Old ones"
)


@pytest.mark.parametrize("text", ["/remind --help", "/admin", "/admin help", "/remind list old help"])
async def test_help_is_given_where_it_is_asked_for(text: str) -> None:
    """--help always, the bare word where it can be nothing else, and a command that has subcommands only."""
    async with running(Reminder()) as run:
        answer = (await say(run, text)).response.text
    if text.startswith("/admin"):
        assert answer.splitlines() == ["`/admin refuse <untyped>`", "`/admin reset --who WHO`"]
    else:
        assert answer == (HELP if text == "/remind --help" else "`/remind list old`: Old ones")


# -- registration ---------------------------------------------------------------------------------------------


class Server(EmptyAPI):
    """Keeps the commands that are registered, or refuses them."""

    def __init__(self) -> None:
        super().__init__()
        self.commands: list[Any] = []
        self.refuse = False

    async def call_api(self, method: str, request: Message, *, deadline: float | None = None) -> Message:
        response: Any = await super().call_api(method, request, deadline=deadline)
        if method == "RegisterCommand":
            self.commands.append(request.command)  # type: ignore[attr-defined]
        if self.refuse:
            response.error.message = "custom commands are off"
        return response  # type: ignore[no-any-return]


async def activated(plugin: Plugin, server: Server) -> Any:
    async with running(plugin, server) as run:
        return await run.call("OnActivate")


async def test_commands_register_themselves_before_on_activate() -> None:
    """One for each trigger, with what the list of commands shows."""

    class Asking(Reminder):
        async def on_activate(self) -> None:
            await self.api.get_server_version()

    server = Server()
    await activated(Asking(), server)
    assert server.asked == ["RegisterCommand", "RegisterCommand", "GetServerVersion"]
    remind, admin = server.commands
    assert (remind.trigger, remind.display_name, remind.auto_complete) == ("remind", "Reminder", True)
    assert remind.description == remind.auto_complete_desc == "Remind me of something."
    assert remind.auto_complete_hint.startswith("[list] <when> [min|h]")
    assert (admin.trigger, admin.display_name, admin.auto_complete_hint) == ("admin", "admin", "[refuse|reset]")
    assert admin.description == "Subcommands: refuse, reset"


async def test_a_refused_registration_fails_the_activation() -> None:
    """Nothing of the author's has run then."""
    server = Server()
    server.refuse = True
    assert "custom commands are off" in (await activated(Reminder(), server)).error.detailed_error


async def test_a_handwritten_execute_command_gets_the_other_triggers() -> None:
    """Both may live in one plugin."""

    class Both(Reminder):
        async def execute_command(self, context: PluginContext, args: CommandArgs) -> CommandResponse:
            return CommandResponse(text=f"by hand: {args.command}")

    async with running(Both()) as run:
        assert (await say(run, "/other 5")).response.text == "by hand: /other 5"
        assert (await say(run, "/remind 5")).response.text == "for u"
    assert Both.implemented_hooks() == Reminder.implemented_hooks() == ["ExecuteCommand"]


# -- declarations ---------------------------------------------------------------------------------------------


def _methods() -> dict[str, Any]:
    async def unusable(self: Any, value: bytes) -> None: ...
    async def mapping(self: Any, value: dict[str, int]) -> None: ...
    async def middle(self: Any, values: list[int], last: int) -> None: ...
    async def flags(self: Any, **flags: str) -> None: ...
    async def helping(self: Any, *, help: bool = False) -> None: ...  # noqa: A002
    async def plain(self: Any) -> None: ...

    return {name: value for name, value in locals().items() if callable(value)}


@pytest.mark.parametrize(
    ("words", "method", "reason"),
    [
        ("", "plain", "@command needs the word after the slash"),
        ("/remind", "plain", "'/remind' cannot be the word of a command"),
        ("Remind", "plain", "'Remind' cannot be the word"),
        ("remind", "unusable", r"unusable\(value\): .* cannot be used here"),
        ("remind", "mapping", "a word cannot be an object"),
        ("remind", "middle", "values takes all words; it must be the last"),
        ("remind", "flags", "cannot take any flag there is"),
        ("remind", "helping", "--help is answered already"),
    ],
)
def test_wrong_declarations_fail_at_the_class_statement(words: str, method: str, reason: str) -> None:
    """The error names the method and what to do."""
    function = command(words)(_methods()[method])
    with pytest.raises(DeclarationError, match=reason):
        type("Wrong", (Plugin,), {method: function})


def test_two_methods_for_one_command_are_refused() -> None:
    """The error names both."""
    with pytest.raises(DeclarationError, match=r"Wrong.two: /remind has a method already, one"):

        class Wrong(Plugin):
            @command("remind")
            async def one(self) -> None: ...
            @command("remind")
            async def two(self) -> None: ...


def test_a_subclass_may_give_a_command_up() -> None:
    """Setting the method to None takes the command out; without any, the hook is not handled."""

    class One(Plugin):
        @command("remind")
        async def remind(self) -> None: ...

    class Without(One):
        remind = None  # type: ignore[assignment]

    assert One.implemented_hooks() == ["ExecuteCommand"]
    assert Without.implemented_hooks() == []


# -- the parser -----------------------------------------------------------------------------------------------


@given(st.lists(st.text(max_size=12), max_size=8))
def test_quoted_words_come_back_as_they_are(texts: list[str]) -> None:
    """Whatever a word holds, quoting it keeps it whole."""
    escaped = [text.replace("\\", "\\\\") for text in texts]
    for quote in '"“”':
        escaped = [text.replace(quote, f"\\{quote}") for text in escaped]
    line = " ".join(f'"{text}"' for text in escaped)
    assert split_words(line) == [Word(text, quoted=True) for text in texts]


@given(st.lists(st.text(st.characters(exclude_characters='"“”„', exclude_categories=["Z", "C"]), min_size=1)))
def test_bare_words_are_parted_by_spaces(words: list[str]) -> None:
    """Without quotes it is what str.split does."""
    line = "  ".join(words)
    assert split_words(line) == [Word(word) for word in line.split()]


@given(st.text(st.sampled_from('-—= "“”5hx\\nourgent'), max_size=40))
def test_any_line_gives_values_or_a_reason(line: str) -> None:
    """Nothing that is typed raises anything else, and the values have the declared types."""
    parameters = collect_commands(Reminder)["remind"].parameters
    try:
        values = read_arguments(parameters, split_words(line))
    except UsageError:
        return
    assert type(values["when"]) is int
    assert isinstance(values.get("unit", Unit.HOURS), Unit)
    assert isinstance(values.get("urgent", True), bool)


def test_the_decorator_without_parentheses_is_refused() -> None:
    """The sentence says what to write instead."""
    with pytest.raises(DeclarationError, match=r'@command\("remind"\)'):
        command(lambda self: None)  # type: ignore[arg-type]


class Unbound(Plugin):
    """Commands that take no self, the decorators in either order."""

    @command("one")
    @staticmethod
    def one(word: str) -> str:
        return f"one {word}"

    @staticmethod
    @command("two")
    def two(word: str) -> str:
        return f"two {word}"

    @command("three")
    @classmethod
    def three(cls, word: str) -> str:
        return f"three {word} of {cls.__name__}"


async def test_static_and_class_methods_are_commands_too() -> None:
    """No parameter is taken for self where there is none."""
    async with running(Unbound()) as run:
        for typed, told in (("/one a", "one a"), ("/two b", "two b"), ("/three c", "three c of Unbound")):
            answer = await run.call("ExecuteCommand", args=CommandArgs(command=typed))
            assert answer.response.text == told


@pytest.mark.parametrize("space", ["\t", "\n", "\u00a0", "  "])
async def test_a_trigger_ends_at_any_white_space(space: str) -> None:
    """What people paste between the command and its words is no part of the command."""
    async with running(Unbound()) as run:
        answer = await run.call("ExecuteCommand", args=CommandArgs(command=f" /one{space}a"))
    assert answer.response.text == "one a"


async def test_a_command_that_returns_a_wrong_type_is_named_with_its_line(caplog: pytest.LogCaptureFixture) -> None:
    """The log names the author's method and not the hook that carries all commands."""

    class Counting(Plugin):
        @command("count")
        async def count(self) -> Any:
            return 3

    async with running(Counting()) as run:
        await run.call("ExecuteCommand", args=CommandArgs(command="/count"))
    (record,) = [record for record in caplog.records if record.levelname == "ERROR"]
    line = Counting.count.__code__.co_firstlineno
    assert f"HookResultError at {__file__}:{line} in {Counting.count.__qualname__}" in record.getMessage()
    assert "/count returned int; it may return str, CommandResponse, Reject or None" in caplog.text
