"""How long it takes until every process knows that a breaker has opened, over a real Redis.

    python tests/benchmarks/breaker_spread.py [times]      # 300

Four routers, each with connections of its own to Redis, in one process, so that one clock measures; between processes
the way is the same. Printed are p50 and p99 of the last of the three others, in milliseconds.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).parents[2]
sys.path[:0] = [str(REPOSITORY), str(REPOSITORY / "tests"), str(REPOSITORY / "tests" / "agent")]

from redis_server import RedisServer  # noqa: E402
from twisted.internet.defer import Deferred  # noqa: E402
from twisted.internet.task import react  # noqa: E402

from uniwizard.agent import Cluster, FailureCode, Router, events  # noqa: E402
from uniwizard.agent.config.settings import Config, Rule  # noqa: E402
from uniwizard.agent.core.backend import Backend  # noqa: E402
from uniwizard.agent.core.clock import sleep  # noqa: E402


async def measure(reactor: Any, redis: RedisServer, times: int) -> None:
    """Open and close, again and again."""
    backend = Backend("a", "openai", "http://127.0.0.1:9/v1", "none", max_context=8000, allowed_fails=0)
    routers = []
    for _ in range(4):
        router = Router(Config({"a": backend}, (Rule(frozenset("*"), ("a",)),), practice="never"), reactor)
        cluster = Cluster(redis.url, reactor, 4)
        cluster.start()
        router.share(cluster)
        routers.append(router)
    await sleep(reactor, 1.0)
    took: list[float] = []
    began, seen, last = 0.0, 0, Deferred[None]()

    def heard(event: events.Event) -> None:
        nonlocal seen
        if isinstance(event, events.BreakerOpened):
            seen += 1
            if seen == 3:
                took.append(time.perf_counter() - began)
                last.callback(None)

    for router in routers[1:]:
        router.events.subscribe(heard)
    for _ in range(times):
        seen, last, began = 0, Deferred(), time.perf_counter()
        routers[0].state("a").failed(FailureCode.SERVER_ERROR, "500")
        await last
        routers[0].reset("a")
        await sleep(reactor, 0.02)
    took.sort()
    print(
        f"{times} openings, seen by all three others after p50 {took[len(took) // 2] * 1000:.2f} ms, "
        f"p99 {took[int(len(took) * 0.99)] * 1000:.2f} ms, at most {took[-1] * 1000:.2f} ms"
    )
    for router in routers:
        assert router.cluster is not None
        await router.cluster.stop()
        await router.stop()


if __name__ == "__main__":
    server = RedisServer()
    try:
        asked = int(sys.argv[1]) if sys.argv[1:] else 300
        react(lambda reactor: Deferred.fromCoroutine(measure(reactor, server, asked)))
    finally:
        server.close()
