"""Who pays for the tasks at the door: reserved before each attempt, charged after it, also when a client has hung up.

spending = Spending(clock)
router.events.subscribe(spending)      # charges
router.add_budget(spending)            # reserves
spending.open(task.id, caller)
spending.close(task.id)
"""

from __future__ import annotations

import math

from ..core.clock import Clock
from ..core.events import AttemptCancelled, AttemptEnded, Event
from .auth import Caller


class Spending:
    """A listener and a :class:`~agent.engine.ports.Budget` over the callers whose tasks are under way."""

    def __init__(self, clock: Clock):
        self._clock = clock
        self._paying: dict[str, tuple[Caller, float]] = {}

    def open(self, task_id: str, caller: Caller) -> None:
        """A task of ``caller`` is about to begin."""
        self._paying[task_id] = caller, 0.0

    def close(self, task_id: str) -> None:
        """Nothing more will come of the task."""
        self.unreserve(task_id)
        self._paying.pop(task_id, None)

    def reserve(self, task_id: str, usd: float) -> str:
        """Set ``usd`` aside for the task's next attempt; why that is too much, or empty."""
        self.unreserve(task_id)
        if (found := self._paying.get(task_id)) is None or not usd:
            return ""
        if why := found[0].reserve(usd, self._clock.seconds()):
            return why
        self._paying[task_id] = found[0], usd
        return ""

    async def ready(self, task_id: str, usd: float) -> None:
        """Before :meth:`reserve`, where several processes keep the callers' limits."""
        if (found := self._paying.get(task_id)) is not None and usd > found[1]:
            await found[0].ready_to_pay(usd - found[1], self._clock.seconds())

    def usd_left(self, task_id: str) -> float:
        """USD that the task may still spend, what is set aside for it included; infinity where nothing limits it."""
        if (found := self._paying.get(task_id)) is None:
            return math.inf
        caller, own = found
        return caller.usd_left(self._clock.seconds()) + own

    def unreserve(self, task_id: str) -> None:
        """The attempt is over, and what it cost is charged."""
        if (found := self._paying.get(task_id)) is not None and found[1]:
            found[0].unreserve(found[1], self._clock.seconds())
            self._paying[task_id] = found[0], 0.0

    def __call__(self, event: Event) -> None:
        """Listen to a router."""
        if isinstance(event, AttemptEnded | AttemptCancelled):
            found = self._paying.get(event.task_id)
            if found is not None and event.attempt.cost_usd:
                found[0].charge(event.attempt.cost_usd, self._clock.seconds())
