"""Kills and reloads a real game at random moments under load, and then asks whether anything was lost::

    with Crashes(directory, seed=7) as crashes:
        crashes.run(times=6)
        print(crashes.report())        # raises AssertionError where something was lost

Players think all the time, each about questions of its own that nobody else asks; the provider counts every request it
gets. One backend is broken, so its breaker must be open from the first question to the end.
"""

from __future__ import annotations

import os
import random
import re
import signal
import sqlite3
import subprocess
import time
from collections import Counter
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any

from fake_llm import FakeLLMThread, Reply, Request, status
from prepared import copied
from thinker import Thinker
from wired import address, says

from uniwizard.server.game.process import GameFailed
from uniwizard.server.game.telnet import NotSeen, Telnet

CONFIG = """
version: 1
practice: never
backends:
  broken:
    api: openai
    url: ${BROKEN}
    model: none
    api_key: ${ONE_API_KEY}
    strengths: [speed]
    max_context: 8000
    retries: 0
    allowed_fails: 0
    cooldown_time: 80000
  one:
    api: openai
    url: ${UPSTREAM}
    model: told
    api_key: ${ONE_API_KEY}
    cost_per_1k: {input: 0.01, output: 0.02}
    strengths: [speed]
    max_context: 8000
    timeout: 30
    retries: 0
    max_parallel: 50
    allowed_fails: 1000
rules: [{kinds: ["*"], prefer: [broken, one]}]
"""
SETTINGS = "UNIWIZARD_THINK_COOLDOWN = 0\nUNIWIZARD_LEDGER_TEXTS = True\n"
#: What 100 tokens in and 50 out cost above, in USD.
COST = 0.002
#: How often each kind of crash is drawn: of everything; of the server alone; of the server while it comes up again;
#: and a reload. The portal holds nothing of ours, and to start it too takes three times as long.
KINDS = {"kill": 1, "server": 4, "start": 1, "reload": 2}
#: Seconds that a server takes to come up, about; the second kill falls somewhere within.
COMING_UP = 4.0
_QUESTION = re.compile(r"question q(\d+x\d+)")


