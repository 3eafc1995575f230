"""Several attempts at once: the first good one wins, or the answer that most agree on. The others are cancelled.

outcome = await race(field, ("claude", "gpt"), after=2.0, enough=settles)
outcome = await vote(field, ("local", "grok", "gpt"), by="majority", alike=alike, sure=sure)

A :class:`Field` runs the attempts. Whatever ends the wait (a winner, a leak, the caller's own cancellation) cancels all
attempts that are still under way; what their providers have worked for by then is booked where an attempt is made.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from ..core.clock import Clock
from .admission import BudgetReached
from .run import AttemptOutcome

Ask = Callable[[str], Coroutine[Any, Any, AttemptOutcome]]


class Field:
    """Attempts side by side. ``enough`` is called before those are cancelled that another one has beaten."""

    def __init__(self, ask: Ask, clock: Clock, enough: Callable[[], None]):
        self._ask = ask
        self._clock = clock
        self._enough = enough
        self._running: dict[str, Deferred[None]] = {}
        self._over: deque[AttemptOutcome | Failure] = deque()
        self._bell: Deferred[None] | None = None

    @property
    def running(self) -> int:
        """How many are under way, or have ended and were not looked at."""
        return len(self._running) + len(self._over)

    def start(self, key: str) -> None:
        """Ask ``key``."""
        asked = Deferred.fromCoroutine(self._ask(key))
        ended: Deferred[None] = asked.addBoth(self._ended, key)
        if not ended.called:
            self._running[key] = ended

    def _ended(self, result: AttemptOutcome | Failure, key: str) -> None:
        self._running.pop(key, None)
        self._over.append(result)
        self._ring()

    def _ring(self) -> None:
        bell, self._bell = self._bell, None
        if bell is not None and not bell.called:
            bell.callback(None)

    async def ended(self, seconds: float | None = None) -> AttemptOutcome | BudgetReached | None:
        """The next that is over, or None after ``seconds``. Raises what went wrong but for a budget's end."""
        if not self._over:
            bell: Deferred[None] = Deferred()
            self._bell = bell
            timer = None if seconds is None else self._clock.callLater(seconds, self._ring)
            try:
                await bell
            finally:
                if timer is not None and timer.active():
                    timer.cancel()
        if not self._over:
            return None
        result = self._over.popleft()
        if isinstance(result, Failure):
            if isinstance(result.value, BudgetReached):
                return result.value
            result.raiseException()
        assert not isinstance(result, Failure)
        return result

    def won(self, outcome: AttemptOutcome) -> AttemptOutcome:
        """``outcome`` is what counts; the others go on for nothing."""
        self._enough()
        return outcome

    def close(self) -> None:
        """Cancel all that is under way."""
        running, self._running = list(self._running.values()), {}
        for asked in running:
            asked.cancel()


async def race(
    field: Field, keys: Sequence[str], after: float, enough: Callable[[AttemptOutcome], bool]
) -> AttemptOutcome:
    """The first outcome that is ``enough``; where none is, the last one, an answer rather than none.

    after  seconds until the next one is asked as well; 0 asks all at once. It is asked at once when one has failed.
    """
    waiting = deque(keys)
    best: AttemptOutcome | None = None
    reached: BudgetReached | None = None
    try:
        field.start(waiting.popleft())
        while not after and waiting:
            field.start(waiting.popleft())
        while field.running:
            outcome = await field.ended(after if waiting else None)
            if isinstance(outcome, BudgetReached):
                reached = outcome
            elif outcome is not None:
                if enough(outcome):
                    return field.won(outcome)
                best = outcome if best is None or outcome.answer is not None or best.answer is None else best
            if waiting and reached is None:
                field.start(waiting.popleft())
    finally:
        field.close()
    return _last(best, reached)


async def vote(
    field: Field,
    keys: Sequence[str],
    by: str,
    alike: Callable[[AttemptOutcome, AttemptOutcome], bool],
    sure: Callable[[AttemptOutcome], float],
) -> AttemptOutcome:
    """The answer that more than half of ``keys`` agree on; else that of the largest group, the surest within it.

    by  ``judge`` takes the surest of all
    """
    accepted: list[AttemptOutcome] = []
    best: AttemptOutcome | None = None
    reached: BudgetReached | None = None
    try:
        for key in keys:
            field.start(key)
        while field.running:
            outcome = await field.ended()
            if isinstance(outcome, BudgetReached):
                reached = outcome
            elif outcome is not None and outcome.failure is None:
                accepted.append(outcome)
                group = [other for other in accepted if alike(other, outcome)]
                if by == "majority" and 2 * len(group) > len(keys):
                    return field.won(max(group, key=sure))
            elif outcome is not None:
                best = outcome if best is None or outcome.answer is not None or best.answer is None else best
    finally:
        field.close()
    if accepted:
        places = {key: -place for place, key in enumerate(keys)}

        def weight(outcome: AttemptOutcome) -> tuple[int, float, int]:
            agreeing = sum(alike(other, outcome) for other in accepted) if by == "majority" else 0
            place = places.get(outcome.attempt.backend, 0) if outcome.attempt is not None else 0
            return agreeing, sure(outcome), place

        return max(accepted, key=weight)
    return _last(best, reached)


def _last(best: AttemptOutcome | None, reached: BudgetReached | None) -> AttemptOutcome:
    if best is None:
        assert reached is not None
        raise reached
    return best
