"""Doors (``python -m uniwizard.world.doors``) on a PostgreSQL and a Redis of their own, without Evennia's server.

    python tests/benchmarks/doors.py cpu [--requests 3000] [--rounds 3]       # CPU of a request at 1 and at 4 doors
    python tests/benchmarks/doors.py crash [--seconds 60] [--doors 4]         # kill -9 of doors, PostgreSQL stopped

``cpu``: 32 kept connections ask as fast as they are answered by a provider on loopback; the CPU is that of the doors
alone, from /proc, with token, budget, rate and ledger. The best of the rounds counts.

``crash``: eight clients ask questions of their own; now and then a door is killed, Redis is emptied or stopped, or
PostgreSQL goes for some seconds. In the end every request that the provider saw has its row, every answer that a client
saw is in the ledger as answered, and nothing is there twice.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import random
import re
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

REPOSITORY = Path(__file__).parents[2]
sys.path[:0] = [str(REPOSITORY), *(str(REPOSITORY / "tests" / name) for name in ("", "game", "agent"))]

from fake_llm import FakeLLMThread, Reply, Request  # noqa: E402
from several import Doors, Several, kill, together  # noqa: E402
from wired import address, config, says  # noqa: E402

SETTINGS = """
UNIWIZARD_LEDGER_TEXTS = True
UNIWIZARD_TOKEN_LIMITS = {"requests_per_minute": 10_000_000, "usd_per_month": 1e6}
UNIWIZARD_BUDGETS = {"game": {"usd": 1e6, "per": "month"}, "account": {"usd": 1e6, "per": "day"}}
"""
_QUESTION = re.compile(r"question q(\d+)\b")


@contextmanager
def ground(upstream: FakeLLMThread) -> Iterator[tuple[Several, str]]:
    """A game's directory, its database, its Redis and a token."""
    backend: dict[str, Any] = {"max_parallel": 200, "allowed_fails": 100_000}
    backend["quota"] = [{"limit": 100_000_000, "unit": "requests", "per": "day"}]
    players = [("Anna", "benchmark", 10_000_000, 1e6)]
    with (
        tempfile.TemporaryDirectory(prefix="doors-") as folder,
        together(Path(folder) / "game", config(backend), players, SETTINGS, UPSTREAM=address(upstream)) as several,
    ):
        yield several, several.tokens["Anna"][0]


def ask(connection: http.client.HTTPConnection, secret: str, words: str) -> tuple[int, str]:
    """Status and body."""
    body = json.dumps({"model": "one", "messages": [{"role": "user", "content": words}]})
    head = {"Authorization": f"Bearer {secret}", "Content-Type": "application/json"}
    connection.request("POST", "/v1/chat/completions", body, head)
    told = connection.getresponse()
    return told.status, told.read().decode()


def cpu_of(doors: Doors) -> float:
    """Seconds of CPU that the doors have used."""
    total = 0
    for pid in doors.children():
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        total += int(fields[11]) + int(fields[12])
    return total / os.sysconf("SC_CLK_TCK")


