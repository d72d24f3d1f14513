"""The load generator's process: puts load on one server and prints what came of it as JSON.

``python -m benchmarks.load HOST:PORT PID KIND AMOUNT SECONDS``: KIND is unary (AMOUNT calls in flight, for SECONDS),
upload or download (AMOUNT messages of 64 KiB).
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

from benchmarks.raw_http2 import LoadClient
from mm_plugin._proto.common_pb2 import PluginContext
from mm_plugin._proto.hooks_http_pb2 import ServeHTTPRequest, ServeHTTPRequestInit
from mm_plugin._proto.hooks_message_pb2 import MessageHasBeenPostedRequest
from mm_plugin._proto.post_pb2 import Post

HOOK = "/mattermost.pluginapi.v1.PluginHooks/MessageHasBeenPosted"
SERVE_HTTP = "/mattermost.pluginapi.v1.PluginHooks/ServeHTTP"
CHUNK_OCTETS = 65_536
_WARM_UP_S = 0.3
_TICKS = os.sysconf("SC_CLK_TCK")


def post_request() -> bytes:
    """Return the request of every call: a post of 300 octets as the server sends one."""
    post = Post(
        id="b" * 26, create_at=1_700_000_000_000, update_at=1_700_000_000_000, user_id="u" * 26, channel_id="c" * 26
    )
    post.message = "x" * (300 - post.ByteSize() - 3)
    context = PluginContext(session_id="s" * 26, request_id="r" * 26, ip_address="127.0.0.1", user_agent="bench")
    return MessageHasBeenPostedRequest(plugin_context=context, post=post).SerializeToString()


def cpu_s(pid: int) -> float:
    """Return the CPU time of all threads of a process, in seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def unary(client: LoadClient, pid: int, in_flight: int, seconds: float) -> dict[str, float]:
    message = post_request()
    client.unary(HOOK, message, in_flight=in_flight, seconds=_WARM_UP_S)
    own, cpu, begun = time.process_time(), cpu_s(pid), time.perf_counter()
    taken = sorted(client.unary(HOOK, message, in_flight=in_flight, seconds=seconds))
    elapsed = time.perf_counter() - begun
    return {
        "per_s": len(taken) / elapsed,
        "cpu_us": (cpu_s(pid) - cpu) / len(taken) * 1e6,
        "load_cpu_us": (time.process_time() - own) / len(taken) * 1e6,
        "p50_us": taken[len(taken) // 2] * 1e6,
        "p99_us": taken[len(taken) * 99 // 100] * 1e6,
    }


def stream(client: LoadClient, kind: str, count: int) -> dict[str, float]:
    octets = count * CHUNK_OCTETS
    url = "/upload" if kind == "upload" else f"/download?octets={octets}"
    init = ServeHTTPRequestInit(method="POST", url=url)
    begun = time.perf_counter()
    if kind == "upload":
        client.upload(
            SERVE_HTTP,
            ServeHTTPRequest(init=init).SerializeToString(),
            ServeHTTPRequest(body_chunk=bytes(CHUNK_OCTETS)).SerializeToString(),
            ServeHTTPRequest(body_complete=True).SerializeToString(),
            count=count,
        )
    else:
        first = ServeHTTPRequest(init=init, body_complete=True).SerializeToString()
        assert client.download(SERVE_HTTP, first) > octets, "octets were lost"
    return {"mb_per_s": octets / (time.perf_counter() - begun) / 1e6}


def main() -> None:
    address, pid, kind, amount, seconds = sys.argv[1:]
    host, _, port = address.rpartition(":")
    client = LoadClient(host, int(port))
    if kind == "unary":
        result = unary(client, int(pid), int(amount), float(seconds))
    else:
        stream(client, kind, 64)
        cpu = cpu_s(int(pid))
        result = stream(client, kind, int(amount))
        result["cpu_us"] = (cpu_s(int(pid)) - cpu) / int(amount) * 1e6
    print(json.dumps(result))


if __name__ == "__main__":
    main()
