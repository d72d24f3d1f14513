"""Fault switches: make plugins and API misbehave on purpose, for tests and demonstrations.

Job:    delay, drop, kill, hang, a garbage handshake, a full key-value store, a slow API; each turned at run time.
Layer:  host, around one plugin's link and API.
"""

from __future__ import annotations

import math
import os
import signal
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import anyio

from mm_plugin.exceptions import ConfigurationError, StatusCode
from mm_plugin.host.link_around import LinkAround
from mm_plugin.transport.link import APIReceiver, CallFailure, FailureKind, HostLink

if TYPE_CHECKING:
    from google.protobuf.message import Message

__all__ = ("Faults", "FaultyAPI", "FaultyLink", "parse_faults")

#: The lifecycle goes undisturbed, but for the delay: a plugin must run before its faults can be seen.
_LIFECYCLE = frozenset({"Implemented", "OnActivate", "OnDeactivate", "OnConfigurationChange"})
#: API methods that store a value, and the request field that is empty where they delete one.
_KV_WRITES = {
    "KVSet": "value",
    "KVSetWithExpiry": "value",
    "KVSetWithOptions": "value",
    "KVCompareAndSet": "new_value",
}
_GARBAGE = b"Hello! This is no handshake."


@dataclass(slots=True, kw_only=True)
class Faults:
    """The switches; all off at first.

    Attributes:
        delay_s: Each hook call waits for so long before it is sent.
        drop: Each so-manieth hook call loses its answer; 1 for all, 0 for none.
        kill: The plugin's process is killed by SIGKILL at the so-manieth hook call of each life; 0 for never.
        hang: The process is stopped by SIGSTOP at the so-manieth hook call of each life; 0 for never.
        garbage_handshake: Starts fail, because the process seems to print something else first.
        kv_full: The key-value store takes no more values; deleting works.
        api_delay_s: Each API call waits for so long before it is answered.
    """

    delay_s: float = 0
    drop: int = 0
    kill: int = 0
    hang: int = 0
    garbage_handshake: bool = False
    kv_full: bool = False
    api_delay_s: float = 0

    @property
    def first_line(self) -> bytes | None:
        """What to take for a process's first line; None for what it printed."""
        return _GARBAGE if self.garbage_handshake else None


def parse_faults(texts: Iterable[str]) -> Faults:
    """Read switches as a command line gives them: ``delay_s=0.5``, ``kill=10``, ``kv_full``.

    Raises:
        ConfigurationError: There is no such switch, or it does not take such a value.
    """
    faults = Faults()
    switches = {field.name: isinstance(getattr(faults, field.name), bool) for field in fields(Faults)}
    for text in texts:
        name, equals, value = text.partition("=")
        name = name.strip().replace("-", "_")
        if name not in switches:
            raise ConfigurationError(f"fault {text!r}: expected one of {', '.join(switches)}")
        if switches[name]:
            if equals:
                raise ConfigurationError(f"fault {text!r}: {name} is on or off and takes no value")
            setattr(faults, name, True)
            continue
        try:
            number = float(value) if name.endswith("_s") else int(value)
        except ValueError:
            number = math.nan
        if not 0 <= number < math.inf:
            what = "seconds, such as 0.5" if name.endswith("_s") else "a whole number, such as 3"
            raise ConfigurationError(f"fault {text!r}: expected {name}= and {what}")
        setattr(faults, name, number)
    return faults


class FaultyLink(LinkAround):
    """A HostLink with faults.

    Args:
        link: The real one.
        faults: The switches, looked at on each call.
        pid: The plugin's process.
    """

    def __init__(self, link: HostLink, faults: Faults, pid: int) -> None:
        super().__init__(link)
        self._faults = faults
        self._pid = pid
        self._calls = 0

    async def call_hook(self, name: str, request: Message, *, deadline: float | None = None) -> Message:
        """Call a hook; see HostLink."""
        faults = self._faults
        with anyio.move_on_at(math.inf if deadline is None else deadline) as waited:
            await anyio.sleep(faults.delay_s)
        if waited.cancelled_caught:
            raise CallFailure("the deadline passed", kind=FailureKind.DEADLINE, code=StatusCode.DEADLINE_EXCEEDED)
        if name in _LIFECYCLE:
            return await self._link.call_hook(name, request, deadline=deadline)
        self._calls += 1
        if self._calls == faults.kill:
            self._signal(signal.SIGKILL)
        if self._calls == faults.hang:
            self._signal(signal.SIGSTOP)
        response = await self._link.call_hook(name, request, deadline=deadline)
        if faults.drop and self._calls % faults.drop == 0:
            raise CallFailure("the answer was dropped on purpose", kind=FailureKind.LOST, code=StatusCode.UNAVAILABLE)
        return response

    def _signal(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            os.kill(self._pid, number)


class FaultyAPI:
    """An APIReceiver with faults.

    Args:
        receiver: The real one.
        faults: The switches, looked at on each call.
    """

    def __init__(self, receiver: APIReceiver, faults: Faults) -> None:
        self._receiver = receiver
        self._faults = faults

    async def handle_api(self, method: str, request: Message, *, deadline: float | None) -> Message:
        """Answer one API call; see APIReceiver.

        Raises:
            CallFailure: As the receiver does, and RESOURCE_EXHAUSTED for a value where the store is full.
        """
        await anyio.sleep(self._faults.api_delay_s)
        if self._faults.kv_full and method in _KV_WRITES and getattr(request, _KV_WRITES[method]):
            raise CallFailure(
                "the key-value store is full on purpose",
                id="app.plugin.key_value.full.app_error",
                code=StatusCode.RESOURCE_EXHAUSTED,
            )
        return await self._receiver.handle_api(method, request, deadline=deadline)
