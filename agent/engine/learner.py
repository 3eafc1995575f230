"""Where ``learned`` learns from: verdicts, people's words, checks, comparisons, and who asks the same again.

learner.heard(AttemptEnded(...))                    # what the judge says of it
learner.feedback(task_id, attempt, good=False)      # think/bad, or thumbs at the door
learner.compared(task_id, "chat", "grok", agreed=True)

Every lesson is told as a :class:`~..core.events.Learned` event with its weight, so that the ledger can keep it.
Simulated backends teach a table of their own.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ..core.attempt import Attempt
from ..core.clock import Clock
from ..core.events import AttemptEnded, Event, Learned, LearningTurned
from ..core.failures import FailureCode
from ..strategies.base import World
from ..strategies.choice import Choice
from ..strategies.learning.guard import Guard
from ..strategies.learning.table import WEIGHTS, Table
from .run import AttemptOutcome, Run

#: What a failure says of an answer's quality, and by which check. The others are of the road, not of the answer.
_LESSONS: Mapping[FailureCode, str] = {
    FailureCode.REFUSED: "refusal",
    FailureCode.EMPTY: "verdict",
    FailureCode.LOW_CONFIDENCE: "verdict",
    FailureCode.INVALID_OUTPUT: "schema",
}
#: Seconds within which somebody who asks nearly the same again was not content, and the words both must share.
SOON, SHARED = 300.0, 0.6
#: Askers and comparisons that are remembered.
REMEMBERED = 2000

_WORD = re.compile(r"\w+")


@dataclass(slots=True)
class _Asked:
    words: frozenset[str]
    attempt: Attempt
    at: float


class Learner:
    """Teaches the tables of real backends and of simulated ones; ``world.table`` is the one that counts now."""

    def __init__(self, world: World, emit: Callable[[Event], None], clock: Clock):
        self._world = world
        self._emit = emit
        self._clock = clock
        self._tables = {False: (world.table, world.guard), True: (Table(), Guard())}
        self._last: OrderedDict[str, _Asked] = OrderedDict()
        self._compared: OrderedDict[str, tuple[str, str]] = OrderedDict()

    def practise(self, practising: bool) -> None:
        """Go by what is known of simulated backends, or of the real ones."""
        self._world.table, self._world.guard = self._tables[practising]

    # -- lessons -------------------------------------------------------------------------------------------------

    def heard(self, event: Event) -> None:
        """Listen to the router."""
        if isinstance(event, AttemptEnded) and event.attempt.verdict is not None:
            attempt = event.attempt
            if attempt.failure is None:
                source = "schema" if attempt.verdict is not None and attempt.verdict.content is not None else "verdict"
                self._teach(event.task_id, attempt.kind, attempt.backend, 1.0, source, practice=attempt.practice)
            elif attempt.failure in _LESSONS:
                source = _LESSONS[attempt.failure]
                self._teach(event.task_id, attempt.kind, attempt.backend, 0.0, source, practice=attempt.practice)

    def feedback(self, task_id: str, attempt: Attempt, *, good: bool, source: str = "feedback") -> None:
        """Somebody, or a check, has said whether the answer of ``attempt`` was good."""
        score = float(good)
        self._teach(task_id, attempt.kind, attempt.backend, score, source, practice=attempt.practice)
        if (other := self._compared.pop(task_id, None)) is not None:
            # Who said the same was as good.
            self._teach(task_id, other[0], other[1], score, "shadow", practice=attempt.practice)
        guard = self._tables[attempt.practice][1]
        guard.amend(task_id, score)
        self._consider(guard)

    def compared(self, task_id: str, kind: str, backend: str, *, agreed: bool, practice: bool = False) -> None:
        """``backend`` was asked besides. That it said the same counts for it; that it said another thing for nobody."""
        if agreed:
            self._teach(task_id, kind, backend, 1.0, "shadow", practice=practice)
            self._compared[task_id] = kind, backend
            if len(self._compared) > REMEMBERED:
                self._compared.popitem(last=False)

    def ended(self, run: Run, outcome: AttemptOutcome | None) -> None:
        """A task is over: look whether it is one that was asked before, and how the choice has turned out."""
        choosing = run.plan.choosing
        attempt = outcome.attempt if outcome is not None else None
        if choosing is not None and choosing.choice.rivals is not None and run.attempts:
            self._count(run, choosing.choice)
        who = run.plan.task.asker or run.plan.task.conversation
        if who and attempt is not None:
            self._note(run, who, attempt)

    def _count(self, run: Run, choice: Choice) -> None:
        first = run.attempts[0]
        if first.backend != choice.first or (first.verdict is None and first.failure is None):
            return
        assert choice.rivals is not None
        learned, rules = choice.rivals
        guard = self._tables[first.practice][1]
        guard.add(
            run.plan.task.id,
            propensity=choice.propensity,
            learned=choice.first == learned,
            rules=choice.first == rules,
            reward=float(first.failure is None),
        )
        self._consider(guard)

    def _note(self, run: Run, who: str, attempt: Attempt) -> None:
        now = self._clock.seconds()
        words = frozenset(_WORD.findall(run.plan.redacted.task.prompt.casefold())[:200])
        before = self._last.pop(who, None)
        if before is not None and now - before.at <= SOON and words and _shared(words, before.words) >= SHARED:
            source = "retry" if words == before.words else "rephrased"
            self._teach(
                run.plan.task.id, before.attempt.kind, before.attempt.backend, 0.0, source, practice=attempt.practice
            )
        self._last[who] = _Asked(words, attempt, now)
        if len(self._last) > REMEMBERED:
            self._last.popitem(last=False)

    def _teach(self, task_id: str, kind: str, backend: str, score: float, source: str, *, practice: bool) -> None:
        if backend not in self._world.config.backends:
            return
        weight = WEIGHTS[source]
        self._tables[practice][0].observe(kind, backend, score, weight=weight, prior=self._world.prior(kind, backend))
        self._emit(Learned(self._clock.seconds(), task_id, kind, backend, source, score, weight))

    def _consider(self, guard: Guard) -> None:
        if why := guard.consider():
            self._emit(LearningTurned(self._clock.seconds(), bool(guard.reverted), why))

    def told(self, kind: str, backend: str, score: float, weight: float) -> None:
        """Another process has learned something of a real backend."""
        if backend in self._world.config.backends:
            prior = self._world.prior(kind, backend)
            self._tables[False][0].observe(kind, backend, score, weight=weight, prior=prior)

    # -- what is kept --------------------------------------------------------------------------------------------

    def replay(self, kind: str, backend: str, failure: FailureCode | None) -> None:
        """An attempt of the past that no snapshot knows of."""
        if failure is None or failure in _LESSONS:
            source = "verdict" if failure is None else _LESSONS[failure]
            prior = self._world.prior(kind, backend)
            table = self._tables[False][0]
            table.observe(kind, backend, float(failure is None), weight=WEIGHTS[source], prior=prior)

    def reset(self, kind: str = "", backend: str = "") -> None:
        """Forget what was learned: all, or of a kind, or of a backend."""
        for table, guard in self._tables.values():
            table.reset(kind, backend)
            guard.reset()

    def snapshot(self) -> dict[str, Any]:
        """Plain data, of the real ones and of practice."""
        real, practice = self._tables[False], self._tables[True]
        return {
            "table": real[0].snapshot(),
            "practice": practice[0].snapshot(),
            "reverted": real[1].reverted,
        }

    def restore(self, kept: Mapping[str, Any]) -> list[str]:
        """Take up a snapshot. Returns what could not be used, one line each."""
        faults: list[str] = []
        for name, practice in (("table", False), ("practice", True)):
            if isinstance(said := kept.get(name), Mapping):
                faults += [f"{name}: {fault}" for fault in self._tables[practice][0].restore(said)]
        self._tables[False][1].reverted = str(kept.get("reverted") or "")[:300]
        return faults


def _shared(a: frozenset[str], b: frozenset[str]) -> float:
    """Dice's coefficient."""
    return 2 * len(a & b) / (len(a) + len(b)) if a or b else 0.0
