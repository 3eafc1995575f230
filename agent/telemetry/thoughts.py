"""Gathers what happens to one task, for those who are told of it once it is over.

    router.events.subscribe(Gathering([channel.publish, tracer.export]))

A task that never ends is forgotten when :data:`MOST` others have begun after it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from ..core.attempt import Attempt
from ..core.events import (
    AttemptCancelled,
    AttemptEnded,
    Event,
    FellBack,
    Leaked,
    TaskBegan,
    TaskEnded,
    TaskEvent,
    Veiled,
)

#: Tasks under way that are kept in mind.
MOST = 10_000


@dataclass(slots=True)
class Thought:
    """One task from its beginning to its end; times in seconds since the epoch."""

    id: str
    kind: str
    context: str
    began: float
    ended: float = 0.0
    outcome: str = ""
    backend: str = ""
    cost_usd: float = 0.0
    practice: bool = False
    veiled: Veiled | None = None
    attempts: list[Attempt] = field(default_factory=list)
    turns: list[FellBack] = field(default_factory=list)
    leaked: bool = False

    @property
    def troubled(self) -> bool:
        """Whether something on its way was not as it should be."""
        if self.leaked or self.turns or self.outcome not in ("answered", "remembered"):
            return True
        return any(attempt.failure is not None for attempt in self.attempts)


class Gathering:
    """A listener that hands every finished :class:`Thought` to each of ``told``."""

    def __init__(self, told: Iterable[Callable[[Thought], None]]):
        self._told = tuple(told)
        self._under_way: dict[str, Thought] = {}

    def __call__(self, event: Event) -> None:
        if not isinstance(event, TaskEvent):
            return
        if isinstance(event, TaskBegan):
            if len(self._under_way) >= MOST:
                del self._under_way[next(iter(self._under_way))]
            self._under_way[event.task_id] = Thought(event.task_id, event.kind, event.context, event.at)
            return
        thought = self._under_way.get(event.task_id)
        if thought is None:
            return
        if isinstance(event, AttemptEnded | AttemptCancelled):
            thought.attempts.append(event.attempt)
        elif isinstance(event, FellBack):
            thought.turns.append(event)
        elif isinstance(event, Leaked):
            thought.leaked = True
        elif isinstance(event, TaskEnded):
            del self._under_way[event.task_id]
            thought.ended, thought.outcome, thought.backend = event.at, event.outcome, event.backend
            thought.cost_usd, thought.practice, thought.veiled = event.cost_usd, event.practice, event.veiled
            for told in self._told:
                told(thought)
