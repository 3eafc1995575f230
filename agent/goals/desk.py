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
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Iterator
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from ..core.attempt import Attempt
from ..core.clock import DelayedCall
from ..core.decision import Work
from ..core.events import AttemptCancelled, AttemptEnded, Event
from ..core.result import AllBackendsFailed, BudgetSpent, RouteResult
from ..core.task import Task
from ..router import Router
from .actions import Action, Library
from .asking import PROPOSE, Busy, Declined, Doer, OverBudget, Refusing, StepFailed
from .funds import Funds, over_share
from .goal import Goal
from .lanes import Lanes
from .prices import Price, price_of
from .pursuit import Pursuit, own_actions
from .record import BEGUN, BROKEN, DROPPED, MOST_EVENTS, OFFERED, PLANNED, STOPPED, UNREACHABLE, WORKING, Record, Step
from .store import GoalStore, MemoryStore

_log = Logger()

#: Steps under way at once, over all goals.
MOST_AT_ONCE = 32
#: Seconds between two looks for room while steps wait, and before a step that gave way tries again.
LOOK, GIVEN_WAY = 1.0, 2.0
#: Seconds for which nobody need be there to ask before a goal ends for it; and where it is known when somebody will be.
NOBODY, RESTING = 20.0, 3600.0
#: Seconds after which a goal that is over is forgotten; goals under way at once, and offers that nobody takes.
KEEP, MOST_GOALS = 30 * 86_400.0, 1000

