"""No method of the API is forgotten: each is answered, or stands in the list of what a stand-in cannot do."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from mm_plugin.api.client import PluginAPIClient
from mm_plugin.api.table import api_table
from mm_plugin.devserver.api import DevServerAPI
from mm_plugin.devserver.api_absent import NOT_IN_A_STAND_IN, AbsentHandler
from mm_plugin.exceptions import PluginAPIError, StatusCode
from tests.devserver.worlds import open_world

#: The host stands before the handler and answers it.
BY_THE_HOST = {"plugin_http"}
METHODS = [row.name for row in api_table().values()]
DOCS = Path(__file__).parents[2] / "docs" / "reference" / "devserver.md"


@pytest.mark.parametrize("name", METHODS)
def test_every_method_is_answered_or_listed(name: str) -> None:
    """What has no handler of its own stands in the list, and nothing stands there that has one."""
    homes = [home for home in DevServerAPI.__mro__ if name in vars(home)]
    assert (name in BY_THE_HOST) == (not homes)
    assert (name in NOT_IN_A_STAND_IN) == (homes == [AbsentHandler])


def test_the_contract_has_no_further_methods() -> None:
    """The table has all rpcs of the contract, and the list names methods of the API only."""
    assert len(METHODS) == 236
    assert set(METHODS) >= set(NOT_IN_A_STAND_IN)


async def test_what_is_listed_says_what_to_do() -> None:
    """Each method of the list answers 501 with its id and a text that says what is missing."""

    def call(api: PluginAPIClient, name: str) -> Awaitable[object]:
        calls: dict[str, Callable[[], Awaitable[object]]] = {
            "get_ldap_user_attributes": lambda: api.get_ldap_user_attributes("u", ["mail"]),
            "install_plugin": lambda: api.install_plugin(b"bundle", False),
            "request_trial_license": lambda: api.request_trial_license("u", 10, True, False),
        }
        return calls[name]()

    async with open_world() as world, world.client() as api:
        for name, (error_id, text) in NOT_IN_A_STAND_IN.items():
            with pytest.raises(PluginAPIError) as caught:
                await call(api, name)
            assert (caught.value.id, caught.value.message) == (error_id, text)
            assert (caught.value.code, caught.value.status_code) == (StatusCode.UNIMPLEMENTED, 501)


def test_the_list_is_documented() -> None:
    """The reference page shows every method that is not there, with the server's error."""
    page = DOCS.read_text(encoding="utf-8")
    for name, (error_id, _) in NOT_IN_A_STAND_IN.items():
        assert f"`{name}`" in page
        assert f"`{error_id}`" in page


def test_no_topic_hides_another() -> None:
    """The topics share one object, so no name, private ones included, belongs to two of them."""
    homes: dict[str, list[str]] = {}
    for home in DevServerAPI.__mro__[:-1]:
        for name in vars(home):
            if not name.startswith("__"):
                homes.setdefault(name, []).append(home.__name__)
    assert {name: classes for name, classes in homes.items() if len(classes) > 1} == {}
