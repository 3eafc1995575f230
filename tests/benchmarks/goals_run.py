"""A backlog of goals in a real game that is killed again and again, against brains that fail.

One brain refuses every third task, one dies, one lies: its work fails the checks.

    python tests/benchmarks/goals_run.py [kills] [goals]      # 20 60
    python tests/benchmarks/goals_run.py --beside 20 60       # a process with an SQLite store in the place of the game

At the end every reachable goal must be reached, every other one told with the fact and the reason, no step paid twice
whose answer had come, and each goal's cost what the ledger says, within 1%. It prints what came of it; anything else
is an error.
"""

from __future__ import annotations

import json
import os
import random
import re
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).parents[2]
sys.path[:0] = [str(REPOSITORY), str(REPOSITORY / "tests"), str(REPOSITORY / "tests" / "game")]

from fake_llm import FakeLLMThread, Reply, Request, status  # noqa: E402
from fake_llm.replies import REFUSAL, answer  # noqa: E402
from twisted.internet.defer import Deferred  # noqa: E402
from twisted.internet.task import react  # noqa: E402
from wired import wired  # noqa: E402

from uniwizard.agent import Router, load  # noqa: E402
from uniwizard.agent.core.clock import sleep  # noqa: E402
from uniwizard.agent.gateway.kept_state import KeptState  # noqa: E402
from uniwizard.agent.goals import Allowance, Desk, Goal, SqliteStore  # noqa: E402
from uniwizard.agent.router import warm_up  # noqa: E402
from uniwizard.server.game.process import Game  # noqa: E402

#: USD for 1,000 tokens.
PRICE = 0.01
#: Goals that are worked at before the first kill.
FIRST = 7
#: Characters of a token, as the provider counts.
PER_TOKEN = 4.2
#: Seconds that an answer takes at most.
SLOW = 2.0
_GOAL = re.compile(r"page (\d+) of the almanac")
BACKENDS = ("refuser", "mortal", "liar", "honest")


def config(url: str) -> str:
    lines = ["version: 1", "practice: never", "backends:"]
    for key in BACKENDS:
        lines += [
            f"  {key}:", "    api: openai", f"    url: {url}/{key}/v1", "    model: told",
            "    api_key: ${ONE_API_KEY}",
            f"    cost_per_1k: {PRICE}", "    max_context: 60000", "    retries: 0", "    max_parallel: 6",
            "    cooldown_time: 2", "    allowed_fails: 2", "    capabilities: [json]",
        ]  # fmt: skip
    return "\n".join([*lines, "rules: [{kinds: ['*'], prefer: [liar, refuser, mortal]}]", ""])


class Brains:
    """What the four of them say. Every seventh page cannot be written: nothing passes its check.

    bill  USD by backend, of every request that was worked at: as of a real provider, also of those whose client has
          gone by the time that the answer is ready
    """

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(seed)
        self._lock = threading.Lock()
        self._asked = 0
        self.dead = False
        self.bill: Counter[str] = Counter()
        self.requests = 0

    def __call__(self, request: Request) -> Reply:
        if request.method != "POST":
            return answer("[]")
        with self._lock:
            key, wait = request.key, self._chance.uniform(0.3, SLOW)
            if key == "mortal" and self.dead:
                # Costs nothing.
                return status(503)
            self._asked += key == "refuser"
            text = REFUSAL if key == "refuser" and self._asked % 3 == 0 else _said(key, request.text)
            given = sum(tokens(str(message["content"])) for message in request.json["messages"])
            self.requests += 1
            self.bill[key] += PRICE * (given + tokens(text)) / 1000.0
        usage = {"prompt_tokens": given, "completion_tokens": tokens(text), "total_tokens": given + tokens(text)}
        return Reply(answer(text, usage=usage).data, after=wait)


def _said(key: str, asked: str) -> str:
    found = _GOAL.search(asked)
    page = found[1] if found else "0"
    if "Answer yes or no" in asked:
        good = f"The almanac, page {page}" in asked.partition("<<<")[2] and int(page) % 7 != 0
        evidence = "the page is there" if good else "this is no page of the almanac"
        return json.dumps({"yes": good, "evidence": evidence})
    if "Propose at most" in asked:
        step = {"name": "hope", "needs": [], "makes": ["hoped"], "instruction": "Hope for the best."}
        return json.dumps({"steps": [step]})
    if key == "liar":
        return "The weather was fine, the harvest was good, and everybody was content with it all."
    return f"The almanac, page {page}: the moon is full, the tides are high, and the pier holds."