#: Has a task done for a goal: ``ask(record, task, pin, strategy)``. Raises AllBackendsFailed.
Ask = Callable[[Record, Task, str, str], Awaitable[RouteResult]]
#: Says who pays for a task, or why it has to wait; and hears that it is over.
Open = Callable[[Record, Task], str]
Close = Callable[[Record, Task], None]
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
        self.lanes = Lanes(router, self._give_way)
        self._store: GoalStore = store or MemoryStore()
        self._ask = ask or self._ask_router
        self._funds = Funds()
        self._pursuits: dict[str, Pursuit] = {}
        self._queue: list[tuple[Pursuit, Step]] = []
        self._under_way: dict[tuple[str, int], Deferred[None]] = {}
        self._of_task: dict[str, tuple[str, int]] = {}
        self._attempts: dict[str, Attempt] = {}
        self._numbers: Counter[str] = Counter()
        self._interrupted: set[tuple[str, int]] = set()
        self._waiting: dict[tuple[str, int], float] = {}
        self._listeners: list[Listener] = []
        self._payers: list[tuple[Open, Close]] = []
        self._look: DelayedCall | None = None
        self._closed = False
        router.add_budget(self._funds)
        router.events.subscribe(self._heard)

    # -- goals ---------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Take up every goal of an earlier run."""
        for text in await self._store.load():
            try:
                record = Record.from_dict(json.loads(text))
            except Exception as error:
                _log.error("a goal cannot be taken up: {why}", why=f"{type(error).__name__}: {error}")
                continue
            if (record.over or record.state == OFFERED) and self.clock.seconds() - record.began > KEEP:
                self._store.forget(record.id)
                continue
            for step in record.steps:
                step.state = PLANNED if step.state == BEGUN else step.state
            self._pursuits[record.id] = Pursuit(self, record)
        for pursuit in list(self._pursuits.values()):
            self._advance(pursuit)

    async def add(self, goal: Goal, owner: str = "", *, start: bool = True, identifier: str = "") -> Record:
        """Write a goal down and plan it; begin it, where ``start`` says so. Returns it as it stands.

        Raises OverflowError where too many are under way.
        """
        if sum(not pursuit.record.over for pursuit in self._pursuits.values()) >= MOST_GOALS:
            raise OverflowError(f"{MOST_GOALS} goals are under way")
        record = Record(
            identifier or f"goal_{secrets.token_hex(8)}", goal.decided(), owner, WORKING if start else OFFERED
        )
        record.began = self.clock.seconds()
        record.facts, record.ever = dict(goal.given), sorted(goal.given)
        pursuit = self._pursuits[record.id] = Pursuit(self, record)
        pursuit.plan()
        await self.save(record)
        if start:
            self._advance(pursuit)
        return record

    def begin(self, identifier: str) -> Record:
        """Begin a goal that was only planned. Raises KeyError."""
        record = self._pursuits[identifier].record
        if record.state == OFFERED:
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
        """Forget a goal that is over. Raises KeyError."""
        self.stop(identifier)
        del self._pursuits[identifier]
        self._store.forget(identifier)

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

    def pay(self, opened: Open, closed: Close) -> None:
        """Have ``opened(record, task)`` say who pays for a task, or why it has to wait; ``closed`` when it is over."""
        self._payers.append((opened, closed))

    def goal_of(self, task_id: str) -> Record | None:
        """The goal whose task under way this is."""
        return self._funds.of(task_id)

    def subscribe(self, listener: Listener) -> None:
        self._listeners.append(listener)

    def unsubscribe(self, listener: Listener) -> None:
        if listener in self._listeners:
            self._listeners.remove(listener)

    async def close(self) -> None:
        """Let go of what is under way, for the next run to take up, and write all of it down."""
        self._closed = True
        if self._look is not None and self._look.active():
            self._look.cancel()
        for deferred in list(self._under_way.values()):
            deferred.cancel()
        self.lanes.close()
        self.router.events.unsubscribe(self._heard)
        for pursuit in self._pursuits.values():
            if not pursuit.record.over:
                await self.save(pursuit.record)

    # -- what a pursuit and a step need --------------------------------------------------------------------------

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

    def strategy_of(self, action: Action) -> str:
        """The strategy that decides whom to ask: the action's, else one of its own name in the config."""
        if action.strategy and self.router.has_strategy(action.strategy):
            return action.strategy
        return action.name if action.name in self.router.registry.config.strategies else ""

    def lane(self, record: Record, step: Step, action: Action, tokens: int, avoid: Collection[str], json: bool) -> str:
        """The backend to ask first; empty leaves it to the strategy. Raises Busy, or StepFailed."""
        work = self._work(step, tokens, json)
        strategy = self.strategy_of(action)
        expiring = record.goal.spend == "expiring"
        lane = self.lanes.free(work, strategy, avoid, expiring=expiring)
        place = record.id, step.number
        if not lane.key:
            since = self._waiting.setdefault(place, self.clock.seconds())
            patience = RESTING if lane.busy else NOBODY
            if lane.why.startswith("nobody") and self.clock.seconds() - since >= patience:
                raise StepFailed(lane.why)
            raise Busy(lane.why)
        self._waiting.pop(place, None)
        backend = self.router.state(lane.key).backend
        expected = self.router.registry.quota(lane.key).estimate.expected(work)
        if over := over_share(record, backend, expected):
            raise OverBudget(over)
        return "" if strategy else lane.key

    async def ask(self, record: Record, task: Task, pin: str, strategy: str) -> RouteResult:
        """Have a step's task done. Raises AllBackendsFailed."""
        place = next((place for place in self._under_way if self._task_of(place, task.id)), (record.id, 0))
        for opened, _ in self._payers:
            if why := opened(record, task):
                raise Busy(why)
        self._of_task[task.id] = place
        self._funds.open(task.id, record)
        self.lanes.begin(task.id, pin)
        try:
            result = await self._ask(record, task, pin, strategy)
        finally:
            self.lanes.end(task.id)
            self._funds.close(task.id)
            self._of_task.pop(task.id, None)
            self._numbers.pop(task.id, None)
            for _, closed in self._payers:
                closed(record, task)
        self._attempts[task.id] = result.answered
        while len(self._attempts) > MOST_GOALS:
            del self._attempts[next(iter(self._attempts))]
        return result

    async def _ask_router(self, record: Record, task: Task, pin: str, strategy: str) -> RouteResult:
        plan = await self.router.prepare(task, pin or None, memory="fresh", strategy=strategy)
        return await self.router.run(plan)

    def _task_of(self, place: tuple[str, int], task_id: str) -> bool:
        identifier, number = place
        pursuit = self._pursuits.get(identifier)
        return pursuit is not None and any(p.task == task_id for p in pursuit.record.step(number).parts.values())

    def judged(self, task_id: str, *, good: bool) -> None:
        """A check has found what the task brought good, or not."""
        if (attempt := self._attempts.get(task_id)) is not None:
            self.router.feedback(task_id, attempt, good=good, source="goal")

    def save(self, record: Record) -> Deferred[None]:
        """Write the goal down as it stands; fires once that is durable."""
        return self._store.put(record.id, json.dumps(record.as_dict(), default=str))

    def changed(self, record: Record, what: str, **more: Any) -> None:
        """Something happened to the goal: it is written down, and told."""
        number = record.events[-1]["id"] + 1 if record.events else 1
        event = {"id": number, "at": round(self.clock.seconds(), 3), "what": what, **more}
        record.events = [*record.events, event][-MOST_EVENTS:]
        if what == "ended":
            record.ended = self.clock.seconds()
        self.save(record)
        for listener in list(self._listeners):
            try:
                listener(record, event)
            except Exception:
                _log.failure("a listener to goals broke")

    # -- lanes ---------------------------------------------------------------------------------------------------

    def enqueue(self, pursuit: Pursuit, step: Step) -> None:
        """The step can be done as soon as there is room for it."""
        self._queue.append((pursuit, step))
        self._look_soon(0.0)

    def let_go(self, pursuit: Pursuit) -> None:
        """The goal is over: what is under way for it is cancelled."""
        self._queue = [entry for entry in self._queue if entry[0] is not pursuit]
        for place, deferred in list(self._under_way.items()):
            if place[0] == pursuit.record.id:
                deferred.cancel()

    def drop(self, pursuit: Pursuit, step: Step) -> None:
        """The step's work is of no use any more."""
        step.state = DROPPED
        if (deferred := self._under_way.get((pursuit.record.id, step.number))) is not None:
            deferred.cancel()

    def _look_soon(self, delay: float) -> None:
        if self._closed:
            return
        if self._look is not None and self._look.active():
            if delay:
                return
            self._look.cancel()
        self._look = self.clock.callLater(delay, self._pump)

    def _pump(self) -> None:
        """Begin whatever there is room for, the most urgent first."""
        self._look, now = None, self.clock.seconds()
        for pursuit in list(self._pursuits.values()):
            record = pursuit.record
            deadline = record.goal.deadline
            if deadline is not None and now >= deadline and record.state == WORKING:
                fact = min(record.goal.facts - record.facts.keys())
                pursuit.end(UNREACHABLE, fact, "the deadline has passed")
        self._queue.sort(key=_urgency)
        queue, self._queue = self._queue, []
        for pursuit, step in queue:
            if pursuit.record.over or step.state != PLANNED:
                continue
            if len(self._under_way) >= MOST_AT_ONCE or self._resting(pursuit, step, now):
                self._queue.append((pursuit, step))
                continue
            self._begin(pursuit, step)
        if self._queue or self._any_deadline():
            self._look_soon(LOOK)

    def _any_deadline(self) -> bool:
        records = (pursuit.record for pursuit in self._pursuits.values())
        return any(record.state == WORKING and record.goal.deadline is not None for record in records)

    def _resting(self, pursuit: Pursuit, step: Step, now: float) -> bool:
        """Whether there is no room for the step; without a lane nothing of it is begun."""
        record, action = pursuit.record, self._action(pursuit.record, step)
        if action is None or action.run is not None or not step.kind:
            return False
        try:
            avoid = {key for fact in step.makes for key in record.avoid.get(fact, ())}
            self.lane(record, step, action, action.tokens[0], avoid, action.schema)
        except Busy as busy:
            if not record.why and busy.args[0].startswith("nobody"):
                record.why = str(busy)
            return True
        except StepFailed:
            return False
        record.why = ""
        return False

    def _begin(self, pursuit: Pursuit, step: Step) -> None:
        record = pursuit.record
        action = self._action(record, step)
        if action is None:
            pursuit.failed(step, f"there is no action {step.action} any more")
            return
        place = record.id, step.number
        step.began = self.clock.seconds()
        pursuit.begun(step)
        # In a turn of its own, so that it is known here before anything of it happens.
        turn: Deferred[None] = Deferred()
        done = Deferred.fromCoroutine(self._do(turn, record, step, action))
        self._under_way[place] = done  # type: ignore[assignment]
        done.addBoth(self._ended, pursuit, step)
        done.addErrback(lambda why: _log.failure("a goal's step broke", failure=why))
        turn.callback(None)

    async def _do(self, turn: Deferred[None], record: Record, step: Step, action: Action) -> str:
        await turn
        return await Doer(self, record, step, action).do()

    def _ended(self, outcome: str | Failure, pursuit: Pursuit, step: Step) -> None:
        place = pursuit.record.id, step.number
        self._under_way.pop(place, None)
        step.ended = self.clock.seconds()
        interrupted = place in self._interrupted
        self._interrupted.discard(place)
        if self._closed or pursuit.record.over or not step.open:
            return
        error = outcome.value if isinstance(outcome, Failure) else None
        match error:
            case None:
                pursuit.succeeded(step, str(outcome))
            case CancelledError():
                self._again(pursuit, step, GIVEN_WAY)
            case _ if interrupted:
                self._again(pursuit, step, GIVEN_WAY)
            case Busy():
                self._again(pursuit, step, LOOK)
            case Declined(fact=fact):
                pursuit.declined(step, fact, str(error))
            case AllBackendsFailed():
                self._failed(pursuit, step, error)
            case Refusing(backends=asked) if self._another(pursuit, step, asked):
                pass
            case OverBudget():
                pursuit.end(UNREACHABLE, (step.makes or [step.action])[0], f"its budget: {error}")
            case StepFailed():
                pursuit.failed(step, str(error))
            case _:
                _log.error("a goal's step broke: {error}", error=repr(error))
                pursuit.failed(step, f"it broke: {error}", again=True)
        self._look_soon(0.0)

    def _failed(self, pursuit: Pursuit, step: Step, failed: AllBackendsFailed) -> None:
        place = pursuit.record.id, step.number
        if isinstance(failed, BudgetSpent):
            if self._funds.others(pursuit.record):
                self._again(pursuit, step, LOOK)
            else:
                pursuit.end(UNREACHABLE, (step.makes or [step.action])[0], f"its budget: {failed.why or failed}")
            return
        if not failed.attempts:
            # Nobody was asked: all are busy, resting, or not there.
            since = self._waiting.setdefault(place, self.clock.seconds())
            patience = NOBODY if self.router.wait() is None and not self._any_free() else RESTING
            if self.clock.seconds() - since < patience:
                self._again(pursuit, step, LOOK)
                return
        if not self._another(pursuit, step, [attempt.backend for attempt in failed.attempts]):
            pursuit.failed(step, str(failed))

    def _another(self, pursuit: Pursuit, step: Step, asked: Collection[str]) -> bool:
        """Try the step again with those who were only too busy to be asked; False where there are none."""
        avoid = pursuit.record.avoid
        for fact in step.makes:
            avoid[fact] = list(dict.fromkeys((*avoid.get(fact, ()), *asked)))
        had = {key for fact in step.makes for key in avoid[fact]}
        able = {health.backend.key for health in self.router.states() if not health.available()}
        if not step.makes or able <= had:
            return False
        self._again(pursuit, step, LOOK)
        return True

    def _any_free(self) -> bool:
        return any(not health.available() for health in self.router.states())

    def _again(self, pursuit: Pursuit, step: Step, delay: float) -> None:
        """The step waits for its next chance."""
        pursuit.put_back(step)
        pursuit.queued.add(step.number)
        self._queue.append((pursuit, step))
        self._look_soon(delay)

    def _give_way(self, task_id: str) -> bool:
        """Let go of a background task because somebody waits for its place; False where it cannot be."""
        place = self._of_task.get(task_id)
        deferred = self._under_way.get(place) if place is not None else None
        if place is None or deferred is None or place in self._interrupted:
            return False
        self._interrupted.add(place)
        deferred.cancel()
        return True

    def _action(self, record: Record, step: Step) -> Action | None:
        if step.action == PROPOSE:
            return Action(PROPOSE, kind="reasoning")
        return next((action for action in self.actions(record) if action.name == step.action), None)

    @staticmethod
    def _work(step: Step, tokens: int, json: bool) -> Work:
        return Work(step.kind or "reasoning", tokens, None, frozenset({"json"}) if json else frozenset())

    def _advance(self, pursuit: Pursuit) -> None:
        try:
            pursuit.advance()
        except Exception as error:
            _log.failure("a goal broke")
            pursuit.end(BROKEN, why=f"{type(error).__name__}: {error}")

    # -- what it costs -------------------------------------------------------------------------------------------

    def _heard(self, event: Event) -> None:
        """Count what the attempts of goals cost, in the turn in which the ledger does."""
        if isinstance(event, AttemptEnded | AttemptCancelled) and (record := self._funds.of(event.task_id)) is not None:
            attempt = event.attempt
            self._numbers[event.task_id] += 1
            used = attempt.usage.input_tokens + attempt.usage.output_tokens
            number = self._numbers[event.task_id]
            record.spent[f"{event.task_id}/{number}"] = [attempt.cost_usd, used, attempt.backend]
            self.save(record)


def _urgency(entry: tuple[Pursuit, Step]) -> tuple[float, float, float, int]:
    record, step = entry[0].record, entry[1]
    deadline = record.goal.deadline
    return -record.goal.priority, float("inf") if deadline is None else deadline, record.began, step.number
