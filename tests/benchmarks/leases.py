"""Processes that use one limit together over a real Redis, while that is stopped, emptied, and some of them are killed.

    python tests/benchmarks/leases.py [--processes 8] [--rate 200] [--limit 20000] [--trouble freeze|flush|kill|all]

Every process writes each use into a file of its own before the next, so that kill -9 hides none. Printed are the
overshoot (uses above the limit) and what was stranded (the limit's part that nobody could use in the end), both as
shares of the limit; the commands that Redis got a use; and how long a use waited for Redis, p50 and p99.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).parents[2]
sys.path[:0] = [str(REPOSITORY), str(REPOSITORY / "tests")]


def use(address: str, limit: float, rate: float, processes: int, file: Path) -> None:
    """Be one of the processes: use the limit, one at a time, until told to end (SIGTERM)."""
    from twisted.internet import reactor as running
    from twisted.internet.defer import Deferred

    from uniwizard.agent.core.clock import sleep
    from uniwizard.agent.state.cluster import Cluster

    reactor: Any = running
    cluster = Cluster(address, reactor, processes)
    used, refused, waits = 0, 0, []
    pool = cluster.pool("benchmark", limit, lambda: float(used), until=time.time() + 3600, whole=True)
    handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    async def work() -> None:
        nonlocal used, refused
        cluster.start()
        while True:
            await sleep(reactor, random.expovariate(rate))
            began = time.perf_counter()
            await pool.ready(1.0)
            waits.append(time.perf_counter() - began)
            if pool.left() >= 1.0:
                used += 1
                os.write(handle, b".")
                pool.touched()
            else:
                refused += 1

    def tell() -> None:
        waits.sort()
        figures = {"calls": cluster.calls, "waits": waits[:: max(1, len(waits) // 2000)]}
        file.with_suffix(".json").write_text(json.dumps(figures))

    reactor.addSystemEventTrigger("before", "shutdown", tell)
    Deferred.fromCoroutine(work()).addErrback(lambda why: why.printTraceback())
    reactor.run()


class Redis:
    """A redis-server of one's own that keeps nothing."""

    def __init__(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.url = f"redis://127.0.0.1:{self.port}/0"
        command = ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        time.sleep(0.5)

    def say(self, *words: str) -> None:
        subprocess.run(["redis-cli", "-p", str(self.port), *words], stdout=subprocess.DEVNULL, check=True)


def main(arguments: argparse.Namespace) -> None:
    """Run and print."""
    folder = Path(tempfile.mkdtemp(prefix="leases-"))
    redis = Redis()
    command = [sys.executable, __file__, "--address", redis.url, "--limit", str(arguments.limit)]
    command += ["--rate", str(arguments.rate), "--processes", str(arguments.processes)]
    workers = [subprocess.Popen([*command, "--use", str(folder / str(n))]) for n in range(arguments.processes)]
    files = [folder / str(number) for number in range(arguments.processes)]

    def uses() -> int:
        return sum(file.stat().st_size for file in files if file.exists())

    began, troubles, dead = time.monotonic(), [], []
    kinds = {"none": [], "all": ["freeze", "flush", "kill"]}.get(arguments.trouble, [arguments.trouble])
    next_trouble = began + 6
    before, still_since = 0, time.monotonic()
    # What was promised to a dead process is free again after half a minute.
    patience = 40 if "kill" in kinds else 12
    while time.monotonic() - still_since < patience and time.monotonic() - began < arguments.seconds:
        time.sleep(0.25)
        if uses() != before:
            before, still_since = uses(), time.monotonic()
        if kinds and time.monotonic() > next_trouble and uses() < arguments.limit * 0.98:
            kind = kinds[len(troubles) % len(kinds)]
            troubles.append(kind)
            if kind == "freeze":
                redis.process.send_signal(signal.SIGSTOP)
                time.sleep(random.choice([0.7, 2.0, 4.5]))
                redis.process.send_signal(signal.SIGCONT)
            elif kind == "flush":
                redis.say("FLUSHALL")
            elif len(dead) < arguments.processes // 2:
                victim = workers[len(dead)]
                victim.kill()
                dead.append(victim)
            next_trouble = time.monotonic() + random.uniform(4, 7)
    took = time.monotonic() - began
    for worker in workers:
        if worker not in dead:
            worker.terminate()
    for worker in workers:
        worker.wait()
    redis.process.kill()
    total, limit = uses(), arguments.limit
    told = [json.loads(file.with_suffix(".json").read_text()) for file in files if file.with_suffix(".json").exists()]
    waits = sorted(wait for each in told for wait in each["waits"])
    calls = sum(each["calls"] for each in told)
    living = sum(file.stat().st_size for file in files if file.with_suffix(".json").exists())
    print(
        f"{arguments.processes} processes x {arguments.rate:g}/s, limit {limit:g}, {took:.0f} s, troubles: "
        f"{', '.join(troubles) or 'none'}: {total} uses; overshoot {max(0, total - limit) / limit:.3%}, "
        f"stranded {max(0, limit - total) / limit:.3%}; {calls / max(1, living):.3f} commands a use; "
        f"waited p50 {waits[len(waits) // 2] * 1000:.2f} ms, p99 {waits[int(len(waits) * 0.99)] * 1000:.2f} ms"
    )
    shutil.rmtree(folder)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--processes", type=int, default=8)
    parser.add_argument("--rate", type=float, default=200.0)
    parser.add_argument("--limit", type=float, default=20_000.0)
    parser.add_argument("--seconds", type=float, default=180.0)
    parser.add_argument("--trouble", default="none", choices=["none", "freeze", "flush", "kill", "all"])
    parser.add_argument("--address", default="")
    parser.add_argument("--use", type=Path)
    given = parser.parse_args()
    if given.use:
        use(given.address, given.limit, given.rate, given.processes, given.use)
    else:
        main(given)
