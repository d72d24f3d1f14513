"""What no stand-in can do: methods that answer as a server without the feature answers, HTTP 501.

``NOT_IN_A_STAND_IN`` is the whole list; docs/reference/devserver.md shows it, and tests hold every other method to an
answer of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from mm_plugin.devserver.api_base import APIBase
from mm_plugin.devserver.errors import unavailable
from mm_plugin.messages.plugins import Manifest

__all__ = ("NOT_IN_A_STAND_IN", "AbsentHandler")

#: By method: the error's id, and what is missing and what to do instead.
NOT_IN_A_STAND_IN: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "get_ldap_user_attributes": (
            "ent.ldap.disabled.app_error",
            "There is no LDAP directory here; keep what the plugin needs in User.props, or test against Mattermost.",
        ),
        "install_plugin": (
            "app.plugin.upload_disabled.app_error",
            "Bundles are not unpacked here; start the plugin from its folder, as `mm-plugin dev PATH` does.",
        ),
        "request_trial_license": (
            "ent.license.trial.app_error",
            "There are no licenses here; what needs one must be tested against Mattermost.",
        ),
    }
)


class AbsentHandler(APIBase):
    """What is not here, on purpose."""

    async def get_ldap_user_attributes(self, user_id: str, attributes: list[str]) -> dict[str, str]:  # noqa: ARG002
        """Refuse: there is no directory."""
        raise _absent("get_ldap_user_attributes")

    async def install_plugin(self, file_data: bytes, replace: bool) -> Manifest:  # noqa: ARG002
        """Refuse: plugins run from their folders."""
        raise _absent("install_plugin")

    async def request_trial_license(
        self,
        requester_id: str,  # noqa: ARG002
        users: int,  # noqa: ARG002
        terms_accepted: bool,  # noqa: ARG002
        receive_emails_accepted: bool,  # noqa: ARG002
    ) -> None:
        """Refuse: there are no licenses."""
        raise _absent("request_trial_license")


def _absent(name: str) -> Exception:
    error_id, text = NOT_IN_A_STAND_IN[name]
    return unavailable(error_id, text, name)