class Crashes:
    """A game under load, and what became of everything."""

    def __init__(self, directory: Path, *, seed: int, players: int = 4, settings: str = "", pace: float = 2.0):
        self._random = random.Random(seed)
        self._pace = pace
        self.upstream, self.broken = FakeLLMThread(default=self._reply), FakeLLMThread(default=status(500))
        self.kinds: Counter[str] = Counter()
        self._wizard: Telnet | None = None
        with_upstreams = {"UPSTREAM": address(self.upstream), "BROKEN": address(self.broken), "ONE_API_KEY": "sk-one"}
        self.game = copied(directory, environ=with_upstreams, settings=SETTINGS + settings)
        (self.game.directory / "configs" / "backends.yaml").write_text(CONFIG)
        self.players = [Thinker(number, self.game) for number in range(players)]

    def _reply(self, request: Request) -> Reply:
        question = _QUESTION.search(request.text)
        told = says(f"I was told about q{question[1]}." if question else "Who asked this?")
        return replace(told, after=self._random.uniform(0.0, 0.4))

    def __enter__(self) -> Crashes:
        self.upstream.__enter__()
        self.broken.__enter__()
        self._start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for player in self.players:
            player.hang_up()
        self._hang_up_wizard()
        self.game.kill9()
        self.upstream.__exit__()
        self.broken.__exit__()

    # -- the run -------------------------------------------------------------------------------------------------

    def run(self, times: int, until: float = float("inf")) -> None:
        """Kill or reload so many times, or until then (of ``time.monotonic``); then let everything come to its end."""
        self._load(self._pace)
        for _ in range(times):
            if time.monotonic() > until:
                break
            self._load(self._random.uniform(0.05, self._pace))
            self._crash()
            assert self._breaker_is_open(), "the breaker has forgotten that it is open"
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and (any(player.open for player in self.players) or self._held()):
            self._load(0.2, ask=False)

    def _load(self, seconds: float, ask: bool = True) -> None:
        """Let the players think for a while, once all are there."""
        for player in self.players:
            if player.session is None and self.game.running():
                player.connect()
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            for player in self.players:
                if player.session is None and self.game.running():
                    player.connect()
                player.turn(ask)

    def _crash(self) -> None:
        kind = self._random.choices(list(KINDS), list(KINDS.values()))[0]
        self.kinds[kind] += 1
        if kind == "kill":
            self._kill_all()
        elif kind == "reload":
            self._reload()
        else:
            self._kill_server(again=kind == "start")

    def _kill_all(self) -> None:
        self.game.kill9()
        for player in self.players:
            player.turn(ask=False)
            player.hang_up()
            player.forget_what_never_began()
        self._hang_up_wizard()
        self._start()

    def _reload(self) -> None:
        """As ``evennia reload``: the portal is told the same, by a superuser and not by a launcher."""
        before = self.game.processes()["server"]
        self._as_wizard("reload", "Server")
        self._wait_until_up(before)

    def _kill_server(self, again: bool) -> None:
        """Kill the server alone; the portal keeps the players' connections until another one is there.

        It is started as the portal has started it; Evennia's launcher would take as long again only to ask for that.
        """
        dead = self.game.processes()["server"]
        process = Path(f"/proc/{dead}")
        command = [word.decode() for word in (process / "cmdline").read_bytes().split(b"\0")[:-1]]
        variables = (line.decode().partition("=") for line in (process / "environ").read_bytes().split(b"\0")[:-1])
        environ = {name: value for name, _, value in variables}
        self._end_server()
        # What was sent and not taken up died with the server; what its last breath was, the portal still tells.
        for player in self.players:
            player.turn(ask=False)
            player.forget_what_never_began()
        for killed in (True, False) if again else (False,):
            log = (self.game.directory / "server" / "logs" / "launch.log").open("ab")
            with (
                log,
                subprocess.Popen(
                    command, cwd=self.game.directory, env=environ, stdin=subprocess.DEVNULL, stdout=log, stderr=log
                ) as starting,
            ):
                if killed:
                    time.sleep(self._random.uniform(0.0, COMING_UP))
                    starting.kill()
                    self._end_server()
        self._wait_until_up(dead)

    def _end_server(self) -> None:
        """Kill whatever is the server, also while it has not yet written down its number."""
        pid_file = self.game.directory / "server" / "server.pid"
        while servers := [pid for pid in _processes() if str(pid_file) in _command_line(pid)]:
            for pid in servers:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.01)
        pid_file.unlink(missing_ok=True)

    def _wait_until_up(self, before: int) -> None:
        """Until another server than ``before`` answers."""
        until = time.monotonic() + 120
        while time.monotonic() < until:
            running = self.game.running()
            if running is not None and running.pid != before:
                assert not running.error, running.error
                with suppress(OSError, NotSeen, GameFailed):
                    self.game.telnet().close()
                    return
            time.sleep(0.05)
        raise GameFailed(f"The server did not come back.\n{self.game.log_tail()}")

    def _start(self) -> None:
        for tries in range(3):
            try:
                self.game.start()
                return
            except GameFailed:
                # A crowded machine: Evennia's launcher waits for no more than a few seconds.
                if tries == 2:
                    raise
                self.game.stop()

    def _breaker_is_open(self) -> bool:
        if not self.broken.log:
            return True
        shown = self._as_wizard("backends", re.compile(r"\none .*\n"))
        return bool(re.search(r"broken +open, \d+ s", shown))

    def _as_wizard(self, command: str, expected: str | re.Pattern[str]) -> str:
        """What the superuser is shown, who stays connected as long as the portal lives."""
        for connected in (self._wizard is not None, False):
            try:
                if not connected:
                    self._hang_up_wizard()
                    self._wizard = self.game.telnet()
                    self._wizard.login(self.game.superuser.name, self.game.superuser.password)
                assert self._wizard is not None
                self._wizard.quiet(0.0)
                self._wizard.send(command)
                return self._wizard.expect(expected)
            except (OSError, AssertionError):
                # The connection that was there may have died, or be there before its character is.
                if not connected:
                    raise
        raise AssertionError

    def _hang_up_wizard(self) -> None:
        if self._wizard is not None:
            self._wizard.close()
            self._wizard = None

    # -- what became of everything -------------------------------------------------------------------------------

    def _held(self) -> set[str]:
        """What the game has written down as under way."""
        return {text for (text,) in self._ask_ledger("SELECT text FROM ledger_pending")}

    def _ask_ledger(self, sql: str) -> list[Any]:
        with closing(sqlite3.connect(self.game.directory / "server" / "ledger.db3", timeout=10)) as database:
            return database.execute(sql).fetchall()

    def report(self) -> str:
        """A line of figures. Raises AssertionError where something was lost or counted twice."""
        rows = self._ask_ledger("SELECT prompt, backend, outcome, cost_usd, started, task, number FROM ledger_attempt")
        taken, seen, failed = set(), Counter[str](), set()
        for player in self.players:
            taken |= player.taken
            seen.update(player.answered)
            failed |= player.failed
        vanished = taken - set(seen) - failed
        assert not vanished, f"these thoughts vanished without a word: {sorted(vanished)}"
        held = self._held() - {f"question q{player.open}" for player in self.players}
        assert not held, f"told, and still written down as under way: {sorted(held)[:5]}"
        assert len({(task, number) for *_, task, number in rows}) == len(rows)
        assert not [row for row in rows if row[2] == "under way"]

        answered, of_one = Counter[str](), Counter[str]()
        for prompt, backend, outcome, cost, *_ in rows:
            question = prompt.removeprefix("question q")
            if backend == "one":
                of_one[question] += 1
            if outcome == "answered":
                answered[question] += 1
                assert abs(cost - COST) < 1e-9
        sent, given = Counter[str](), Counter[str]()
        for request in self.upstream.log:
            found = _QUESTION.search(request.text)
            assert found is not None, f"nobody asked this: {request.text[:200]}"
            question = found[1]
            sent[question] += 1
            given[question] += request.answered
        for question in seen:
            assert answered[question] >= 1, f"q{question} was shown and is not in the ledger"
        for question, count in answered.items():
            assert count <= given[question], f"q{question} is in the ledger {count} times, answered {given[question]}"
        for question, count in sent.items():
            assert of_one[question] >= count, f"q{question} was asked {count} times, {of_one[question]} rows"
        broken = [row for row in rows if row[1] == "broken"]
        assert len(broken) >= len(self.broken.log)
        # Each question may be asked anew after each crash that it lived through, and not more often.
        cut = sum(row[2] == "interrupted" for row in rows)
        return (
            f"{sum(self.kinds.values())} crashes ({self.kinds['kill']} kill -9 of all, "
            f"{self.kinds['server']} of the server, {self.kinds['start']} of it and again while it came up, "
            f"{self.kinds['reload']} reloads): "
            f"{len(taken)} thoughts taken up, {len(set(seen) & taken)} answered, {len(failed)} reported as failed, "
            f"0 vanished; {len(self.upstream.log)} requests, {len(rows)} rows ({cut} interrupted), 0 twice; "
            f"{sum(count > 1 for count in seen.values())} answers shown twice"
        )


def _processes() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdecimal()]


def _command_line(pid: int) -> str:
    """How a process was called; empty once it is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text(errors="replace")
    except OSError:
        return ""
