"""What is settled of a task before anybody is asked: its text without names, its kind, whom to ask. Made once."""

from __future__ import annotations

from dataclasses import dataclass

from ..core.answer import Usage
from ..core.backend import Backend
from ..core.decision import Decision, Work
from ..core.pricing import cost_usd
from ..core.task import Task
from ..memory import Question
from ..privacy.blindfold import Blindfold, Redacted
from ..strategies.base import Strategy
from ..strategies.choice import Choice

#: Tokens that a provider's tokenizer may make of an estimated one, when an attempt's cost is bounded before it.
INPUT_MARGIN = 1.5


@dataclass(frozen=True, slots=True)
class Choosing:
    """The strategy that decides for a task, what it said at first, and the kinds with their points."""

    strategy: Strategy
    choice: Choice
    kinds: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """A task, ready to be run.

    task       as it was asked, with every name in it
    redacted   the same without names: the only form that leaves
    blindfold  knows the terms that must not stand in the encoded bytes
    decision   who would be asked and why; made of the redacted task
    work       what counts of it when a backend is chosen
    system     the system prompt of its kind
    pin        the backend to ask first, whatever the decision says
    alone      ask that one and nobody else
    choosing   the strategy that decides who follows; None for the plain ranking
    strategy   the name by which it was asked for; empty for the route
    question   what it asks, as the memory knows it; None where there is no memory, or not for this task
    """

    task: Task
    redacted: Redacted
    blindfold: Blindfold
    decision: Decision
    work: Work
    system: str
    pin: str | None = None
    alone: bool = False
    question: Question | None = None
    choosing: Choosing | None = None
    strategy: str = ""

    @property
    def first(self) -> str:
        """The key of the backend to ask first; empty when nobody can be asked."""
        return self.pin or self.decision.backend

    def most_usd(self, backend: Backend, limit: int | None = None) -> float:
        """The most that one attempt can cost at ``backend``, in USD: the longest answer, and input with a margin.

        ``limit`` is the longest answer that is asked for, in tokens; None takes what the task or the config says.
        """
        longest = limit or (backend.max_tokens if self.work.max_tokens is None else self.work.max_tokens)
        asked = round(self.work.tokens * INPUT_MARGIN + len(self.system) / 4)
        return cost_usd(backend, Usage(asked, longest))
