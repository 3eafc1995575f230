"""What the router gives back: a :class:`RouteResult`, or an error that lists every attempt. Pure data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from .answer import Usage
from .attempt import Attempt
from .decision import Skipped
from .failures import FailureCode, UniwizardError
from .recollection import Recollection
from .task import Thought, ToolCall


@dataclass(frozen=True, slots=True)
class RouteResult:
    """A task done.

    text        the answer, with every veiled name put back
    content     the parsed JSON, when the task gave a schema
    backend     the key of the backend that really answered; ``model`` as its provider names it
    attempts    every attempt in order, the failed ones too
    usage       tokens of the attempt that answered
    cost_usd    USD of all attempts together
    latency_ms  of the whole road, queueing and failed attempts included
    refused     True when the brains that were asked agreed to decline, and ``text`` is that refusal
    partial     True when a part of the task was declined
    finish_reason  why the answer ended, in the words of :class:`agent.core.answer.Answer`
    practice    True when a simulated backend answered
    thoughts    what the model thought before, where its api tells it; names in it are still veiled
    dropped     what the task asked of the answer's making and the backend's api has no field for
    path        the way through the tree of strategies, each step with its reason; empty for the plain ranking
    memory      set when nobody was asked because the answer was known: then there are no attempts, and no cost
    """

    text: str
    backend: str
    model: str
    kind: str
    attempts: tuple[Attempt, ...]
    usage: Usage
    cost_usd: float
    latency_ms: float
    content: object = None
    tool_calls: tuple[ToolCall, ...] = ()
    finish_reason: str = "stop"
    refused: bool = False
    partial: bool = False
    practice: bool = False
    thoughts: tuple[Thought, ...] = ()
    dropped: tuple[str, ...] = ()
    memory: Recollection | None = None
    path: tuple[str, ...] = ()

    @property
    def answered(self) -> Attempt:
        """The attempt that gave the answer, which need not be the last; of a remembered one, as far as it is known."""
        if self.memory is not None:
            return self.memory.attempt
        own = [each for each in self.attempts if each.backend == self.backend and not each.cancelled]
        return next((each for each in reversed(own) if each.failure is None), own[-1] if own else self.attempts[-1])

    @property
    def finish(self) -> str:
        """The former name of ``finish_reason``."""
        return self.finish_reason

    @property
    def refusals(self) -> tuple[Attempt, ...]:
        """The attempts that declined."""
        return tuple(attempt for attempt in self.attempts if attempt.failure is FailureCode.REFUSED)

    def as_dict(self) -> dict[str, Any]:
        """Plain data, for JSON."""
        plain = asdict(self)
        # Their former names, for programs that know those.
        plain["finish"] = self.finish_reason
        for attempt in plain["attempts"]:
            attempt["words"] = attempt["chars"]
        return plain


class AllBackendsFailed(UniwizardError):
    """Nobody gave a usable answer. ``attempts`` holds every one, ``skipped`` who could not even be asked."""

    def __init__(self, attempts: Sequence[Attempt], skipped: Sequence[Skipped] = (), why: str = ""):
        self.attempts = tuple(attempts)
        self.skipped = tuple(skipped)
        self.why = why
        super().__init__(self.explain())

    @property
    def failure(self) -> FailureCode | None:
        """The last attempt's failure; None when nobody could be asked."""
        return self.attempts[-1].failure if self.attempts else None

    @property
    def cost_usd(self) -> float:
        """What the failed attempts cost all the same, in USD."""
        return sum(attempt.cost_usd for attempt in self.attempts)

    def explain(self) -> str:
        """One line that hides nothing."""
        parts = [f"{a.backend}: {a.failure} ({a.reason})" for a in self.attempts]
        parts += [f"{s.backend}: not asked ({s.reason})" for s in self.skipped]
        head = self.why or "nobody gave a usable answer"
        return f"{head}: {'; '.join(parts)}" if parts else head


class AnswerBroken(AllBackendsFailed):
    """An answer broke off after its beginning had been shown, and nobody could continue it; ``text`` was shown."""

    def __init__(self, attempts: Sequence[Attempt], skipped: Sequence[Skipped] = (), why: str = "", text: str = ""):
        self.text = text
        super().__init__(attempts, skipped, why or "the answer broke off")


class BudgetSpent(AllBackendsFailed):
    """Whoever pays may not spend what the next attempt could cost; ``why`` says which budget."""


class ContentFiltered(AllBackendsFailed):
    """A provider's hard filter stopped the task; by default it is told to the caller and not shopped around."""
