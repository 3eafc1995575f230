"""Who may ask now: one reservation for a place, the breaker's probe, quota and budget together.

reservation = await admission.acquire("claude", plan, until)     # raises NotAdmitted, BudgetReached
reservation.settle(outcome, overdue=False)                       # what it used is counted, once
reservation.release()                                            # ... or nothing; does nothing once it is settled
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

from twisted.internet.defer import DeferredSemaphore
from twisted.internet.defer import TimeoutError as OutOfTime

from ..backend_registry import Registry
from ..core.answer import Usage
from ..core.backend import Backend
from ..core.clock import Clock, within
from ..core.failures import HANDLING, FailureCode, UniwizardError
from ..core.limits import answer_limit, room
from ..core.pricing import cost_usd
from ..health import Health
from ..quota import QuotaReservation, QuotaTracker, Spend
from .plan import Plan
from .ports import Budget
from .run import AttemptOutcome
from .sharing import Sharing

#: A provider that asks for a longer wait than this (seconds) is left alone; the task moves on.
MAX_RETRY_AFTER = 5.0
#: Failures after which a provider has counted nothing against a quota: the request was turned away or never arrived.
_UNCOUNTED = (FailureCode.NETWORK, FailureCode.RATE_LIMITED, FailureCode.QUOTA_EXHAUSTED)


#: Tokens of the longest answer where nobody knows what the model can make and somebody has to pay for it.
_UNKNOWN = 16_384
#: Tokens of an answer that is worth its question where no more can be paid for: a long paragraph.
_LEAST = 256


def _affordable(backend: Backend, usd: float) -> float:
    """Output tokens that ``usd`` pays for."""
    return math.inf if not backend.price.output else max(0.0, usd) / backend.price.output * 1000.0


def kept_free(backend: Backend) -> int:
    """The places that background tasks leave free: one, where there are several."""
    return 1 if backend.max_parallel > 1 else 0


class NotAdmitted(UniwizardError):
    """This backend cannot be asked now; somebody else may be."""

    def __init__(self, failure: FailureCode, reason: str):
        super().__init__(reason)
        self.failure = failure
        self.reason = reason


class BudgetReached(UniwizardError):
    """Whoever pays may not spend what an attempt could cost; the message says which budget."""


class Funds:
    """What is set aside of budgets for the attempts of each task, also for several at once.

    A budget holds one sum a task, so what all its attempts under way can cost is reserved together, and kept until
    the last of them is over: too much for a moment rather than too little.
    """

    def __init__(self, budgets: Sequence[Budget]):
        self.budgets = tuple(budgets)
        #: By task: the attempts under way, and the USD set aside for them and those before them.
        self._held: dict[str, tuple[int, float]] = {}

    def reserve(self, task_id: str, usd: float) -> str:
        """Set ``usd`` aside for one more attempt with everybody who pays; why that is too much, or empty."""
        under_way, held = self._held.get(task_id, (0, 0.0))
        if not under_way or usd:
            for number, budget in enumerate(self.budgets):
                if why := budget.reserve(task_id, held + usd):
                    # A refused sum frees what was held; those under way still need theirs.
                    for before in self.budgets[: number + 1] if under_way else ():
                        before.reserve(task_id, held)
                    for before in () if under_way else self.budgets[:number]:
                        before.unreserve(task_id)
                    return why
        self._held[task_id] = under_way + 1, held + usd
        return ""

    async def ready(self, task_id: str, usd: float) -> None:
        """Before :meth:`reserve`, where several processes keep the budgets."""
        held = self._held.get(task_id, (0, 0.0))[1]
        for budget in self.budgets:
            if (ready := getattr(budget, "ready", None)) is not None:
                await ready(task_id, held + usd)

    def release(self, task_id: str) -> None:
        """One attempt is over."""
        under_way, held = self._held.pop(task_id, (0, 0.0))
        if under_way > 1:
            self._held[task_id] = under_way - 1, held
        elif under_way:
            for budget in self.budgets:
                budget.unreserve(task_id)


class Reservation:
    """What one attempt holds at its backend."""

    __slots__ = (
        *("_funds", "_health", "_now", "_open", "_quota", "_sharing", "_slot", "_task_id", "_tracker", "_work"),
        *("backend", "limit"),
    )

    def __init__(
        self,
        health: Health,
        slot: DeferredSemaphore,
        tracker: QuotaTracker,
        funds: Funds,
        plan: Plan,
        clock: Clock,
        limit: int | None = None,
        sharing: Sharing | None = None,
    ):
        self._sharing = sharing
        self.backend: Backend = health.backend
        self.limit = limit
        self._health = health
        self._slot = slot
        self._tracker = tracker
        self._funds = funds
        self._work = plan.work
        self._task_id = plan.task.id
        self._now = clock.seconds
        longest = plan.work if limit is None else replace(plan.work, max_tokens=limit)
        self._quota: QuotaReservation = tracker.reserve(self._now(), longest)
        self._open = True
        health.begin()
        if sharing is not None:
            sharing.moved(health)

    def expected(self) -> tuple[Usage, float]:
        """What the attempt will most likely use, and cost in USD, from what was measured."""
        spend = self._tracker.estimate.likely(self._work)
        usage = Usage(round(spend.input_tokens), round(spend.output_tokens), estimated=True)
        return usage, cost_usd(self.backend, usage)

    def settle(self, outcome: AttemptOutcome, *, overdue: bool) -> None:
        """Count what the attempt has used, and let the backend's health know how it went."""
        if not self._open:
            return
        self._open = False
        attempt = outcome.attempt
        assert attempt is not None
        self._health.end()
        if not outcome.sent or outcome.failure in _UNCOUNTED:
            self._quota.release()
        else:
            usage = attempt.usage
            self._quota.settle(Spend(1, usage.input_tokens, usage.output_tokens, attempt.cost_usd))
        self._learn(outcome)
        self._health.cost_usd += attempt.cost_usd
        self._judge_health(outcome, overdue=overdue)
        self._funds.release(self._task_id)
        self._slot.release()
        if self._sharing is not None:
            self._sharing.moved(self._health)

    def release(self) -> None:
        """Give everything back."""
        if self._open:
            self._open = False
            self._health.end()
            self._quota.release()
            self._funds.release(self._task_id)
            self._slot.release()
            if self._sharing is not None:
                self._sharing.moved(self._health)

    def _learn(self, outcome: AttemptOutcome) -> None:
        """Heed what the provider said of its quota."""
        attempt, now = outcome.attempt, self._now()
        assert attempt is not None
        if outcome.answer is not None and not attempt.usage.estimated:
            self._tracker.estimate.learn(self._work, attempt.usage.input_tokens, attempt.usage.output_tokens)
        elif outcome.failure is FailureCode.QUOTA_EXHAUSTED:
            self._tracker.exhausted(now, outcome.retry_after)
        elif outcome.failure is FailureCode.RATE_LIMITED and outcome.retry_after:
            self._tracker.hold(now, outcome.retry_after)

    def _judge_health(self, outcome: AttemptOutcome, *, overdue: bool) -> None:
        health, attempt, wait = self._health, outcome.attempt, outcome.retry_after
        assert attempt is not None
        if attempt.cancelled:
            return
        if outcome.failure is None:
            health.succeeded(attempt.latency_ms / 1000.0)
        elif outcome.blames and not overdue:
            health.failed(outcome.failure, attempt.reason, wait)
            if wait is not None and wait > MAX_RETRY_AFTER and HANDLING[outcome.failure].retry_here:
                health.rest(wait)
        if outcome.failure in (None, FailureCode.REFUSED):
            health.judged(attempt.kind, declined=outcome.failure is not None)


