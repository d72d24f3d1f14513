"""The link matrix: each test of the contract runs over every link."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from functools import partial

import pytest

from mm_plugin.transport.link import APIReceiver, HookReceiver, HostLink, PluginLink
from tests.contract.links import LINKS, open_pair

OpenPair = Callable[[HookReceiver, APIReceiver], AbstractAsyncContextManager[tuple[PluginLink, HostLink]]]


@pytest.fixture(params=LINKS)
def open_link(request: pytest.FixtureRequest) -> OpenPair:
    """Open both ends of one kind of link around a plugin's and a server's side."""
    return partial(open_pair, request.param)
