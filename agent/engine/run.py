"""What is known of a task while it is run: its attempts so far, and what came of the last one."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from ..core.answer import Answer
from ..core.attempt import Attempt
from ..core.failures import FailureCode
from ..core.verdict import Verdict
from .continuation import StreamContinuation
from .plan import Plan


@dataclass(frozen=True, slots=True)
class AttemptOutcome:
    """What came of asking one backend.

    failure      None when the answer was accepted
    reason       one line: the provider's words, the judge's evidence, or the obstacle
    attempt      None where nothing was sent because of an obstacle
    answer       as decoded, where there was one; ``verdict`` is then the judge's
    retry_after  seconds for which the provider asks to be left alone; None where it does not
    sent         whether the request can have left, so that the provider may have counted it
    blames       whether the failure says anything of the backend
    """

    failure: FailureCode | None
    reason: str
    attempt: Attempt | None = None
    answer: Answer | None = None
    verdict: Verdict | None = None
    retry_after: float | None = None
    sent: bool = False
    blames: bool = True


class Run:
    """The state of one task between its plan and its result.

    until       when its deadline ends, in the clock's seconds; infinity for none
    attempts    every attempt so far, in order
    consulted   the attempts that were second opinions on an answer; they are paid for like the others
    tried       the keys that were turned to, asked or not
    fallbacks   the order that the first backend's config prescribes; empty leaves it to the strategy
    obstacles   why those were not asked that were turned to in vain, by key
    overflowed  the largest context (tokens) that the task was too long for
    declined    the last answer that declined; it is the result when nobody else is left
    begun       how many attempts have begun
    decided     whether attempts that are cancelled now were beaten by another one
    doubted     an accepted answer that was not sure enough, for the case that nobody has a better one
    """

    __slots__ = (
        "attempts",
        "begun",
        "consulted",
        "continuation",
        "decided",
        "declined",
        "doubted",
        "fallbacks",
        "obstacles",
        "overflowed",
        "plan",
        "started",
        "tried",
        "until",
    )

    def __init__(
        self,
        plan: Plan,
        started: float,
        attempts: Iterable[Attempt] = (),
        deliver: Callable[[str], None] | None = None,
    ):
        self.plan = plan
        self.started = started
        self.until = float("inf") if plan.task.deadline is None else started + plan.task.deadline
        self.attempts = list(attempts)
        self.consulted: list[Attempt] = []
        self.tried: set[str] = set()
        self.fallbacks: tuple[str, ...] = ()
        self.obstacles: dict[str, str] = {}
        self.overflowed = 0
        self.declined: AttemptOutcome | None = None
        self.begun = len(self.attempts)
        self.decided = False
        self.doubted: AttemptOutcome | None = None
        self.continuation = StreamContinuation(plan.redacted, deliver) if deliver is not None else None

    def is_decided(self) -> None:
        """Of attempts side by side, one is enough."""
        self.decided = True

    @property
    def shown(self) -> bool:
        """Whether a beginning of the answer has been shown already, which the next backend must continue."""
        return self.continuation is not None and bool(self.continuation.given)