class Admission:
    """Lets attempts through to the backends of one registry.

    budgets  asked before each attempt, in this order
    """

    def __init__(self, registry: Registry, clock: Clock, budgets: Sequence[Budget] = ()):
        self._registry = registry
        self._clock = clock
        self._funds = Funds(budgets)
        self._slots: dict[str, DeferredSemaphore] = {}
        #: Called with a backend's key when a task that somebody waits for finds no free place there.
        self.give_way: Callable[[str], None] | None = None
        #: Where several processes ask the same backends.
        self.sharing: Sharing | None = None

    async def acquire(self, key: str, plan: Plan, until: float) -> Reservation:
        """Wait for one of the backend's ``max_parallel`` places, first come first served, and reserve the rest.

        until  when the task's deadline ends, in the clock's seconds; infinity for none

        A background task does not wait, and leaves the last place of several free. Raises NotAdmitted, BudgetReached.
        """
        if key not in self._registry:
            raise NotAdmitted(FailureCode.NOT_FOUND, "no longer configured")
        health = self._registry[key]
        slot = self.slot(health.backend)
        if plan.task.background:
            if slot.tokens <= kept_free(health.backend):
                raise NotAdmitted(FailureCode.OVERLOADED, "its free places are kept for tasks that somebody waits for")
        elif not slot.tokens and self.give_way is not None:
            self.give_way(key)
        try:
            await within(slot.acquire(), until - self._clock.seconds(), self._clock)
        except OutOfTime:
            reason = "no free place before the deadline"
            raise NotAdmitted(FailureCode.TIMEOUT, reason) from None
        try:
            if self.sharing is not None:
                await self._gather(self.sharing, health, plan, until)
            return self._admit(health, slot, plan, until)
        except BaseException:
            slot.release()
            raise

    async def _gather(self, sharing: Sharing, health: Health, plan: Plan, until: float) -> None:
        """Have what several processes keep together: budgets, quotas, a place. Raises NotAdmitted."""
        funds, task = self._funds, plan.task
        if funds.budgets and not health.backend.practice:
            tracker = self._registry.quota(health.backend.key)
            limit = self._limit(plan, health.backend, tracker, self._clock.seconds()) if task.open_ended else None
            await funds.ready(task.id, plan.most_usd(health.backend, limit))
        if why := await sharing.ready(health, plan, until):
            raise NotAdmitted(FailureCode.OVERLOADED, why)
        if not sharing.place_free(health):
            raise NotAdmitted(FailureCode.TIMEOUT, "no free place before the deadline")
        if why := self._registry.quota(health.backend.key).lacking(self._clock.seconds(), plan.work):
            raise NotAdmitted(FailureCode.QUOTA_EXHAUSTED, why)

    def _admit(self, health: Health, slot: DeferredSemaphore, plan: Plan, until: float) -> Reservation:
        now = self._clock.seconds()
        if now >= until:
            raise NotAdmitted(FailureCode.TIMEOUT, "the deadline passed before it could be asked")
        if obstacle := health.available():
            raise NotAdmitted(FailureCode.OVERLOADED, obstacle)
        tracker = self._registry.quota(health.backend.key)
        if obstacle := tracker.obstacle(now, plan.work):
            raise NotAdmitted(FailureCode.QUOTA_EXHAUSTED, obstacle)
        funds = self._funds
        limit = self._limit(plan, health.backend, tracker, now) if plan.task.open_ended else None
        if funds.budgets and (why := funds.reserve(plan.task.id, plan.most_usd(health.backend, limit))):
            raise BudgetReached(why)
        return Reservation(health, slot, tracker, funds, plan, self._clock, limit, self.sharing)

    def _limit(self, plan: Plan, backend: Backend, tracker: QuotaTracker, now: float) -> int | None:
        """The longest answer that context, quota and budget have room for, in tokens; None leaves it to the server."""
        if plan.task.max_tokens is not None:
            return None
        longest = answer_limit(plan.task, backend)
        free = (budget.usd_left(plan.task.id) for budget in self._funds.budgets)
        usd = math.inf if backend.practice else min(free, default=math.inf)
        affordable = _affordable(backend, usd - plan.most_usd(backend, 1))
        fitting = min(tracker.longest(now, plan.work), affordable)
        if longest is None:
            if math.isinf(fitting):
                return None
            longest = _UNKNOWN
        # No shorter than what is worth asking for: then the quota or the budget itself says no.
        fitting = max(fitting, min(_LEAST, backend.max_tokens, longest))
        return min(longest, room(backend, plan.work.tokens), int(min(fitting, longest)))

    @property
    def budgets(self) -> tuple[Budget, ...]:
        """What may be spent, asked in this order."""
        return self._funds.budgets

    @budgets.setter
    def budgets(self, budgets: tuple[Budget, ...]) -> None:
        self._funds.budgets = budgets

    def slot(self, backend: Backend) -> DeferredSemaphore:
        """The ``max_parallel`` places of a backend."""
        found = self._slots.get(backend.key)
        if found is None:
            found = self._slots[backend.key] = DeferredSemaphore(backend.max_parallel)
        return found

    def reload(self) -> None:
        """The config is another; attempts under way keep the places they have."""
        self._slots.clear()
