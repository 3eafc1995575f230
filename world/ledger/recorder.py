"""Turns what happens in the brain into rows, and knows who asked. One for the whole game, a listener on every router.

    recorder = the()                                   # this process's, opened at the first call of open()
    recorder.ask(task.id, Who.of(character), kind, usd)    # before the task leaves; raises BudgetReached
    router.events.subscribe(recorder)
    recorder.hold(...); recorder.told(...); recorder.release(...)   # a player's thought that must not vanish
    await recorder.flushed(task.id)                    # then its answer may be shown
    recorder.done(task.id)                             # nothing more will come of the task

A door that has tokens instead of players calls ``ask`` with ``Who(payer=label)``, ``flushed`` and ``done``.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from django.conf import settings
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from uniwizard.agent import Attempt, FailureCode
from uniwizard.agent.core.events import AttemptCancelled, AttemptEnded, AttemptStarted, Event, Leaked, Remembered
from uniwizard.world.ledger import database, history
from uniwizard.world.ledger.budgets import BudgetReached, Budgets, Own, Who
from uniwizard.world.ledger.models import Outcome
from uniwizard.world.ledger.owners import Owner
from uniwizard.world.ledger.storage import Storage, zone
from uniwizard.world.ledger.writer import Writer

_log = Logger()

#: Seconds for which a thought or a request waits at most to be written down.
SOON = 2.0
#: Tasks whose asker is remembered; a door that forgets to say ``done`` costs this much memory and no more.
REMEMBERED = 10_000
_NOBODY = Who()


class _Asked:
    """A task under way: who asked, and its attempts that have not ended."""

    __slots__ = ("kind", "last", "open", "text", "who")

    def __init__(self, who: Who, kind: str = "", text: str = ""):
        self.who, self.kind, self.text = who, kind, text
        self.open: dict[str, dict[str, Any]] = {}
        #: The row of its last attempt that ended.
        self.last: dict[str, Any] | None = None


class Recorder:
    """Everything belongs to the reactor's thread."""

    def __init__(self, writer: Writer, budgets: Budgets, owner: Owner | None = None, *, texts: bool = False):
        self.writer = writer
        self._owner = owner
        self.budgets = budgets
        self._texts = texts
        self._asked: dict[str, _Asked] = {}
        self._opened = False
        budgets.lost = self._recount

    def open(self) -> None:
        """Take up where the last run of the server ended; does nothing twice. Called at its start, before any task.

        What waits in spill files is written, attempts that a crash cut off are marked as interrupted, and the
        budgets are counted from the rows. What other processes have under way is left alone.
        """
        if self._opened:
            return
        self._opened = True
        try:
            database.ensure()
            if self._owner is not None:
                self._owner.live()
                self._owner.adopt()
            if trouble := self.writer.catch_up():
                _log.error("what waits in the ledger's spill file cannot be written yet: {why}", why=trouble)
            if self._owner is not None:
                self._owner.reap()
            else:
                history.mark_interrupted()
            self.budgets.rebuild(history.spending(self.budgets.since(), self.budgets.own_since()))
        except Exception:
            # A game without its ledger is poorer, but it is a game.
            _log.failure("the ledger could not be taken up")
        self.writer.start()
        if self._owner is not None:
            self.writer.look_after(self._owner)

    @property
    def owner(self) -> str:
        """What this process is called in the rows that it writes."""
        return self._owner.id if self._owner is not None else ""

    # -- who asked -----------------------------------------------------------------------------------------------

    def ask(self, task: str, who: Who, kind: str = "", usd: float = 0.0, text: str = "", own: Own = ()) -> None:
        """A task is about to leave, asked by ``who``; set ``usd`` aside for it. Raises BudgetReached.

        ``own`` are budgets that hold for this task besides the game's.
        """
        self.budgets.reserve(task, who, usd, own)
        self._remember(task, _Asked(who, kind, text if self._texts else ""))

    def _remember(self, task: str, asked: _Asked) -> _Asked:
        self._asked[task] = asked
        while len(self._asked) > REMEMBERED:
            self.done(next(iter(self._asked)))
        return asked

    async def ready(self, task_id: str, usd: float) -> None:
        """Before :meth:`reserve`, where several processes keep the budgets."""
        await self.budgets.ready(task_id, usd)

    def reserve(self, task_id: str, usd: float) -> str:
        """Set ``usd`` aside for the task's next attempt; why that is too much, or empty."""
        try:
            self.budgets.renew(task_id, usd)
        except BudgetReached as reached:
            return str(reached)
        return ""

    def usd_left(self, task_id: str) -> float:
        """USD that the task may still spend; infinity where no budget limits it."""
        return self.budgets.usd_left(task_id)

    def unreserve(self, task_id: str) -> None:
        """An attempt of the task is over, and its cost is counted; nothing is set aside until its next one."""
        self.budgets.renew(task_id, 0.0)

    def left(self, task_id: str) -> float:
        """The share of the tightest budget that is left, 0 to 1: of whoever asked; of the game before that is known."""
        asked = self._asked.get(task_id)
        return self.budgets.left(asked.who if asked is not None else _NOBODY)

    def done(self, task: str) -> None:
        """Nothing more will come of the task. An attempt that has no end by now was stopped by whoever asked."""
        self.budgets.release(task)
        asked = self._asked.pop(task, None)
        for row in asked.open.values() if asked is not None else ():
            # It never left.
            unused = {"input_tokens": 0, "output_tokens": 0, "cost_usd": 0.0, "estimated": True}
            self.writer.put("end", {**row, **unused, "outcome": Outcome.STOPPED, "ended": time.time()})

    def answered(self, task: str, text: str) -> None:
        """Keep the text of the answer, if the operator wants texts kept. In the turn in which the task ended."""
        asked = self._asked.get(task)
        if self._texts and asked is not None and asked.last is not None:
            asked.last["answer"] = text

    def flushed(self, task: str) -> Deferred[None]:
        """Fires, never with a failure, once all that is known of the task is durable, or patience has run out."""
        return self.writer.written()

    def recorded(self, task_id: str) -> Deferred[None]:
        """The same for a router's journal: no request leaves before its attempt is durable, or :data:`SOON` is over."""
        return self.writer.written(SOON)

    # -- a player's thoughts -------------------------------------------------------------------------------------

    def hold(self, task: str, router: int, thinker: int, text: str, pin: str | None, how: str = "") -> Deferred[None]:
        """Write down that a thought is under way; fires when that is durable, or :data:`SOON` is over.

        ``how`` is what game code asked with.
        """
        row = {"task": task, "router": router, "thinker": thinker, "text": text, "pin": pin, "began": time.time()}
        row["how"] = how
        self.writer.put("hold", row)
        return self.writer.written(SOON)

    def told(self, task: str, lines: list[str]) -> Deferred[None]:
        """Write down how a thought ended, before its player is told; fires when that is durable."""
        self.writer.put("answer", task, json.dumps(lines))
        return self.writer.written()

    def release(self, task: str) -> None:
        """The player has been told."""
        self.writer.put("release", task)

    def under_way(self) -> list[dict[str, Any]]:
        """The rows of the attempts that have not ended, oldest first."""
        rows = (row for asked in self._asked.values() for row in asked.open.values())
        return sorted(({**row, "prompt": ""} for row in rows), key=lambda row: row["started"])

    # -- rows ----------------------------------------------------------------------------------------------------

    def __call__(self, event: Event) -> None:
        """Listen to a router."""
        if isinstance(event, AttemptStarted):
            asked = self._asked.get(event.task_id) or self._remember(event.task_id, _Asked(_NOBODY))
            row = self._row(event.task_id, asked, event.number, event.backend, event.at)
            row |= {"outcome": str(Outcome.UNDER_WAY), "model": event.model, "practice": event.practice}
            # What stands there if a kill keeps its end from being known: the request will have left.
            row |= {"input_tokens": event.expected.input_tokens, "output_tokens": event.expected.output_tokens}
            row |= {"cost_usd": event.expected_usd, "estimated": True}
            asked.open[event.backend] = row
            self.writer.put("start", row)
        elif isinstance(event, AttemptEnded):
            asked = self._asked.get(event.task_id) or _Asked(_NOBODY)
            begun = asked.open.pop(event.attempt.backend, None)
            number = begun["number"] if begun is not None else (asked.last or {"number": 0})["number"] + 1
            row = self._row(event.task_id, asked, number, event.attempt.backend, event.attempt.started)
            _fill(row, event.attempt, event.at)
            asked.last = row
            self.budgets.spend(asked.who, event.attempt.cost_usd)
            self.writer.put("end", row)
        elif isinstance(event, AttemptCancelled):
            self._stopped(event)
        elif isinstance(event, Remembered):
            asked = self._asked.get(event.task_id) or _Asked(_NOBODY)
            # Number 0: no attempt, and there may be none of that task.
            row = self._row(event.task_id, asked, 0, event.memory.backend, event.at)
            row |= {"outcome": str(Outcome.REMEMBERED), "ended": event.at, "model": event.memory.model}
            row |= {"saved_usd": event.memory.saved_usd, "practice": event.memory.practice}
            row["kind"] = row["kind"] or event.memory.kind
            asked.last = row
            self.writer.put("end", row)
        elif isinstance(event, Leaked):
            leaking = self._asked.get(event.task_id)
            if leaking is not None and leaking.last is not None:
                leaking.last["outcome"] = str(Outcome.LEAKED)

    def _stopped(self, event: AttemptCancelled) -> None:
        """Whoever asked has let go of an attempt: what it had used by then is in its row, and is spent."""
        asked = self._asked.get(event.task_id) or _Asked(_NOBODY)
        row = asked.open.pop(event.attempt.backend, None)
        if row is not None:
            _fill(row, event.attempt, event.at)
            row["outcome"] = str(Outcome.STOPPED)
            self.budgets.spend(asked.who, event.attempt.cost_usd)
            self.writer.put("end", row)

    def _row(self, task: str, asked: _Asked, number: int, backend: str, started: float) -> dict[str, Any]:
        who = asked.who
        return {
            "task": task,
            "number": number,
            "started": started,
            "kind": asked.kind,
            "backend": backend,
            "account_id": who.account_id,
            "account": who.account,
            "character_id": who.character_id,
            "character": who.character,
            "payer": who.payer,
            "label": who.label,
            "prompt": asked.text,
            "owner": self.owner or None,
        }

    def _recount(self) -> None:
        """Count the budgets anew, after the clock has been put right by more than a day."""

        def counted(rows: list[Any]) -> None:
            self.budgets.rebuild(rows)

        since, own_since = self.budgets.since(), self.budgets.own_since()
        read = self.writer.read(lambda: list(history.spending(since, own_since)))
        read.addCallbacks(counted, lambda why: _log.failure("the budgets cannot be counted", failure=why))


