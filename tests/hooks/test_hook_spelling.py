"""Method names: which are taken for a hook's, misspelled, and which are the author's own."""

from __future__ import annotations

from typing import Any

import pytest

from mm_plugin import HookRegistrationError, Plugin, Request, Response, command, every, route
from mm_plugin.hooks.spelling import meant_by
from mm_plugin.hooks.table import HOOK_TABLE


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("on_activated", "on_activate"),
        ("on_acivate", "on_activate"),
        ("on_deactivated", "on_deactivate"),
        ("on_deactivation", None),
        ("on_configuration_changed", "on_configuration_change"),
        ("on_configuration_changes", "on_configuration_change"),
        ("on_config_change", "on_configuration_change"),
        ("on_config_changed", "on_configuration_change"),
        ("on_settings_changed", "on_settings_change"),
        ("on_setting_change", "on_settings_change"),
        ("execute_commands", "execute_command"),
        ("executeCommand", "execute_command"),
        ("messageWillBePosted", "message_will_be_posted"),
        ("MessageWillBePosted", "message_will_be_posted"),
        ("message_will_be_post", "message_will_be_posted"),
        ("message_posted", "message_has_been_posted"),
        ("on_message_posted", "message_has_been_posted"),
        ("messages_will_be_posted", "message_will_be_posted"),
        ("user_joined_channel", "user_has_joined_channel"),
        ("channel_created", "channel_has_been_created"),
        ("user_will_login", "user_will_log_in"),
        ("serve_HTTP", "serve_http"),
        ("serveHttp", "serve_http"),
        ("ServeHTTP", "serve_http"),
        ("interceptor", "interceptors"),
        ("OnSamlLogin", "on_saml_login"),
    ],
)
def test_names_that_are_all_but_a_hooks(name: str, meant: str | None) -> None:
    """Case, underscores, number, tense, a few letters, auxiliaries that are missing: the hook is known all the same."""
    assert meant_by(name) == meant


OWN = """
activate deactivate install configure settings_changed config_changed on_start on_stop on_message on_timer
on_post on_click on_activity on_install_again on_config on_settings post_message send_message message messages
message_post message_of posted file_upload upload_file upload files execute execute_query run_command
handle_command commands command_executed serve serve_file serve_http2 serve_page http user_name user_login
users_who_left user_of team_of join_channel leave_channel create_channel channel_create add_reaction
reaction_add intercept intercepted notify push_notification email_notification send_email retention
generate_report support_data data_retention preferences ping sync sync_shared_channels websocket_connect
web_socket on_connect cluster_event save_configuration log_in schema metrics route get_user is_active run
"""


@pytest.mark.parametrize("name", OWN.split())
def test_names_of_the_authors_own(name: str) -> None:
    """What only begins like a hook's name, or says the same in another form, is left alone."""
    assert meant_by(name) is None


def test_right_names_are_right() -> None:
    """No hook's method is taken for another's."""
    assert [row.method for row in HOOK_TABLE.values() if meant_by(row.method)] == []


def test_a_class_is_refused() -> None:
    """The error says what was meant, and how to keep the name; what is no hook is not offered as one."""

    def own(self: object, *_: object) -> None: ...

    with pytest.raises(
        HookRegistrationError, match=r"X\.on_activated: .*did you mean on_activate\?.*@hook.*underscore"
    ):
        type("X", (Plugin,), {"on_activated": own})
    with pytest.raises(HookRegistrationError, match=r"did you mean on_settings_change\? Else begin its name with an"):
        type("X", (Plugin,), {"on_settings_changed": own})
    type("X", (Plugin,), {"_on_activated": own})


def test_what_something_else_calls_may_have_any_name() -> None:
    """Routes, commands and intervals say themselves what calls them."""

    class Named(Plugin):
        @route("POST", "/files")
        async def file_uploaded(self, request: Request, response: Response) -> None: ...

        @command("cmd")
        async def execute_commands(self, args: Any) -> None: ...

        @every(60)
        async def on_activated(self) -> None: ...

    assert Named.implemented_hooks()