def tokens(text: str) -> int:
    """As the provider counts them."""
    return max(1, round(len(text) / PER_TOKEN))


def state(game: Game) -> dict[str, Any]:
    """Every goal as it stands, and what the ledger says that each task cost; the game may be down."""
    with closing(sqlite3.connect(game.directory / "server" / "ledger.db3", timeout=30)) as database:
        goals = [json.loads(text) for (text,) in database.execute("SELECT text FROM ledger_workedgoal")]
        cost = dict(database.execute("SELECT task, sum(cost_usd) FROM ledger_attempt GROUP BY task"))
        answered = [task for (task,) in database.execute("SELECT task FROM ledger_attempt WHERE outcome = 'answered'")]
    return {"goals": goals, "cost": cost, "answered": answered}


def in_a_game(kills: int, count: int) -> None:
    """Kill a game and its portal; the ledger is the game's."""
    seed = random.randrange(10**6)
    brains, chance = Brains(seed), random.Random(seed)
    settings = f"UNIWIZARD_GOAL_LIMITS = {{'usd': 1.0, 'at_once': {count}}}\nUNIWIZARD_THINK_COOLDOWN = 0\n"
    print(f"seed {seed}: {count} goals, {kills} kills", flush=True)
    began = time.monotonic()
    with (
        tempfile.TemporaryDirectory() as directory,
        FakeLLMThread(default=brains) as upstream,
        wired(Path(directory) / "game", config(upstream.url), settings) as game,
    ):
        with game.telnet() as player:
            player.create_account("Keeper", "tjo-hopp-99")
            for page in range(1, count + 1):
                player.send(f"goal page {page} of the almanac")
                player.expect("pins it to the wall", 30)
        for number in range(kills):
            time.sleep(chance.uniform(0.1, 1.5))
            game.kill9()
            brains.dead = number >= kills // 3
            game.start()
            over = sum(goal["state"] in ("reached", "unreachable") for goal in state(game)["goals"])
            print(f"{time.monotonic() - began:6.0f} s: kill {number + 1}, {over} of {count} goals over", flush=True)
        deadline = time.monotonic() + 600
        while time.monotonic() < deadline:
            found = state(game)
            if all(goal["state"] in ("reached", "unreachable") for goal in found["goals"]):
                break
            time.sleep(1)
        report(found, count, kills)


def beside(kills: int, count: int) -> None:
    """Kill a process that has a desk and an SQLite store; the ledger is the provider's count of its answers."""
    seed = random.randrange(10**6)
    brains, chance = Brains(seed), random.Random(seed)
    print(f"seed {seed}: {count} goals, {kills} kills of a process without a game", flush=True)
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as directory, FakeLLMThread(default=brains) as upstream:
        (Path(directory) / "backends.yaml").write_text(config(upstream.url))
        command = [sys.executable, __file__, "--worker", directory, str(count)]
        environ = {**os.environ, "ONE_API_KEY": "sk-one"}
        for number in range(-1, kills + 1):
            brains.dead = number >= kills // 3
            if number < 0:
                # Before the first kill it is known from some goals what an answer costs.
                subprocess.run([*command[:-1], str(FIRST)], stdout=subprocess.DEVNULL, env=environ, check=True)
                continue
            worker = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environ)
            assert worker.stdout is not None and worker.stdout.readline() == "begun\n"
            if number < kills:
                time.sleep(chance.uniform(0.1, 3.0))
                worker.kill()
            worker.wait(1200)
            worker.stdout.close()
        store = SqliteStore(Path(directory) / "goals.db3")
        goals = [json.loads(text) for text in store.load().result]
        store.close()
        ours = sum(usd for goal in goals for usd, *_ in goal["spent"].values())
        theirs = sum(brains.bill.values())
        attempts = sum(len(goal["spent"]) for goal in goals)
        cut = sum(len(goal["estimated"]) for goal in goals)
        guessed = sum(goal["spent"][key][0] for goal in goals for key in goal["estimated"])
        print(
            f"{time.monotonic() - began:6.0f} s: {brains.requests} requests, {attempts} attempts, {cut} of them cut off"
        )
        print(
            f"goals ${ours:.4f} (${guessed:.4f} estimated), provider ${theirs:.4f}: {ours / theirs - 1:+.2%}",
            flush=True,
        )
        for goal in goals:
            judge_end(goal)
        states = Counter(goal["state"] for goal in goals)
        assert len(goals) == count and abs(ours - theirs) <= 0.01 * theirs
        print(f"{kills} kills: {states['reached']} reached, {states['unreachable']} told to be unreachable, 0 lost")


