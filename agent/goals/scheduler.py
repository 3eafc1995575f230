"""How the steps of goals get done: each begins as soon as there is room for it, the most urgent first.

    scheduler = Scheduler(router, desk)
    scheduler.enqueue(pursuit, step)      # it comes back through pursuit.succeeded, .failed or .declined
    scheduler.let_go(pursuit)             # whatever is under way for it is cancelled
    scheduler.close()

A step that finds no room waits for its next chance, as does one that gave way to somebody; a step whose brain fails
goes to the next one before the goal hears of it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable
from typing import Protocol

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from ..core.attempt import Attempt
from ..core.clock import DelayedCall
from ..core.decision import Work
from ..core.result import AllBackendsFailed, BudgetSpent, RouteResult
from ..core.task import Task
from ..router import Router
from .actions import Action
from .asking import PROPOSE, Busy, Declined, Doer, OverBudget, Refusing, StepFailed
from .funds import Funds, over_share
from .lanes import Lanes
from .pursuit import Pursuit
from .record import DROPPED, PLANNED, UNREACHABLE, WORKING, Record, Step

_log = Logger()

#: Steps under way at once, over all goals.
MOST_AT_ONCE = 32
#: Seconds between two looks for room while steps wait, and before a step that gave way tries again.
LOOK, GIVEN_WAY = 1.0, 2.0
#: Seconds for which nobody need be there to ask before a goal ends for it; and where it is known when somebody will be.
NOBODY, RESTING = 20.0, 3600.0
#: Answers of which it is remembered whose they were, for the checks that judge them.
MOST_REMEMBERED = 1000

#: Has a task done for a goal: ``ask(record, task, pin, strategy)``. Raises AllBackendsFailed.
Ask = Callable[[Record, Task, str, str], Awaitable[RouteResult]]
#: Says who pays for a task, or why it has to wait; and hears that it is over.
Open = Callable[[Record, Task], str]
Close = Callable[[Record, Task], None]


class Desk(Protocol):
    """What is needed of whoever keeps the goals."""

    def actions(self, record: Record) -> list[Action]:
        """Everything that can be done for the goal."""

    def save(self, record: Record) -> Deferred[None]:
        """Write the goal down as it stands. Fails with NotKept."""

    def note(self, record: Record) -> None:
        """The same, where nobody waits for it."""

    def pursuits(self) -> Iterable[Pursuit]:
        """Every goal on its way."""


class Scheduler:
    """The steps of one router's goals. What a :class:`~.asking.Doer` needs of its desk is here.

    ask  has a task done, booked to whoever wants it; None asks the router
    """

    def __init__(self, router: Router, desk: Desk, ask: Ask | None = None):
        self.router, self.clock = router, router.clock
        self.lanes = Lanes(router, self._give_way)
        self.funds = Funds(desk.note)
        self.payers: list[tuple[Open, Close]] = []
        self._desk = desk
        self._ask = ask or self._ask_router
        self._queue: list[tuple[Pursuit, Step]] = []
        self._under_way: dict[tuple[str, int], Deferred[None]] = {}
        self._of_task: dict[str, tuple[str, int]] = {}
        self._answers: dict[str, Attempt] = {}
        self._interrupted: set[tuple[str, int]] = set()
        self._waiting: dict[tuple[str, int], float] = {}
        self._look: DelayedCall | None = None
        self._closed = False
        router.add_budget(self.funds)
        router.events.subscribe(self.funds)

    def close(self) -> None:
        """Let go of what is under way, for the next run to take up."""
        self._closed = True
        if self._look is not None and self._look.active():
            self._look.cancel()
        for deferred in list(self._under_way.values()):
            deferred.cancel()
        self.lanes.close()
        self.router.events.unsubscribe(self.funds)

    # -- what a step needs ---------------------------------------------------------------------------------------

    def actions(self, record: Record) -> list[Action]:
        """Everything that can be done for the goal."""
        return self._desk.actions(record)

    def save(self, record: Record) -> Deferred[None]:
        """Write the goal down as it stands. Fails with NotKept."""
        return self._desk.save(record)

    def note(self, record: Record) -> None:
        """The same, where nobody waits for it."""
        self._desk.note(record)

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
        lane = self.lanes.free(work, strategy, avoid, record.turned_down_of(step), expiring=expiring)
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
        # A strategy knows nothing of whose work was turned down.
        return "" if strategy and not avoid else lane.key

    async def ask(self, record: Record, step: Step, task: Task, pin: str, strategy: str) -> RouteResult:
        """Have the step's task done. Raises AllBackendsFailed, and Busy where nobody pays for it now."""
        for opened, _ in self.payers:
            if why := opened(record, task):
                raise Busy(why)
        self._of_task[task.id] = record.id, step.number
        self.funds.open(task.id, record)
        self.lanes.begin(task.id, pin)
        try:
            result = await self._ask(record, task, pin, strategy)
        finally:
            self.lanes.end(task.id)
            self.funds.close(task.id)
            self._of_task.pop(task.id, None)
            for _, closed in self.payers:
                closed(record, task)
        self._answers[task.id] = result.answered
        while len(self._answers) > MOST_REMEMBERED:
            del self._answers[next(iter(self._answers))]
        return result

    async def _ask_router(self, record: Record, task: Task, pin: str, strategy: str) -> RouteResult:
        plan = await self.router.prepare(task, pin or None, memory="fresh", strategy=strategy)
        return await self.router.run(plan)

    def judged(self, task_id: str, *, good: bool) -> None:
        """A check has found what the task brought good, or not."""
        if (attempt := self._answers.get(task_id)) is not None:
            self.router.feedback(task_id, attempt, good=good, source="goal")

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
        for pursuit in list(self._desk.pursuits()):
            record = pursuit.record
            deadline = record.goal.deadline
            if deadline is not None and now >= deadline and record.state == WORKING:
                fact = min(record.goal.facts - record.facts.keys())
                pursuit.end(UNREACHABLE, fact, "the deadline has passed")
        self._queue.sort(key=_urgency)
        queue, self._queue = self._queue, []
        for place, (pursuit, step) in enumerate(queue, start=1):
            if pursuit.record.over or step.state != PLANNED:
                continue
            if len(self._under_way) >= MOST_AT_ONCE or self._resting(pursuit, step, now):
                self._queue.append((pursuit, step))
                continue
            self._begin(pursuit, step)
            # One a turn: each is written to the disk, and what is written down shall leave before the next is.
            self._queue += queue[place:]
            self._look_soon(0.0)
            return
        if self._queue or self._any_deadline():
            self._look_soon(LOOK)

    def _any_deadline(self) -> bool:
        records = (pursuit.record for pursuit in self._desk.pursuits())
        return any(record.state == WORKING and record.goal.deadline is not None for record in records)

    def _resting(self, pursuit: Pursuit, step: Step, now: float) -> bool:
        """Whether there is no room for the step; without a lane nothing of it is begun."""
        record, action = pursuit.record, self._action(pursuit.record, step)
        if action is None or action.run is not None or not step.kind:
            return False
        try:
            self.lane(record, step, action, action.tokens[0], record.turned_down_of(step), action.schema)
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
            if self.funds.others(pursuit.record):
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


def _urgency(entry: tuple[Pursuit, Step]) -> tuple[float, float, float, int]:
    record, step = entry[0].record, entry[1]
    deadline = record.goal.deadline
    return -record.goal.priority, float("inf") if deadline is None else deadline, record.began, step.number
