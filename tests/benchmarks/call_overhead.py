"""What a call costs beside the model's own time: CPU and wall per ``call_with_fallback``.

    python tests/benchmarks/call_overhead.py                     # or: make bench
    LITELLM_PYTHON=/path/to/python python tests/benchmarks/call_overhead.py

The whole road of a thought (classify, rank, veil, encode, scan, call, decode, judge, account) against an upstream on
loopback that runs in its own process and answers at once or after 100 ms; beside it, in the same run, Twisted's bare
Agent, and LiteLLM's Router where LITELLM_PYTHON names an interpreter that has it. CPU is the process time of the client
alone; "stream" asks for the answer in pieces, of which there are twelve. Every prompt is a different one. The bar:
0.6 ms of CPU per call, and at 50 at once eight times the calls per second of LiteLLM's Router.

    python tests/benchmarks/call_overhead.py profile [stream]    # where the time goes, by cProfile
"""

from __future__ import annotations

import cProfile
import json
import os
import pstats
import subprocess
import sys
import time
import warnings
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults, succeed
from twisted.internet.task import react
from twisted.web.client import Agent, HTTPConnectionPool, readBody
from twisted.web.http_headers import Headers
from twisted.web.iweb import IBodyProducer
from zope.interface import implementer

from uniwizard.agent import Router, Task
from uniwizard.agent.config.loader import load
from uniwizard.agent.config.yaml_files import CONFIGS

TESTS = Path(__file__).resolve().parents[1]
PEERS = Path(__file__).parent / "peers"
AT_ONCE = (1, 50, 200)
DELAYS = (0.0, 0.1)
#: What a row is called, whether the answer is a stream, and how many names are hidden.
OURS = (("uniwizard", False, 0), ("1,000 names", False, 1000), ("the same, stream", True, 0))
KEYS = ("ANTHROPIC_API_KEY", "MOONSHOT_API_KEY", "OPENAI_API_KEY", "GEMINI_API_KEY", "XAI_API_KEY")

Call = Callable[[int], Awaitable[object]]


@implementer(IBodyProducer)
class Body:
    """A request body in memory, as Agent wants it."""

    def __init__(self, body: bytes):
        self.body = body
        self.length = len(body)

    def startProducing(self, consumer: Any) -> Deferred[None]:
        consumer.write(self.body)
        return succeed(None)

    def pauseProducing(self) -> None: ...

    def resumeProducing(self) -> None: ...

    def stopProducing(self) -> None: ...


