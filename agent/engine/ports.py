"""What a :class:`~agent.engine.runner.TaskRunner` needs of the world, as small protocols that are passed to it.

The router passes the real ones; a test passes fakes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from twisted.internet.defer import Deferred

from ..cloud_caller import Progress
from ..core.answer import Answer, Usage
from ..core.backend import Backend
from ..core.events import Event
from ..core.failures import FailureCode
from ..core.task import Task
from ..core.verdict import Verdict
from ..privacy.blindfold import Blindfold
from ..strategies.choice import Step
from .plan import Plan
from .run import AttemptOutcome, Run

#: Tells the listeners of an event.
Emit = Callable[[Event], None]


class Chooser(Protocol):
    """Whom to ask next, and whether to ask anybody else at all."""

    def fallbacks(self, key: str) -> tuple[str, ...]:
        """The backends that the config names as fallbacks of ``key``; empty leaves the order to the strategy."""

    def first(self, plan: Plan) -> Step | None:
        """Whom to ask first; None when nobody can be asked."""

    def following(self, run: Run, failure: FailureCode) -> Step | None:
        """Whom to turn to after ``failure``; None when that is nobody."""

    def settles(self, run: Run, outcome: AttemptOutcome) -> bool:
        """Whether the task ends with this answer, accepted or declined."""

    def obstacle(self, key: str) -> str:
        """Why ``key`` may not be asked now; empty when it may."""

    def ended(self, run: Run, outcome: AttemptOutcome | None) -> None:
        """The task is over, with this answer or with none. Called where a strategy decides."""


class Reservation(Protocol):
    """What one attempt holds: a place, the breaker's probe, quota and budget. Settled or released once."""

    backend: Backend
    #: The longest answer to ask for, in tokens, where that is less than task and backend would have; else None.
    limit: int | None

    def expected(self) -> tuple[Usage, float]:
        """What it will most likely use, and cost in USD."""

    def settle(self, outcome: AttemptOutcome, *, overdue: bool) -> None:
        """The attempt is over. ``overdue``: the task's own deadline ended it, which says nothing of the backend."""

    def release(self) -> None:
        """The attempt was given up and nothing is known of it."""


class Admission(Protocol):
    """Lets attempts through, one reservation each."""

    async def acquire(self, key: str, plan: Plan, until: float) -> Reservation:
        """Wait for a place at ``key`` and reserve what an attempt can use.

        until  when the task's deadline ends, in the clock's seconds; infinity for none

        Raises NotAdmitted when this backend cannot be asked now, and BudgetReached when nobody may be.
        """


class Client(Protocol):
    """Carries one attempt over the wire."""

    async def ask(
        self,
        task: Task,
        backend: Backend,
        system: str,
        blindfold: Blindfold,
        total: float,
        progress: Progress | None = None,
    ) -> Answer:
        """The decoded answer within ``total`` seconds. Raises AttemptFailed."""


class Judge(Protocol):
    """Tells answers from refusals and empty talk."""

    def __call__(self, task: Task, answer: Answer, key: str) -> Verdict:
        """The verdict on what the backend ``key`` answered."""

    def sureness(self, verdict: Verdict, key: str) -> float | None:
        """How sure ``key`` can be believed to be of its answer, 0 to 1; None where nothing tells."""


class Journal(Protocol):
    """Writes attempts down before they leave."""

    def recorded(self, task_id: str) -> Deferred[None]:
        """Fires, never with a failure, when every attempt announced so far is on the disk."""


class Budget(Protocol):
    """What may be spent."""

    def reserve(self, task_id: str, usd: float) -> str:
        """Set aside the most that the task's next attempt can cost; why that is too much, or empty."""

    def usd_left(self, task_id: str) -> float:
        """USD that the task may still spend, what is set aside for it included; infinity where nothing limits it."""

    def unreserve(self, task_id: str) -> None:
        """The attempt is over, and what it cost is counted: what was set aside for it is free again."""