def load(doors: Doors, secret: str, requests: int, clients: int = 32) -> float:
    """Ask so often; seconds it took. Raises AssertionError where one is not answered."""
    numbers, lock = iter(range(requests)), threading.Lock()
    wrong: list[Any] = []

    def client() -> None:
        web = urlsplit(doors.url)
        connection = http.client.HTTPConnection(web.hostname or "", web.port, timeout=60)
        while True:
            with lock:
                number = next(numbers, None)
            if number is None:
                return
            status, body = ask(connection, secret, f"How do tides work at harbour {number}?")
            if status != 200:
                wrong.append((status, body[:300]))
                return

    began = time.perf_counter()
    threads = [threading.Thread(target=client) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong, wrong[0]
    return time.perf_counter() - began


def cpu(requests: int, rounds: int) -> None:
    """CPU of a request at one door and at four."""
    best: dict[int, float] = {}
    with FakeLLMThread(default=says()) as upstream, ground(upstream) as (several, secret):
        for _ in range(rounds):
            for count in (1, 4):
                with several.doors(count) as doors:
                    time.sleep(3.0)
                    load(doors, secret, 400)
                    before = cpu_of(doors)
                    took = load(doors, secret, requests)
                    used = (cpu_of(doors) - before) / requests * 1000.0
                    print(
                        f"{count} doors: {used:.2f} ms of CPU a request, {requests / took:.0f} requests/s", flush=True
                    )
                    best[count] = min(used, best.get(count, used))
    print(f"best: {best[1]:.2f} ms at 1, {best[4]:.2f} ms at 4: {best[4] / best[1]:.2f} times")


def crash(seconds: float, count: int) -> None:
    """What becomes of everything while doors are killed and PostgreSQL goes."""

    def reply(request: Request) -> Reply:
        return says(f"Answered {_QUESTION.findall(request.text)[-1]}.")

    seen: Counter[str] = Counter()
    numbers, lock, over = iter(range(10**9)), threading.Lock(), threading.Event()

    def client(doors: Doors, secret: str) -> None:
        web = urlsplit(doors.url)
        while not over.is_set():
            with lock:
                number = str(next(numbers))
            connection = http.client.HTTPConnection(web.hostname or "", web.port, timeout=60)
            try:
                status, body = ask(connection, secret, f"What of question q{number} today?")
                if status == 200:
                    assert f"Answered {number}." in body
                    with lock:
                        seen[number] += 1
            except (OSError, http.client.HTTPException):
                time.sleep(0.05)
            finally:
                connection.close()

    troubles: Counter[str] = Counter()
    with FakeLLMThread(default=reply) as upstream, ground(upstream) as (several, secret), several.doors(count) as doors:
        threads = [threading.Thread(target=client, args=(doors, secret)) for _ in range(8)]
        for thread in threads:
            thread.start()
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            time.sleep(random.uniform(1.0, 4.0))
            trouble = random.choice(["door", "door", "postgres", "flush", "freeze"])
            troubles[trouble] += 1
            if trouble == "door" and (alive := doors.children()):
                kill(random.choice(alive))
            elif trouble == "postgres":
                several.database.stop()
                time.sleep(random.uniform(0.5, 4.0))
                several.database.start()
            elif trouble == "flush":
                several.redis.flush()
            elif trouble == "freeze":
                several.redis.freeze()
                time.sleep(random.uniform(0.5, 4.0))
                several.redis.thaw()
        over.set()
        for thread in threads:
            thread.join()
        deadline = time.monotonic() + 60
        while several.sql("SELECT count(*) FROM ledger_attempt WHERE outcome = 'under way'") != [(0,)]:
            assert time.monotonic() < deadline, "an attempt stays under way"
            time.sleep(0.5)
        time.sleep(3.0)
        rows = several.sql("SELECT prompt, outcome, task, number, cost_usd FROM ledger_attempt")
        sent = Counter(_QUESTION.findall(request.text)[-1] for request in upstream.log)
    in_rows, answered = Counter[str](), Counter[str]()
    for prompt, outcome, *_ in rows:
        found = _QUESTION.findall(prompt)
        in_rows[found[-1]] += 1
        answered[found[-1]] += outcome == "answered"
    assert len({row[2:4] for row in rows}) == len(rows), "something is there twice"
    lost = [question for question, times in sent.items() if in_rows[question] < times]
    assert not lost, f"{len(lost)} requests reached the provider and have no row: {lost[:5]}"
    unpaid = [question for question in seen if not answered[question]]
    assert not unpaid, f"{len(unpaid)} answers were shown and are not in the ledger: {unpaid[:5]}"
    extra = sum((in_rows - sent).values())
    cut = sum(row[1] == "interrupted" for row in rows)
    assert extra <= cut, "rows of requests that nobody sent"
    print(
        f"{count} doors, {seconds:.0f} s, {dict(troubles)}: {sum(sent.values())} requests at the provider, {len(rows)} "
        f"rows ({cut} interrupted, {extra} of them before they were sent), {sum(seen.values())} answers shown, 0 lost, "
        "0 twice"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["cpu", "crash"])
    parser.add_argument("--requests", type=int, default=3000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--doors", type=int, default=4)
    given = parser.parse_args()
    if given.what == "cpu":
        cpu(given.requests, given.rounds)
    else:
        crash(given.seconds, given.doors)