def work(directory: Path, count: int) -> None:
    """The process that is killed: take up what is there, add what is missing, work until all of it is over."""

    async def whole(reactor: Any) -> None:
        warm_up()
        router = Router(load(directory / "backends.yaml", os.environ), reactor)
        desk = Desk(router, SqliteStore(directory / "goals.db3"))
        # As the server does: what answers cost on average is known from one run to the next.
        kept = KeptState(directory / "state.json", router, reactor)
        kept.restore()
        kept.begin()
        await router.start()
        await desk.start()
        known = {record.goal.words for record in desk}
        for page in range(1, count + 1):
            if (words := f"page {page} of the almanac") not in known:
                await desk.add(Goal(words, budget=Allowance(usd=1.0)))
        print("begun", flush=True)
        while not all(record.over for record in desk):
            await sleep(reactor, 0.2)
        await desk.close()
        await router.stop()

    react(lambda reactor: Deferred.fromCoroutine(whole(reactor)))


def judge_end(goal: dict[str, Any]) -> None:
    """Raises AssertionError where a goal did not end as it must."""
    page = int(goal["goal"]["goal"].split()[1])
    wanted = "unreachable" if page % 7 == 0 else "reached"
    steps = [f"{s['number']} {s['action']} by {s['backend']} {s['state']}: {s['why'][:60]}" for s in goal["steps"]]
    told = "\n".join([f"page {page}: {goal['state']}, {goal['fact']}: {goal['why']}", *steps])
    assert goal["state"] == wanted, told
    assert wanted == "reached" or (goal["fact"] and goal["why"]), f"page {page} does not say why"


def report(found: dict[str, Any], count: int, kills: int) -> None:
    """Say what came of it. Raises AssertionError where something is not as it must be."""
    goals = found["goals"]
    assert len(goals) == count, f"{count - len(goals)} goals are lost"
    ours = ledger = 0.0
    twice = 0
    for goal in goals:
        judge_end(goal)
        own = sum(float(usd) for usd, *_ in goal["spent"].values())
        tasks = {task.partition("/")[0] for task in goal["spent"]}
        kept = {part["task"] for step in goal["steps"] for part in step["parts"].values() if part["backend"]}
        # An answer that the ledger has and the goal has not would have been asked for again.
        twice += len((tasks & set(found["answered"])) - kept)
        theirs = sum(found["cost"].get(task, 0.0) for task in tasks)
        assert abs(own - theirs) <= 0.01 * max(theirs, 1e-9), f"{goal['id']}: ${own:.4f}, the ledger says ${theirs:.4f}"
        ours, ledger = ours + own, ledger + theirs
    assert twice == 0, f"{twice} answers had come and were asked for again"
    whole = sum(found["cost"].values())
    assert abs(ours - whole) <= 0.01 * whole, f"all goals ${ours:.4f}, the whole ledger ${whole:.4f}"
    states = Counter(goal["state"] for goal in goals)
    print(
        f"{kills} kills: {states['reached']} reached, {states['unreachable']} told to be unreachable, "
        f"0 lost, 0 paid twice; goals ${ours:.4f}, ledger ${whole:.4f}"
    )


if __name__ == "__main__":
    given = [word for word in sys.argv[1:] if not word.startswith("--")]
    if "--worker" in sys.argv:
        work(Path(given[0]), int(given[1]))
    else:
        how = beside if "--beside" in sys.argv else in_a_game
        how(int(given[0]) if given else 20, int(given[1]) if given[1:] else 60)
