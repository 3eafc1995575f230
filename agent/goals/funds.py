"""What goals may spend: a :class:`~agent.engine.ports.Budget` over the goals whose tasks are under way.

funds = Funds()
router.add_budget(funds)
funds.open(task.id, record); funds.close(task.id)
"""

from __future__ import annotations

import math

from ..core.backend import Backend
from ..quota import Spend
from .record import Record

#: USD; for sums of floats that should be whole.
_GRACE = 1e-9


class Funds:
    """Sets aside the most that each attempt can cost, so that no goal ever passes its budget."""

    def __init__(self) -> None:
        self._tasks: dict[str, Record] = {}
        self._held: dict[str, float] = {}

    def open(self, task_id: str, record: Record) -> None:
        """A task of the goal is about to begin."""
        self._tasks[task_id] = record

    def close(self, task_id: str) -> None:
        """Nothing more will come of the task."""
        self._held.pop(task_id, None)
        self._tasks.pop(task_id, None)

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
