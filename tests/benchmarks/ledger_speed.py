"""What the ledger costs: microseconds of the game's thread per call, rows a second, the admin's list at a million rows.

    python tests/benchmarks/ledger_speed.py [rows]

It runs a game of its own in a temporary directory and removes it. The rows (default 1,000,000) lie over 400 days, by
200 players, six backends and eight kinds; all days but today are added up, as an hour after midnight.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
sys.path[:0] = [str(REPOSITORY), str(REPOSITORY / "tests" / "game")]

from browser import Browser  # noqa: E402

from uniwizard.server.game.process import Game  # noqa: E402
from uniwizard.server.game.scratch import own_game  # noqa: E402

RECORD = """
import time
from twisted.internet import reactor
from uniwizard.agent.core.answer import Usage
from uniwizard.agent.core.attempt import Attempt
from uniwizard.agent.core.events import AttemptEnded, AttemptStarted, Answered
from uniwizard.world.ledger import recorder
from uniwizard.world.ledger.budgets import Budgets, Who
from uniwizard.world.ledger.storage import zone

CALLS, AT_ONCE = 20_000, 200
ledger = recorder.the()
limits = {scope: {"usd": 1e9, "per": "month"} for scope in ("game", "account", "character")}
ledger.budgets = Budgets(limits, zone(), time.time)
ledger.open()
who = Who(1, "anna", 2, "Anna")
cpu = 0.0
done = 0

def turn(n=0):
    global cpu
    began = time.thread_time()
    for index in range(n, min(n + AT_ONCE, CALLS)):
        task, now = f"speed-{index}", time.time()
        ledger.ask(task, who, "chat", 0.001)
        ledger(AttemptStarted(now, task, "claude", 1))
        attempt = Attempt("claude", "a-model", "chat", None, "", now, 812.0, Usage(120, 80), 0.0006)
        ledger(AttemptEnded(now, task, attempt))
        ledger(Answered(now, task, "claude", 1, 812.0, 0.0006))
        ledger.flushed(task).addCallback(count)
        ledger.done(task)
    cpu += time.thread_time() - began
    if n + AT_ONCE < CALLS:
        reactor.callLater(0, turn, n + AT_ONCE)

def count(_):
    global done
    done += 1
    if done == CALLS:
        took = time.monotonic() - started
        print(f"game's thread: {cpu / CALLS * 1e6:.0f} us a call (budgets, both events, waiting for the rows)")
        print(f"written: {CALLS / took:,.0f} rows/s; {process(): .0f} us of CPU a call in all threads")
        reactor.stop()

def process():
    return (time.process_time() - whole) / CALLS * 1e6

reactor.callWhenRunning(turn)
started, whole = time.monotonic(), time.process_time()
reactor.run()
"""

FILL = """
import random, time
from uniwizard.world.ledger.storage import Storage
from uniwizard.world.ledger.upkeep import piece

ROWS = {rows}
rng = random.Random(5)
now = time.time()
backends = ["local", "claude", "kimi", "gpt", "gemini", "grok"]
kinds = ["read", "write", "status", "reasoning", "code_review", "knowledge", "summarize", "chat"]
batch = []
storage = Storage()
for n in range(ROWS):
    at = now - rng.random() * 400 * 86400
    failed = rng.random()
    outcome, failure = "answered", ""
    if failed < 0.12:
        outcome, failure = ("refused", "refused") if failed > 0.06 else ("failed", "overloaded")
    player = int(rng.paretovariate(1.2)) % 200
    backend = rng.choice(backends)
    asked, answered = rng.randrange(20, 4000), rng.randrange(5, 900)
    batch.append(("end", dict(
        task=f"fill-{{n}}", number=1, started=at, ended=at + 1, kind=rng.choice(kinds), backend=backend,
        model=backend + "-1", outcome=outcome, failure=failure, status=200, first_token_ms=rng.random() * 900,
        latency_ms=300 + rng.expovariate(1 / 1500), input_tokens=asked, output_tokens=answered,
        cost_usd=0.0 if backend == "local" else asked * 3e-6 + answered * 15e-6,
        account_id=player, account=f"player{{player}}", character_id=player, character=f"player{{player}}",
    )))
    if len(batch) == 20_000:
        storage.apply(batch)
        batch.clear()
storage.apply(batch)
began = time.monotonic()
days = 0
while piece(storage):
    days += 1
print(f"roll-up: {{(time.monotonic() - began) / max(1, days) * 1000:.0f}} ms a day of {{ROWS // 400:,}} attempts")
"""

PAGES = {
    "the list": "/admin/ledger/attempt/",
    "one backend": "/admin/ledger/attempt/?backend=claude",
    "refusals of one kind": "/admin/ledger/attempt/?outcome=refused&kind=chat",
    "last 30 days": "/admin/ledger/attempt/?day=30",
    "page 200": "/admin/ledger/attempt/?p=200",
    "one task": "/admin/ledger/attempt/?q=fill-4711",
    "the shelf": "/admin/ledger/brain/",
    "a backend's page": "/admin/ledger/brain/claude/",
    "one player": "/admin/ledger/attempt/?q=player3",
    "overview, a week": "/uniwizard/",
    "overview, hours": "/uniwizard/?step=hour",
    "overview, 400 days": "/uniwizard/?from=2025-01-01",
    "overview, a backend": "/uniwizard/?from=2025-01-01&backend=claude",
    "overview, a player": "/uniwizard/?player=player3",
    "overview, its live part": "/uniwizard/now",
}


def main(rows: int) -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as directory:
        game = own_game(Path(directory) / "game")
        game.prepare()
        print(game.python(RECORD), end="")
        print(game.python(FILL.format(rows=rows)), end="")
        try:
            game.start()
            _pages(game, rows)
        finally:
            game.stop()


def _pages(game: Game, rows: int) -> None:
    with Browser(game.web_url) as browser:
        browser.login(game.superuser.name, game.superuser.password)
        listed = browser.get("/admin/ledger/attempt/").text
        assert "answered well" in listed, listed[:3000]
        print(f"the admin at {rows:,} rows, over HTTP, best of three:")
        for name, path in PAGES.items():
            times = []
            for _ in range(3):
                began = time.perf_counter()
                answer = browser.get(path)
                times.append(time.perf_counter() - began)
                assert answer.status_code == 200, answer.text[:300]
            print(f"  {name:<22}{min(times) * 1000:6.0f} ms")


if __name__ == "__main__":
    main(int(sys.argv[1]) if sys.argv[1:] else 1_000_000)
