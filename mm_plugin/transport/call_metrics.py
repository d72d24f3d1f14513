"""How long hooks and API calls take: a histogram for authors to read and expose, and a log line for slow calls.

Job:    the interceptor that the runtime always has.
Layer:  transport, an interceptor.
Output: ``snapshot`` and ``prometheus_text``, named and labelled like the server's own metrics of its plugins
        (mattermost/mattermost: server/enterprise/metrics). Bounded: one series for each hook and API method of the
        contract and each outcome. Nothing of a call's content is kept or logged.
"""

from __future__ import annotations

import logging
import time
from bisect import bisect_left
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, cast

from mm_plugin import limits
from mm_plugin.transport.interceptors import CallDirection, CallInfo, CallNext

if TYPE_CHECKING:
    from mm_plugin._proto.api_kv_pb2 import KVGetResponse

__all__ = ("CallMetrics", "CallSeries", "prometheus_text")

logger = logging.getLogger("mm_plugin.calls")

_STREAMING = "ServeHTTP"
_METRICS = {
    CallDirection.HOOK: ("mattermost_plugin_hook_time", "hook_name", "Seconds a hook took to answer."),
    CallDirection.API: ("mattermost_plugin_api_time", "api_name", "Seconds an API call took to be answered."),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class CallSeries:
    """All calls of one hook or API method that ended alike.

    Attributes:
        direction: Hook or API call.
        name: The hook's or the rpc's name.
        success: False where the handler raised, the server answered with an error, or the call was cancelled.
        count: Calls.
        sum_s: Their durations together, in seconds.
        buckets: Upper bound in seconds, and calls that took no longer; the last bound is infinite.
    """

    direction: CallDirection
    name: str
    success: bool
    count: int
    sum_s: float
    buckets: tuple[tuple[float, int], ...]


class _Series:
    __slots__ = ("counts", "sum_s")

    def __init__(self) -> None:
        self.counts = [0] * (len(limits.latency_buckets_s) + 1)
        self.sum_s = 0.0


class CallMetrics:
    """The latency histogram of one plugin; an Interceptor."""

    def __init__(self) -> None:
        self._series: dict[tuple[CallDirection, str, bool], _Series] = {}

    async def __call__(self, call: CallInfo, call_next: CallNext) -> object:
        """Time one call, log it where it was slow, and keep nothing but the figures."""
        success = False
        began = time.perf_counter()
        try:
            result = await call_next()
            success = call.direction is CallDirection.HOOK or not _says_error(result)
            return result
        finally:
            self._note(call, time.perf_counter() - began, success)

    def _note(self, call: CallInfo, duration_s: float, success: bool) -> None:
        key = (call.direction, call.name, success)
        series = self._series.get(key)
        if series is None:
            series = self._series[key] = _Series()
        series.counts[bisect_left(limits.latency_buckets_s, duration_s)] += 1
        series.sum_s += duration_s
        if duration_s > limits.slow_call_s and call.name != _STREAMING:
            kind = "hook" if call.direction is CallDirection.HOOK else "API call"
            logger.warning("%s %s took %.1f s", kind, call.name, duration_s, extra={call.direction.value: call.name})

    def snapshot(self) -> tuple[CallSeries, ...]:
        """Return the figures as they are now, in a stable order; may be called from any thread."""
        found: list[CallSeries] = []
        for (direction, name, success), series in list(self._series.items()):
            totals = tuple(accumulate(series.counts))
            found.append(
                CallSeries(
                    direction=direction,
                    name=name,
                    success=success,
                    count=totals[-1],
                    sum_s=series.sum_s,
                    buckets=tuple(zip((*limits.latency_buckets_s, float("inf")), totals, strict=True)),
                )
            )
        return tuple(sorted(found, key=lambda series: (series.direction.value, series.name, series.success)))


def prometheus_text(series: tuple[CallSeries, ...], *, plugin_id: str) -> str:
    """Return a snapshot in the text format of Prometheus, version 0.0.4."""
    lines: list[str] = []
    for direction, (metric, label, explanation) in _METRICS.items():
        lines += (f"# HELP {metric} {explanation}", f"# TYPE {metric} histogram")
        for one in series:
            if one.direction is direction:
                labels = f'plugin_id="{plugin_id}",{label}="{one.name}",success="{str(one.success).lower()}"'
                for bound, count in one.buckets:
                    limit = "+Inf" if bound == float("inf") else f"{bound:g}"
                    lines.append(f'{metric}_bucket{{{labels},le="{limit}"}} {count}')
                lines += (f"{metric}_sum{{{labels}}} {one.sum_s!r}", f"{metric}_count{{{labels}}} {one.count}")
    return "\n".join((*lines, ""))


def _says_error(result: object) -> bool:
    return cast("KVGetResponse", result).HasField("error")  # every response of the API has that field