@contextmanager
def upstream(delay: float) -> Iterator[int]:
    """The port of an upstream in its own process that answers after ``delay`` seconds."""
    process = subprocess.Popen(
        [sys.executable, "-m", "fake_llm", str(delay)], cwd=TESTS, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        yield int(process.stdout.readline())
    finally:
        process.terminate()
        process.wait()


def calls_for(at_once: int, delay: float) -> int:
    """Enough calls for about two seconds of work."""
    return max(10, at_once * 10) if delay else 600 if at_once == 1 else 3000


async def measure(call: Call, at_once: int, calls: int) -> dict[str, float]:
    """Wall and CPU seconds of ``calls`` calls, ``at_once`` under way at any time."""
    took: list[float] = []

    async def worker(numbers: Iterator[int]) -> None:
        for number in numbers:
            started = time.perf_counter()
            await call(number)
            took.append(time.perf_counter() - started)

    async def run(count: int) -> tuple[float, float]:
        took.clear()
        numbers = iter(range(count))
        wall, cpu = time.perf_counter(), time.process_time()
        await gatherResults([Deferred.fromCoroutine(worker(numbers)) for _ in range(at_once)], consumeErrors=True)
        return time.perf_counter() - wall, time.process_time() - cpu

    await run(2 * at_once)
    wall, cpu = await run(calls)
    return {"wall": wall, "cpu": cpu, "p99": sorted(took)[int(len(took) * 0.99) - 1]}


def our_router(port: int, *, streams: bool = False, names: int = 0) -> tuple[Router, Call]:
    """A router over the six backends and rules of configs/backends.yaml, all of them at the upstream's address.

    names  how many people it hides, as that of a game with so many accounts does
    """
    kinds = frozenset({"tools", "json", "images", "audio"} | ({"stream"} if streams else set()))
    config = load(CONFIGS / "backends.yaml", dict.fromkeys(KEYS, "none"))
    url = f"http://127.0.0.1:{port}/v1"
    backends = {
        key: replace(backend, api="openai", url=url, max_parallel=1000, capabilities=kinds)
        for key, backend in config.backends.items()
    }
    router = Router(replace(config, backends=backends, practice="never"), reactor)
    router.hide(f"Zeph{number:04d}wyn Bor{number:04d}ka" for number in range(names))

    async def call(number: int) -> object:
        result = await router.call_with_fallback(Task(f"How do tides work at harbour {number}?"))
        assert "moon" in result.text
        return result

    return router, call


def bare_agent(port: int) -> tuple[HTTPConnectionPool, Call]:
    pool = HTTPConnectionPool(reactor)
    pool.maxPersistentPerHost = 1000
    agent = Agent(reactor, pool=pool)
    headers = Headers({b"content-type": [b"application/json"]})
    url = f"http://127.0.0.1:{port}/v1/chat/completions".encode()

    async def call(number: int) -> object:
        asked = {"model": "bench", "messages": [{"role": "user", "content": f"How do tides work at harbour {number}?"}]}
        response = await agent.request(b"POST", url, headers, Body(json.dumps(asked).encode()))
        return json.loads(await readBody(response))

    return pool, call


def litellm(port: int, at_once: int, calls: int) -> dict[str, float] | None:
    interpreter = os.environ.get("LITELLM_PYTHON")
    if not interpreter:
        return None
    command = [interpreter, str(PEERS / "litellm_router.py"), str(port), str(at_once), str(calls)]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        measured: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
    except (IndexError, ValueError):
        return None
    return measured


def row(client: str, at_once: int, delay: float, calls: int, measured: dict[str, float] | None) -> None:
    words = f"{client:<16} {at_once:>8} {delay * 1000:>8.0f} ms"
    if measured is None:
        print(f"{words}   not installed (LITELLM_PYTHON names an interpreter that has it)")
        return
    print(
        f"{words} {calls / measured['wall']:>10.0f} {measured['cpu'] / calls * 1000:>10.3f}"
        f" {measured['wall'] / calls * 1000:>10.3f} {measured['p99'] * 1000:>8.1f}",
        flush=True,
    )


async def compare(_: Any) -> None:
    """Print the table."""
    print(
        f"{'client':<16} {'at once':>8} {'upstream':>11} {'calls/s':>10} {'CPU ms':>10} {'wall ms':>10} {'p99 ms':>8}"
        "   (CPU and wall per call)"
    )
    for delay in DELAYS:
        for at_once in AT_ONCE:
            calls = calls_for(at_once, delay)
            with upstream(delay) as port:
                for name, streams, names in OURS:
                    router, call = our_router(port, streams=streams, names=names)
                    row(name, at_once, delay, calls, await measure(call, at_once, calls))
                    await router.stop()
                pool, call = bare_agent(port)
                row("bare Agent", at_once, delay, calls, await measure(call, at_once, calls))
                await pool.closeCachedConnections()
                fewer = calls if delay else max(200, calls // 5)
                row("LiteLLM Router", at_once, delay, fewer, litellm(port, at_once, fewer))


async def profile(_: Any) -> None:
    """Print where 3000 calls at 50 at once spend their time."""
    with upstream(0.0) as port:
        router, call = our_router(port, streams="stream" in sys.argv)
        await measure(call, 50, 500)
        profiler = cProfile.Profile()
        profiler.enable()
        await measure(call, 50, 3000)
        profiler.disable()
        await router.stop()
    pstats.Stats(profiler).sort_stats("tottime").print_stats(45)
    pstats.Stats(profiler).sort_stats("cumulative").print_stats(60)


if __name__ == "__main__":
    # Twisted's readBody warns of Twisted's own response.
    warnings.simplefilter("ignore", DeprecationWarning)
    work = profile if "profile" in sys.argv[1:] else compare
    react(lambda reactor: Deferred.fromCoroutine(work(reactor)))
