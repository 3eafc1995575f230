"""What goals may spend, and have spent: a :class:`~agent.engine.ports.Budget` over the goals whose tasks are under way.

funds = Funds(written_down)
router.add_budget(funds)
router.events.subscribe(funds)
funds.open(task.id, record); funds.close(task.id)

What an attempt will most likely cost is in its goal's record before the request leaves, and what it did cost in the
turn in which it ends. Of one that a kill has cut off the provider alone knows the price: the estimate stands for it,
as in the ledger.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from ..core.backend import Backend
from ..core.events import AttemptCancelled, AttemptEnded, AttemptStarted, Event
from ..quota import Spend
from .record import Record

#: USD; for sums of floats that should be whole.
_GRACE = 1e-9


class Funds:
    """Sets aside the most that each attempt can cost, so that no goal ever passes its budget.

    changed  is told of a record whose costs have changed, in the turn in which the ledger is
    """

    def __init__(self, changed: Callable[[Record], None]) -> None:
        self._changed = changed
        self._tasks: dict[str, Record] = {}
        self._held: dict[str, float] = {}

    def open(self, task_id: str, record: Record) -> None:
        """A task of the goal is about to begin."""
        self._tasks[task_id] = record

    def close(self, task_id: str) -> None:
        """Nothing more will come of the task."""
        self._held.pop(task_id, None)
        record = self._tasks.pop(task_id, None)
        # What has no end by now never left.
        if record is not None and (left := _of(record, task_id)):
            for key in left:
                del record.leaving[key]
            self._changed(record)

    def __call__(self, event: Event) -> None:
        """Listen to the router."""
        match event:
            case AttemptStarted(task_id=task, expected=expected) if (record := self._tasks.get(task)) is not None:
                tokens = expected.input_tokens + expected.output_tokens
                record.leaving[f"{task}/{event.number}"] = [event.expected_usd, tokens, event.backend]
            case AttemptEnded(task_id=task) | AttemptCancelled(task_id=task) if (
                record := self._tasks.get(task)
            ) is not None:
                attempt = event.attempt
                left = [key for key in _of(record, task) if record.leaving[key][2] == attempt.backend]
                used = attempt.usage.input_tokens + attempt.usage.output_tokens
                key = left[0] if left else f"{task}/{len(record.spent) + 1}+"
                record.spent[key] = [attempt.cost_usd, used, attempt.backend]
                record.leaving.pop(key, None)
            case _:
                return
        self._changed(record)

    def of(self, task_id: str) -> Record | None:
        """The goal that the task belongs to."""
        return self._tasks.get(task_id)

    def reserve(self, task_id: str, usd: float) -> str:
        """Set ``usd`` aside for the task; why that is too much, or empty."""
        record = self._tasks.get(task_id)
        self._held.pop(task_id, None)
        if record is None or not usd:
            return ""
        left = self._left(record)
        if usd > left + _GRACE:
            of = f"${max(0.0, left):.4f} left of its ${record.goal.budget.usd:g}"
            return f"the goal has {of}, this could cost ${usd:.4f}"
        self._held[task_id] = usd
        return ""

    def usd_left(self, task_id: str) -> float:
        """USD that the task may still spend; infinity without a limit."""
        record = self._tasks.get(task_id)
        return math.inf if record is None else max(0.0, self._left(record) + self._held.get(task_id, 0.0))

    def unreserve(self, task_id: str) -> None:
        """The attempt is over, and what it cost is counted."""
        self._held.pop(task_id, None)

    def others(self, record: Record) -> bool:
        """Whether anything is set aside for the goal now, which may come free."""
        return any(self._tasks.get(task) is record for task in self._held)

    def _left(self, record: Record) -> float:
        if record.goal.budget.usd is None:
            return math.inf
        held = sum(usd for task, usd in self._held.items() if self._tasks.get(task) is record)
        return record.goal.budget.usd - record.cost_usd - held


def over_share(record: Record, backend: Backend, expected: Spend) -> str:
    """Why ``expected`` more of ``backend`` passes the goal's budget of tokens or quota; empty where it does not."""
    budget = record.goal.budget
    if budget.tokens is not None and record.tokens + expected.of("tokens") > budget.tokens:
        return f"{record.tokens:,} of its {budget.tokens:,} tokens are used"
    if budget.quota is None:
        return ""
    own = [entry for entry in record.spent.values() if entry[2] == backend.key]
    used = {"usd": sum(e[0] for e in own), "tokens": sum(e[1] for e in own), "requests": float(len(own))}
    for quota in backend.quota:
        # Of one direction alone all tokens are counted: too much rather than too little.
        mine = used.get(quota.unit, used["tokens"]) + expected.of(quota.unit)
        if mine > budget.quota * quota.limit:
            return f"{mine / quota.limit:.1%} of {quota} of {backend.key} would be more than its {budget.quota:.1%}"
    return ""


def _of(record: Record, task_id: str) -> list[str]:
    """The attempts of a task that have left and not ended."""
    return [key for key in record.leaving if key.startswith(f"{task_id}/")]
