"""All goals of one router: what they want done is done on as many lanes as nobody else needs.

    desk = Desk(router, store)
    await desk.start()                        # takes up what an earlier run left
    record = await desk.add(Goal("..."))      # durable, planned, and under way
    offer = await desk.add(goal, start=False) # planned and priced only; desk.begin(offer.id), or desk.stop(offer.id)
    desk.subscribe(listener)                  # listener(record, event): a dict with "id", "at", "what"
    await desk.close()

Everything is written down before it happens. Tasks of goals run in the background (:class:`~agent.core.task.Task`),
each as any other task does: redacted, judged, accounted for, and handed from brain to brain.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterator
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from ..core.clock import DelayedCall, sleep
from ..core.task import Task
from ..router import Router
from .actions import Action, Library
from .goal import Goal
from .keeping import LOOK, outlived, surplus
from .prices import Price, price_of
from .pursuit import Pursuit, own_actions
from .record import BEGUN, BROKEN, MOST_EVENTS, OFFERED, PLANNED, STOPPED, WORKING, Record, Step
from .scheduler import Ask, Close, Open, Scheduler
from .store import GoalStore, MemoryStore, NotKept

_log = Logger()

#: Goals under way at once.
MOST_GOALS = 1000
#: Seconds between two tries to read what an earlier run left.
AGAIN = 5.0

#: Hears of everything that happens to goals.
Listener = Callable[[Record, dict[str, Any]], None]


class Desk:
    """The goals of one router. All methods belong to the reactor's thread.

    library  what can be done; None reads it
    ask      has a task done, booked to whoever wants it; None asks the router
    """

    def __init__(
        self, router: Router, store: GoalStore | None = None, library: Library | None = None, ask: Ask | None = None
    ):
        self.router, self.clock = router, router.clock
        self.library = library or Library.read()
        self._store: GoalStore = store or MemoryStore()
        self._pursuits: dict[str, Pursuit] = {}
        self._scheduler = Scheduler(router, self, ask)
        self.lanes = self._scheduler.lanes
        self._listeners: list[Listener] = []
        self._look: DelayedCall | None = None
        self._closed = self._complained = False
        #: Whether what an earlier run left is taken up.
        self.started = False

    # -- goals ---------------------------------------------------------------------------------------------------

    async def start(self, *, patient: bool = False) -> None:
        """Take up every goal of an earlier run. Raises NotKept where they cannot be read.

        ``patient`` tries again instead, every :data:`AGAIN` seconds; :attr:`started` says when it has worked.
        """
        for text in await self._kept(patient):
            try:
                record = Record.from_dict(json.loads(text))
            except Exception as error:
                _log.error("a goal cannot be taken up: {why}", why=f"{type(error).__name__}: {error}")
                continue
            if record.id in self._pursuits:
                continue
            if outlived(record, self.clock.seconds()):
                self._forget(record.id)
                continue
            record.cut_off()
            for step in record.steps:
                step.state = PLANNED if step.state == BEGUN else step.state
            self._pursuits[record.id] = Pursuit(self, record)
        self.started = True
        self._tidy()
        for pursuit in list(self._pursuits.values()):
            self._advance(pursuit)

    async def _kept(self, patient: bool) -> list[str]:
        """Raises NotKept."""
        while True:
            try:
                return await self._store.load()
            except NotKept as why:
                if not patient or self._closed:
                    raise
                self._complain(why)
            await sleep(self.clock, AGAIN)

    async def add(self, goal: Goal, owner: str = "", *, start: bool = True, identifier: str = "") -> Record:
        """Write a goal down and plan it; begin it, where ``start`` says so. Returns it as it stands.

        What is only planned is an offer: it is no goal under way, is forgotten where nobody takes it (:mod:`.keeping`),
        and the oldest gives way where somebody has too many. Raises OverflowError where too many goals are under way,
        and NotKept, with nothing kept of it, where it cannot be written down.
        """
        if start:
            self._see_room()
        record = Record(
            identifier or f"goal_{secrets.token_hex(8)}", goal.decided(), owner, WORKING if start else OFFERED
        )
        record.began = self.clock.seconds()
        record.facts, record.ever = dict(goal.given), sorted(goal.given)
        pursuit = self._pursuits[record.id] = Pursuit(self, record)
        pursuit.plan()
        for identifier in surplus(self, owner):
            self.forget(identifier)
        try:
            await self.save(record)
        except NotKept:
            self._pursuits.pop(record.id, None)
            raise
        self._tidy()
        if start:
            self._advance(pursuit)
        return record

    def _see_room(self) -> None:
        """Raises OverflowError."""
        if sum(record.state == WORKING for record in self) >= MOST_GOALS:
            raise OverflowError(f"{MOST_GOALS} goals are under way")

    def begin(self, identifier: str) -> Record:
        """Begin a goal that was only planned. Raises KeyError, and OverflowError where too many are under way."""
        record = self._pursuits[identifier].record
        if record.state == OFFERED:
            self._see_room()
            record.state, record.began = WORKING, self.clock.seconds()
            self.changed(record, "begins")
            self._advance(self._pursuits[identifier])
        return record

    def stop(self, identifier: str) -> Record:
        """Let go of a goal, with what it has. Raises KeyError."""
        pursuit = self._pursuits[identifier]
        if not pursuit.record.over:
            pursuit.end(STOPPED, why="it was stopped")
        return pursuit.record

    def forget(self, identifier: str) -> None:
        """Forget a goal, also one under way. Raises KeyError."""
        self.stop(identifier)
        del self._pursuits[identifier]
        self._forget(identifier)

    def _forget(self, identifier: str) -> None:
        try:
            self._store.forget(identifier)
        except NotKept as why:
            self._complain(why)

    def get(self, identifier: str) -> Record | None:
        """The goal of that id, where there is one."""
        pursuit = self._pursuits.get(identifier)
        return pursuit.record if pursuit is not None else None

    def __getitem__(self, identifier: str) -> Record:
        return self._pursuits[identifier].record

    def __contains__(self, identifier: object) -> bool:
        return identifier in self._pursuits

    def __iter__(self) -> Iterator[Record]:
        return iter([pursuit.record for pursuit in self._pursuits.values()])

    def pursuits(self) -> list[Pursuit]:
        """Every goal on its way, and those that are over and not forgotten."""
        return list(self._pursuits.values())

    def pay(self, opened: Open, closed: Close) -> None:
        """Have ``opened(record, task)`` say who pays for a task, or why it has to wait; ``closed`` when it is over."""
        self._scheduler.payers.append((opened, closed))

    def goal_of(self, task_id: str) -> Record | None:
        """The goal whose task under way this is."""
        return self._scheduler.funds.of(task_id)

    def subscribe(self, listener: Listener) -> None:
        self._listeners.append(listener)

    def unsubscribe(self, listener: Listener) -> None:
        if listener in self._listeners:
            self._listeners.remove(listener)

    async def close(self) -> None:
        """Let go of what is under way, for the next run to take up, and write all of it down as far as that works."""
        self._closed = True
        if self._look is not None and self._look.active():
            self._look.cancel()
        self._scheduler.close()
        for pursuit in self._pursuits.values():
            if not pursuit.record.over:
                try:
                    await self.save(pursuit.record)
                except NotKept as why:
                    self._complain(why)

    def _tidy(self) -> None:
        """Forget what has outlived its time, now and again and again as long as there is anything."""
        now = self.clock.seconds()
        for record in self:
            if outlived(record, now):
                self.forget(record.id)
        waits = self._look is not None and self._look.active()
        if self._pursuits and not waits and not self._closed:
            self._look = self.clock.callLater(LOOK, self._tidy)

    # -- what a pursuit and the scheduler need -------------------------------------------------------------------

    def actions(self, record: Record) -> list[Action]:
        """Everything that can be done for the goal."""
        return [*self.library, *own_actions(record)]

    def price(self, record: Record, action: Action) -> tuple[Price, str]:
        """What the action would cost now, and the kind of work it is."""
        check = next((c for n, c in enumerate(record.goal.checks, 1) if action.name == f"check_{n}"), None)
        if check is not None and check.kind != "question":
            return Price(), ""
        kind = action.kind or self.router.classifier.classify(Task(record.goal.words)).kind
        texts = sum(len(record.facts.get(fact, "x" * 2400)) for fact in action.needs) + len(record.goal.words)
        json_wanted = action.schema or check is not None
        return price_of(self.router, action, kind, texts // 4, json=json_wanted), kind

    def enqueue(self, pursuit: Pursuit, step: Step) -> None:
        """The step can be done as soon as there is room for it."""
        self._scheduler.enqueue(pursuit, step)

    def drop(self, pursuit: Pursuit, step: Step) -> None:
        """The step's work is of no use any more."""
        self._scheduler.drop(pursuit, step)

    def let_go(self, pursuit: Pursuit) -> None:
        """The goal is over: what is under way for it is cancelled."""
        self._scheduler.let_go(pursuit)

    def save(self, record: Record) -> Deferred[None]:
        """Write the goal down as it stands; fires once that is durable. Fails with NotKept."""
        return self._store.put(record.id, json.dumps(record.as_dict(), default=str))

    def note(self, record: Record) -> None:
        """Write it down where nobody waits for that: what could not be written goes with the next change."""
        if record.id in self._pursuits:
            self.save(record).addErrback(self._not_kept)

    def changed(self, record: Record, what: str, **more: Any) -> None:
        """Something happened to the goal: it is written down, and told."""
        number = record.events[-1]["id"] + 1 if record.events else 1
        event = {"id": number, "at": round(self.clock.seconds(), 3), "what": what, **more}
        record.events = [*record.events, event][-MOST_EVENTS:]
        if what == "ended":
            record.ended = self.clock.seconds()
        self.note(record)
        for listener in list(self._listeners):
            try:
                listener(record, event)
            except Exception:
                _log.failure("a listener to goals broke")

    def _not_kept(self, why: Failure) -> None:
        error = why.value
        if not isinstance(error, NotKept):
            why.raiseException()
        self._complain(error)

    def _complain(self, why: NotKept) -> None:
        """Say, once, that goals cannot be written down."""
        if not self._complained:
            self._complained = True
            _log.error("goals cannot be written down: {why}", why=str(why))

    def _advance(self, pursuit: Pursuit) -> None:
        try:
            pursuit.advance()
        except Exception as error:
            _log.failure("a goal broke")
            pursuit.end(BROKEN, why=f"{type(error).__name__}: {error}")
