"""Many requests at the same moment at the door: how many are answered, asked to come again, or cut.

    python tests/attacks/crowd.py [2500]

The provider takes a second for each, so all of them are under way at once.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from socket import create_connection
from time import perf_counter

sys.path[:0] = [str(Path(__file__).resolve().parents[1] / room) for room in ("..", "", "agent")]

#: What a request that is told nothing counts as.
CUT = "cut"


def room_for(connections: int) -> None:
    """Let this process open so many files."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + 500
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted if hard == -1 else min(wanted, hard), hard))


def crowd(address: tuple[str, int], count: int, sent: bytes) -> Counter[str]:
    """Send ``sent`` over ``count`` connections at once; how many answers of each status came, and how many none.

    An answer of 503 without ``Retry-After`` counts as ``503!``.
    """
    room_for(count)
    told: Counter[str] = Counter()
    connections = []
    for _ in range(count):
        try:
            connection = create_connection(address, timeout=120)
            connections.append(connection)
            connection.sendall(sent)
        except OSError:
            told[CUT] += 1
    for connection in connections:
        said = b""
        with suppress(OSError):
            said = connection.recv(10_000)
        status = said[9:12].decode() or CUT
        told[status + "!" if status == "503" and b"\r\nretry-after:" not in said.lower() else status] += 1
        connection.close()
    return told


def _wide(config: str) -> str:
    return config.replace("    retries: 0\n", "    retries: 0\n    max_parallel: 5000\n")


def main() -> int:
    from fake_llm import answer
    from gateway_server import ASKED, Program, Provider

    count = int(sys.argv[1]) if len(sys.argv) > 1 else 2_500
    body = json.dumps({"model": "a", "messages": ASKED}).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    with Provider() as provider, Program(_wide(provider.config("a"))) as served:
        provider.default = replace(answer(), after=1.0)
        began = perf_counter()
        told = crowd(served.address, count, head + body)
        print(f"{count} requests at once: {dict(told)} within {perf_counter() - began:.1f} s")
    return 1 if told[CUT] or told["503!"] else 0


if __name__ == "__main__":
    sys.exit(main())