def _fill(row: dict[str, Any], attempt: Attempt, ended: float) -> None:
    """Write into ``row`` how the attempt ended."""
    usage, verdict, failure = attempt.usage, attempt.verdict, attempt.failure
    refused = failure is FailureCode.REFUSED
    row["outcome"] = str(Outcome.ANSWERED if failure is None else Outcome.REFUSED if refused else Outcome.FAILED)
    row["ended"] = ended
    row["kind"] = attempt.kind
    row["model"] = attempt.model
    row["failure"] = str(failure or "")
    row["evidence"] = attempt.reason or (verdict.evidence if verdict is not None else "")
    if attempt.reported is not None:
        said = attempt.reported
        doubt = f"reported {said.input_tokens:,} + {said.output_tokens:,} tokens, which is more than is possible"
        row["evidence"] = f"{row['evidence']}; {doubt}" if row["evidence"] else doubt
    row["refusal"] = verdict.kind if verdict is not None else ""
    row["score"] = verdict.score if verdict is not None else None
    row["status"] = attempt.status
    row["first_token_ms"] = attempt.first_token_ms
    row["latency_ms"] = attempt.latency_ms
    row["input_tokens"] = usage.input_tokens
    row["output_tokens"] = usage.output_tokens
    row["cached_tokens"] = usage.cached_tokens
    row["reasoning_tokens"] = usage.reasoning_tokens
    row["cost_usd"] = attempt.cost_usd
    row["estimated"] = usage.estimated
    row["practice"] = attempt.practice


_the: Recorder | None = None


def the() -> Recorder:
    """This process's recorder. It writes nothing before it is opened."""
    global _the
    if _the is None:
        from uniwizard.world.reactor import reactor

        owner = Owner(Path(settings.GAME_DIR) / ".uniwizard")
        writer = Writer(reactor, Storage(), owner.spill, _tell_builders)
        try:
            budgets = Budgets(settings.UNIWIZARD_BUDGETS, zone(), time.time)
        except ValueError as error:
            # Better none spends than all do.
            _log.error("{error}; until that is mended, nothing may be spent", error=error)
            budgets = Budgets({"game": {"usd": 0, "per": "day"}}, zone(), time.time)
        _the = Recorder(writer, budgets, owner, texts=settings.UNIWIZARD_LEDGER_TEXTS)
    return _the


def _tell_builders(text: str) -> None:
    """Tell every Builder who is here."""
    import evennia

    for session in evennia.SESSION_HANDLER.get_sessions():
        puppet = session.get_puppet() or session.get_account()
        if puppet is not None and puppet.check_permstring("Builder"):
            session.msg(text=(text, {"type": "uniwizard"}))
